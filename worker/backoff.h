/* How long to wait before the next attempt to reach a camera (compatibility.md 7, cameras.md K9, K10, U6,
 * U8): 1 s, doubling to 15 s; to 60 s where the camera refused us; within the site's first and longest wait;
 * +-20 %; back to the start after 30 s of media. Tests: tests/unit/worker/test_backoff.c. */
#ifndef WORKER_BACKOFF_H
#define WORKER_BACKOFF_H

#include "common/base/types.h"

#define BACKOFF_FIRST_US         US_PER_S
#define BACKOFF_MOST_US          (15 * US_PER_S)
#define BACKOFF_REFUSED_US       (60 * US_PER_S)
#define BACKOFF_REFUSED_FIRST_US (2 * US_PER_S) /* so at most 5 tries in a minute (U8) */
#define BACKOFF_PLAYED_US        (30 * US_PER_S)
#define BACKOFF_JITTER           20 /* percent */

struct backoff {
    usec_t first_us, most_us; /* the site's bounds from above */
    usec_t next_us;           /* 0: begins anew */
    uint32_t tries;           /* failed attempts since media came last */
};

/* The wait after an attempt that failed, without jitter. played_us: how long media had come. refused: 401,
 * 403, 453, 503. */
usec_t backoff_wait(struct backoff *b, usec_t played_us, bool refused);

#endif
