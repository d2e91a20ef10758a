#include "worker/backoff.h"

usec_t backoff_wait(struct backoff *b, usec_t played_us, bool refused)
{
    usec_t most_us = MIN(refused ? BACKOFF_REFUSED_US : BACKOFF_MOST_US, MAX(b->most_us, BACKOFF_FIRST_US));
    usec_t wait_us;

    if (played_us >= BACKOFF_PLAYED_US || b->next_us == 0)
        b->next_us = CLAMP(b->first_us, US_PER_S / 10, BACKOFF_FIRST_US);
    b->tries = played_us > 0 ? 1 : b->tries + 1;
    wait_us = MIN(refused ? MAX(b->next_us, BACKOFF_REFUSED_FIRST_US) : b->next_us, most_us);
    b->next_us = MIN(wait_us * 2, BACKOFF_REFUSED_US);
    return wait_us;
}
