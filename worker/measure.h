/* What a stream needs of its ring, and its figures: GOP, bit rate, largest frame. Bytes count as they lie in
 * the ring. Tests: tests/unit/worker/test_measure.c. */
#ifndef WORKER_MEASURE_H
#define WORKER_MEASURE_H

#include "common/ring/ring.h"

#define MEASURE_WINDOW_US (10 * US_PER_S)
#define MEASURE_MARGIN_US (3 * US_PER_S)

struct measure {
    uint64_t gop_bytes, gop_all; /* of the GOP under way: bytes and frames of all tracks */
    uint32_t gop_frames;         /* of its track */
    usec_t gop_start_us;
    uint64_t last_bytes, last_all; /* of the GOP before */
    uint64_t pair_bytes, pair_all; /* most of two GOPs */
    uint64_t largest;
    bool began;
    uint32_t done_frames, done_ms; /* of the last whole GOP */
    usec_t window_start_us;
    uint64_t window_bytes, window_all;
    uint32_t bitrate;  /* of the last whole window, bytes of frames, */
    uint32_t frames_s; /* and frames a second of all tracks, rounded up */
};

/* A frame was stored. entry: a GOP begins. video: it counts as a frame of the GOP. media_us: its media
 * time, which no step of a clock moves. */
void measure_frame(struct measure *m, bool entry, bool video, size_t bytes, usec_t media_us);
/* A frame of that size was too large for the ring. */
void measure_large(struct measure *m, size_t bytes);
/* Footage is missing: the GOP under way is none. */
void measure_break(struct measure *m);
/* Least geometry for what was seen: two GOPs, four of the largest frames; before_us of footage, with a GOP
 * before it and a margin behind it: an event is told of late. */
struct ring_geom measure_geom(const struct measure *m, usec_t before_us, uint32_t ring_max);
/* Is that much more than the ring has? A few bytes too little are not worth a ring of twice the size. */
bool measure_outgrown(const struct measure *m, struct ring_geom now, usec_t before_us, uint32_t ring_max);
uint64_t measure_bytes(const struct measure *m, usec_t before_us);

#endif
