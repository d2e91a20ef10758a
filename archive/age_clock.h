/* The time by which footage grows old. A wall clock may be far ahead, by a battery, a time server or a hand;
 * what is deleted by age then is gone, and was young. So the wall clock is believed only where it is no more
 * than AGE_CLOCK_MOST_US ahead of what is known: the time that stood on the storage (work_clock.c), or that
 * of its newest footage, and what has gone by since by the machine's own clock. Else age goes on by what is
 * known, until somebody says that the clock is right. A clock that is behind is believed: less is deleted.
 * No I/O; times are passed in: wall_us since 1970, boot_us of clock_boot_us. Tests:
 * tests/unit/archive/test_age_clock.c. */
#ifndef ARCHIVE_AGE_CLOCK_H
#define ARCHIVE_AGE_CLOCK_H

#include "common/base/types.h"

#define AGE_CLOCK_MOST_US (48 * 3600 * US_PER_S) /* a weekend without power */

struct age_clock { /* zeroed: nothing is known */
    bool begun;
    usec_t known_us, boot_us; /* of the wall clock, at that moment */
};

/* It was known_us at some time, perhaps long ago; 0: nothing is known, the clock is believed. */
void age_clock_learn(struct age_clock *c, usec_t known_us, usec_t wall_us, usec_t boot_us);
/* The time that ages are counted by. *ret_ahead_us: so much is the wall clock ahead of it, and not believed;
 * 0: it is. */
usec_t age_clock_now(struct age_clock *c, usec_t wall_us, usec_t boot_us, usec_t *ret_ahead_us);
/* Somebody says that it is right. */
void age_clock_accept(struct age_clock *c, usec_t wall_us, usec_t boot_us);

#endif
