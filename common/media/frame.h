/* One access unit (video), one coded block (audio) or one document (data): the unit that the ring holds. */
#ifndef MEDIA_FRAME_H
#define MEDIA_FRAME_H

#include "common/base/span.h"

enum frame_flag {
    FRAME_KEY = 1,      /* a decoder may start here; every audio and data frame has it too */
    FRAME_DISCONT = 2,  /* media time was joined here: footage is missing before it */
    FRAME_DAMAGED = 4,  /* packets were lost inside it, or it refers to a damaged one */
    FRAME_REPAIRED = 8, /* its timestamp was repaired by the timeline */
    FRAME_NOT_IDR = 16  /* with FRAME_KEY: CRA, BLA or recovery point, not IDR */
};

struct frame {
    uint64_t seq;      /* number in the ring, counts over all tracks and over ring generations */
    int64_t dts;       /* decode time, ticks of the track's clock, strictly rising within a track */
    int32_t cts;       /* presentation minus decode time, ticks */
    uint32_t dur;      /* ticks, as far as known when it was written: 0 = not known */
    usec_t wall_us;    /* wall clock of its capture, as good as we know it */
    usec_t arrival_us; /* CLOCK_MONOTONIC when its last byte was read */
    uint32_t gen;      /* of the track_set that describes it */
    uint16_t flags;
    uint8_t track;
    struct span data;
};

/* A stretch of a frame's bytes where it lies now: the bytes of `head` first, then those of `s`. nal_n > 0: a
 * NAL unit of nal_n bytes (heads counted) begins here and goes on over the pieces behind it that have nal_n
 * == 0; in a frame its length stands before it as u32. A fragmented NAL unit is so written without being
 * joined before. */
struct piece {
    struct span s;
    uint32_t nal_n;
    uint8_t head_n;
    uint8_t head[3];
};

/* Bytes of the frame that the pieces make. */
static inline size_t piece_bytes(const struct piece *p, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) sum += p[i].s.n + p[i].head_n + (p[i].nal_n > 0 ? 4 : 0);
    return sum;
}

#endif
