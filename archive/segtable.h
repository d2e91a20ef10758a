/* The per-sample table of a segment as bytes: 3 to 6 a sample, so that the open segment's stays small.
 *
 *   0x80 | track, skip, jump       the next samples are this track's; `skip` bytes of the file lie before
 * them (varint), their decode time is `jump` ticks from where the track stood (zigzag varint) flags | 0x20 |
 * 0x40, size, ... a sample: frame_flag in the low five bits; 0x20: a new duration follows (varint); 0x40: a
 * new composition offset follows (zigzag varint)
 *
 * varint: seven bits a byte, low ones first, 0x80: more. Offsets are of the file, decode times count from
 * tfdt 0. Tests: tests/unit/archive/test_segment.c, tests/fuzz/fuzz_segtable.c. */
#ifndef ARCHIVE_SEGTABLE_H
#define ARCHIVE_SEGTABLE_H

#include "common/media/mp4.h"

struct segtable_at {
    uint64_t offset; /* behind the last sample */
    int track;       /* of the last sample, -1: none */
    uint32_t n;
    struct {
        int64_t dts; /* expected */
        uint32_t dur;
        int32_t cts;
    } t[TRACK_MAX];
};
struct segtable_at segtable_start(void);

/* Appends n samples. false: memory, or the buffer's limit; *at and buf are then of no use. */
bool segtable_write(struct buf *to, struct segtable_at *at, const struct mp4_sample *s, size_t n);
/* Reads n samples, which must fill `in`, into out. Every sample lies within the file's first `bytes`. */
bool segtable_read(struct span in, uint64_t bytes, struct mp4_sample *out, size_t n);

#endif
