/* What a moov and a moof say: tracks, and the samples of fragments. Reads our own segments, and takes any
 * file without harm. Source: ISO 14496-12, 14496-14, 14496-15, Opus in ISOBMFF. Progressive sample tables
 * (stts, stsz, ...) are not read: our archive has none. Tests: tests/unit/media/test_mp4_read.c,
 * tests/fuzz/fuzz_mp4_read.c. */
#ifndef MEDIA_MP4_READ_H
#define MEDIA_MP4_READ_H

#include "common/media/mp4.h"
#include "common/media/mp4_box.h"

/* Tracks of codecs we know, in the order of the file; others and those above TRACK_MAX are left out. */
struct mp4_movie {
    struct track_set tracks; /* gen 0 */
    uint32_t id[TRACK_MAX];
    struct mp4_defaults { /* of trex */
        uint32_t dur, size, flags;
    } trex[TRACK_MAX];
};

/* body: of a moov box. MP4_OK (also with no track), MP4_E_BAD. */
int mp4_read_moov(struct span body, struct mp4_movie *ret);

struct mp4_sink {
    /* Samples of one track come in order, tracks one after the other; offset is in the file, dts counts from
     * tfdt 0. false: stop. */
    bool (*on_sample)(void *arg, const struct mp4_sample *s);
    void *arg;
};
/* body: of the moof box that stands at file offset moof_at. bytes: length of the file: samples that end
 * behind it make the moof bad. *ret_seq: of mfhd. MP4_OK, MP4_E_BAD, MP4_E_MANY (more than MP4_SAMPLES_MAX,
 * or the sink said stop). */
int mp4_read_moof(struct span body, uint64_t moof_at, uint64_t bytes, const struct mp4_movie *m,
    const struct mp4_sink *sink, uint32_t *ret_seq);

#endif
