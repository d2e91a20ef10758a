/* How often a dead child is born again (reliability.md "Restarts"). Pure: times and chance are given.
 *
 *   it had done its work (a worker: one GOP since its start)  at once
 *   else 0.5 s, doubling to 60 s, +-20 %, back to the start after 60 s of health
 *   5 crashes by signal in 60 s: quarantined, tried every 60 s, until 60 s of health
 *   exit code 78: waits until its configuration changes
 *
 * Tests: tests/unit/master/test_throttle.c. */
#ifndef MASTER_THROTTLE_H
#define MASTER_THROTTLE_H

#include "common/base/types.h"

#define THROTTLE_FIRST_US   (500 * US_PER_MS)
#define THROTTLE_MOST_US    (60 * US_PER_S)
#define THROTTLE_HEALTHY_US (60 * US_PER_S)
#define THROTTLE_JITTER     20 /* percent */
#define THROTTLE_CRASHES    5  /* by signal, within: */
#define THROTTLE_WINDOW_US  (60 * US_PER_S)
#define THROTTLE_CONFIG     ((usec_t)-1) /* not before its configuration changes */

enum death {
    DEATH_EXIT,   /* ended by itself, whatever the code */
    DEATH_SIGNAL, /* crashed, or was killed by somebody */
    DEATH_HANG,   /* killed by us for silence */
    DEATH_CONFIG  /* exit code 78 */
};

struct throttle {
    usec_t next_us;                      /* delay of the next death without work; 0: the first */
    usec_t crashes_us[THROTTLE_CRASHES]; /* the last ones, a ring */
    unsigned n_crashes;
    bool quarantined;
};

/* How long to wait, without jitter, or THROTTLE_CONFIG. */
usec_t throttle_died(struct throttle *t, usec_t now_us, usec_t lived_us, bool worked, enum death how);
/* Alive for so long: forgets what was, when that is long enough. */
void throttle_lives(struct throttle *t, usec_t lived_us);

#endif
