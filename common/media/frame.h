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

#endif
