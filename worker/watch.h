/* Silence of a track (cameras.md K11, K13, K14): nothing for 10 s, or three times the longest gap that it had
 * before. Tests: tests/unit/worker/test_measure.c. */
#ifndef WORKER_WATCH_H
#define WORKER_WATCH_H

#include "common/base/types.h"

#define WATCH_LEAST_US (10 * US_PER_S)
#define WATCH_MOST_US  (60 * US_PER_S)
#define WATCH_TIMES    3

struct watch {
    usec_t last_us;    /* monotonic, of the last sign of life; 0: not watched */
    usec_t longest_us; /* gap between two */
};

static inline usec_t watch_limit_us(const struct watch *w)
{
    return CLAMP(w->longest_us * WATCH_TIMES, WATCH_LEAST_US, WATCH_MOST_US);
}

/* A session begins to play. What was learnt stays. */
static inline void watch_start(struct watch *w, usec_t now_us)
{
    w->last_us = now_us;
}
static inline void watch_stop(struct watch *w)
{
    w->last_us = 0;
}

static inline void watch_seen(struct watch *w, usec_t now_us)
{
    if (w->last_us != 0 && now_us - w->last_us < watch_limit_us(w))
        w->longest_us = MAX(w->longest_us, now_us - w->last_us);
    w->last_us = now_us;
}

/* 0: not watched. */
static inline usec_t watch_due_us(const struct watch *w)
{
    return w->last_us ? w->last_us + watch_limit_us(w) : 0;
}

#endif
