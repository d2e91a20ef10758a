/* What of a stream is recorded: all of it, or the windows of wall clock that events, a schedule and orders
 * make. Pure: times are parameters. Windows that overlap or touch are one stretch, so that events join
 * without a cut. When there are more than REC_WINDOWS_MAX, the nearest two become one: more is recorded
 * rather than less.
 *
 * The recorder (rec_cut.c) makes a stretch begin with the key frame at or before it, or with the very next
 * frame where the file before ended behind that key frame. Tests: tests/unit/worker/test_rec_policy.c. */
#ifndef WORKER_REC_POLICY_H
#define WORKER_REC_POLICY_H

#include "common/base/types.h"

#define REC_WINDOWS_MAX 32
#define REC_OPEN        INT64_MAX /* the end of a window that has none yet */
/* So long a window that has ended is known: frames may be written late. */
#define REC_PAST_US (60 * US_PER_S)
/* No frame of a stretch comes later than that behind its end. */
#define REC_LATE_US (3 * US_PER_S)

struct rec_window {
    uint64_t id; /* of its event; 0: the order */
    usec_t from_us, to_us;
};
struct rec_policy {
    bool all;
    unsigned n;
    struct rec_window w[REC_WINDOWS_MAX];
};

/* The window of event id (not 0) is this one from now on. */
void rec_policy_event(struct rec_policy *p, uint64_t id, usec_t from_us, usec_t to_us, usec_t now_us);
/* The one order, of the schedule or of a call: what of the last one has begun stays, up to now. to_us <=
 * from_us: no order. */
void rec_policy_order(struct rec_policy *p, usec_t from_us, usec_t to_us, usec_t now_us);
/* Forgets what ended REC_PAST_US ago. */
void rec_policy_expire(struct rec_policy *p, usec_t now_us);
/* The first stretch that ends behind at_us; it may have begun before. false: none. Not for `all`. */
bool rec_policy_stretch(const struct rec_policy *p, usec_t at_us, usec_t *ret_from_us, usec_t *ret_to_us);
/* Is at_us to be recorded? */
bool rec_policy_wants(const struct rec_policy *p, usec_t at_us);

#endif
