#include "common/base/bucket.h"

struct bucket bucket_of(usec_t every_us, unsigned burst)
{
    return (struct bucket){.every_us = every_us, .burst = burst};
}

usec_t bucket_peek(const struct bucket *b, usec_t now_us)
{
    return MAX(MAX(b->full_us, now_us) + b->every_us - now_us - b->every_us * (usec_t)b->burst, 0);
}

usec_t bucket_take(struct bucket *b, usec_t now_us)
{
    usec_t room_us = b->every_us * (usec_t)b->burst;

    b->full_us = MAX(b->full_us, now_us) + b->every_us;
    b->full_us = MIN(b->full_us, now_us + room_us + BUCKET_WAIT_MAX_US);
    return MAX(b->full_us - now_us - room_us, 0);
}
