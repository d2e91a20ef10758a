/* age_clock.h in a storage's thread: what is known stands on the storage, in .clock (microseconds since 1970
 * as text, a line), written once a minute. Where that is missing, the newest footage counts. */
#ifndef ARCHIVE_WORK_CLOCK_H
#define ARCHIVE_WORK_CLOCK_H

#include "archive/age_clock.h"

#define WORK_CLOCK_FILE ".clock"

struct answer;
struct work;
struct work_clock {
    struct age_clock age;
    usec_t now_us, ahead_us; /* as of the last tick */
    usec_t saved_us;         /* CLOCK_MONOTONIC */
};

/* Its index has been opened. */
void work_clock_opened(struct work *w);
/* Once a second. */
void work_clock_tick(struct work *w, usec_t now_us);
/* The time that ages are counted by. */
usec_t work_clock_now(struct work *w);

/* storage clock NAME: it is right. */
bool work_clock_accept(struct work *w, struct answer *a);

#endif
