/* What of the archive a viewer may see: the window of a token. Whatever road footage leaves on, nothing
 * captured outside of it is shown: what begins before it begins with the first key frame inside, and what
 * goes on behind it ends with the last frame before (docs/access.md). Tests:
 * tests/unit/httpd/test_sight.c. */
#ifndef HTTPD_SIGHT_H
#define HTTPD_SIGHT_H

#include "common/base/clock.h"

/* Wall clock, [from_us, to_us); 0: open. */
struct sight {
    usec_t from_us, to_us;
};
#define SIGHT_NOTHING ((struct sight){INT64_MAX, 1})

/* Leaves of a time what is inside. false: nothing is. */
static inline bool sight_clip(const struct sight *s, usec_t *from_us, usec_t *to_us)
{
    *from_us = MAX(*from_us, s->from_us);
    if (s->to_us > 0) *to_us = MIN(*to_us, s->to_us);
    return *from_us < *to_us;
}

/* May the picture that stands at this moment be shown? At the end it is the last one before. */
static inline bool sight_at(const struct sight *s, usec_t at_us)
{
    return at_us >= s->from_us && (s->to_us == 0 || at_us <= s->to_us);
}

#endif
