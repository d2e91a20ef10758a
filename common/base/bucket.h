/* Token bucket with reservations: everybody is served in turn, at the rate, after a burst. Time is given.
 * Tests: tests/unit/connector/test_policy.c. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include "common/base/types.h"

#define BUCKET_WAIT_MAX_US (60 * US_PER_S)

struct bucket {
    usec_t every_us; /* one token each */
    unsigned burst;
    usec_t full_us; /* when it will be full again; 0: is */
};

struct bucket bucket_of(usec_t every_us, unsigned burst);
/* How long until there is one. */
usec_t bucket_peek(const struct bucket *b, usec_t now_us);
/* Takes a token; how long to wait before what it is for may be done, at most BUCKET_WAIT_MAX_US. */
usec_t bucket_take(struct bucket *b, usec_t now_us);

#endif
