/* What back-fill has to fetch: pure comparisons of what two nodes have of a stream. Tests:
 * tests/unit/courier/test_fill_plan.c. */
#ifndef COURIER_FILL_PLAN_H
#define COURIER_FILL_PLAN_H

#include "archive/index.h"
#include "common/base/types.h"

#define FILL_SLACK_US US_PER_S /* ranges so close to each other are one (archive/index.h): no gap is seen */
#define FILL_FRAME_US (40 * US_PER_MS) /* what a segment has of a gap, or it is not worth its bytes */

struct fill_spans {
    struct index_range *v;
    size_t n, cap;
};
/* In any order; spans_settle sorts and joins them. */
void fill_spans_add(struct fill_spans *s, usec_t start_us, usec_t end_us);
void fill_spans_settle(struct fill_spans *s);
void fill_spans_done(struct fill_spans *s);
void fill_spans_cut(struct fill_spans *s, usec_t end_us); /* a settled one: what lies behind goes */
/* What of theirs lies outside ours, FILL_SLACK_US or longer: the newest first, at most max. Both settled. */
size_t fill_gaps(
    const struct fill_spans *ours, const struct fill_spans *theirs, struct index_range *out, size_t max);
/* Does a segment have so much of that gap that it is worth its bytes: a frame of it? */
bool fill_wanted(const struct index_range *gap, usec_t start_us, usec_t end_us);

#endif
