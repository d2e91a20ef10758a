/* ISO base media files: what we write (fragmented MP4) and what we read back (our own segments, boxes in
 * general). Source: ISO 14496-12, 14496-14 (AAC), 14496-15 (AVC, HEVC), Opus in ISOBMFF, ISO 23000-19 (CMAF)
 * for fragments. Media time base of a track: its clock_hz. Track ids: index + 1. */
#ifndef MEDIA_MP4_H
#define MEDIA_MP4_H

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "common/media/track.h"

/* Which tracks of a set a player of MP4 gets. */
#define MP4_ALL      0xffu /* recording: G.711 as alaw/ulaw, ONVIF metadata as metx */
#define MP4_PLAYABLE 0xfeu /* what browsers play: H.264, H.265, AAC, Opus */
/* Bit i set: track i is written. `which` of the functions below is such a mask, from here: */
unsigned mp4_mask(const struct track_set *s, unsigned which);

#define MP4_SAMPLES_MAX 100000               /* of one fragment */
#define MP4_ONVIF_PLAIN "vnd.onvif.metadata" /* subtype of metadata that is not compressed */

/* One sample of a table. */
struct mp4_sample {
    uint64_t offset; /* of its bytes, in the file or in the mdat's payload, as the function says */
    uint32_t size;
    int64_t dts;
    int32_t cts;
    uint32_t dur;
    uint16_t flags; /* frame_flag */
    uint8_t track;
};

/* ftyp + moov with mvex, without samples. false: does not fit the buf. */
bool mp4_init_segment(struct buf *to, const struct track_set *s, unsigned mask);

/* moof and the header of its mdat. Samples are in file order: sample data follow the mdat header one behind
 * the other in exactly that order, sum of sizes = mdat payload. tfdt of each track = dts of its first sample
 * - base_dts(track). base: per track index, subtracted from dts; NULL = zeros. seq: mfhd sequence number. */
bool mp4_fragment_head(
    struct buf *to, uint32_t seq, const struct mp4_sample *s, size_t n, const int64_t *base);

/* ISO 14496-12 8.8.3.1: the flags of a sample. */
uint32_t mp4_sample_flags(const struct mp4_sample *s);
/* To the next sample of its track in this fragment, so that the decode times are met exactly; the last one
 * has only its own word. */
uint32_t mp4_sample_dur(const struct mp4_sample *s, size_t n, size_t i);

/* A whole fragment's head for one track, in the layout that Flussonic's browser player reads by fixed places:
 * the track's number in byte 47, the wall clock (seconds and microseconds, u32 each) in bytes 92 to 99, in a
 * box `futc`. As mp4_fragment_head otherwise; samples of other tracks are passed over. mp4_single_size: its
 * bytes, with the header of the mdat; 0: there is none of that track. */
size_t mp4_single_size(const struct mp4_sample *s, size_t n, uint8_t track, size_t *ret_payload);
void mp4_single_head(
    struct wr *w, uint32_t seq, const struct mp4_sample *s, size_t n, uint8_t track, usec_t wall_us);

/* A whole MP4 of one video frame, up to the frame's bytes: ftyp, moov, header of the mdat. The caller sends
 * `size` bytes of the frame (as the ring and the segments hold it) behind it. track: index in s. */
bool mp4_one_frame(struct buf *to, const struct track_set *s, unsigned track, uint32_t size);

#endif
