/* The least delay seen over the last one to two windows of TIME: how a media clock is tied to the clock of
 * arrival when packets come late, but never early. Used by timeline.c. */
#ifndef MEDIA_DELAY_H
#define MEDIA_DELAY_H

#include "common/base/types.h"

#define DELAY_WINDOW_US (60 * US_PER_S)

struct delay {
    bool any;
    usec_t begun_us; /* of the window at hand */
    usec_t first_us; /* of all */
    usec_t now_min, before_min;
    bool has_before;
};

void delay_add(struct delay *d, usec_t mono_us, usec_t delay_us);
/* Least of both windows; only with any. */
usec_t delay_least(const struct delay *d);
/* Still within the first window? */
bool delay_young(const struct delay *d, usec_t mono_us);

#endif
