/* The boxes that every movie of ours has: what is told of the movie, of a track, and of its samples' form.
 * They grow to version 1 where a duration passes 32 bits. Source: ISO 14496-12 8.2 to 8.5, 14496-14,
 * 14496-15, Opus in ISOBMFF. Used by mp4_write.c and by archive/export. Tests:
 * tests/unit/media/test_mp4_write.c. */
#ifndef MEDIA_MP4_HEAD_H
#define MEDIA_MP4_HEAD_H

#include "common/media/mp4_box.h"
#include "common/media/track.h"

#define MP4_MVHD_MAX  (8 + 112)
#define MP4_TRACK_MAX 512                      /* of a track's boxes but for its sample entries and tables */
#define MP4_ENTRY_MAX (256 + TRACK_CONFIG_MAX) /* of a sample entry */

struct mp4_length {
    uint64_t v;
    uint32_t hz;
};

void mp4_ftyp(struct wr *w);
void mp4_mvhd(struct wr *w, struct mp4_length of, uint32_t next_track);
/* duration: in the movie's time. */
void mp4_tkhd(struct wr *w, const struct track *t, uint32_t id, uint64_t duration);
/* One entry of a stsd: t is of a codec that mp4_mask knows. */
void mp4_sample_entry(struct wr *w, const struct track *t);

/* mdia down to the head of its stbl: three boxes stay open. */
struct mp4_media {
    size_t mdia, minf, stbl;
};
struct mp4_media mp4_media_begin(struct wr *w, enum track_kind kind, struct mp4_length of);
void mp4_media_end(struct wr *w, const struct mp4_media *at);

#endif
