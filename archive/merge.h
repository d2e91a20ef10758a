/* Footage that more than one node has recorded, each second once. Pure. Rules:
 *   - what this machine recorded is taken whole; of another node what lies where none before it has anything,
 *     by the order of their numbers, wherever its files lie now (those that were copied here, too);
 *   - a hole within a node's footage of at most INDEX_JOIN_US is none;
 *   - where one node's footage ends and another's goes on, the second begins with its last listed key frame
 *     before that moment, and the first ends there: nothing is missing, and nothing is seen twice;
 *   - what is being recorded counts as far as now, however much of it is listed: nobody changes sides behind
 *     it, so that what a playlist has listed stays.
 * Two runs of one node over the same time (its clock was set back) are left as they are.
 * Tests: tests/unit/archive/test_merge.c. */
#ifndef ARCHIVE_MERGE_H
#define ARCHIVE_MERGE_H

#include "common/base/types.h"

#define MERGE_SHARD_US (100 * US_PER_MS) /* less is not worth a change of sides */

/* A segment. */
struct merge_part {
    usec_t start_us, end_us; /* wall clock */
    uint16_t node;           /* that recorded it; 0: this one */
    bool writes;             /* it is being written */
};
/* What is taken of it; there may be several of one part, and none. */
struct merge_window {
    size_t part;
    usec_t from_us, until_us;
};
struct merge {
    const struct merge_part *parts;
    size_t n;
    /* The last key frame of a part at or before at_us that is listed; its start where there is none. */
    usec_t (*key)(void *arg, size_t part, usec_t at_us);
    void *arg;
    struct merge_window *w; /* the result, by from_us */
    size_t n_w, cap_w;
};
/* false: memory is out. */
bool merge_run(struct merge *m);
void merge_done(struct merge *m);

#endif
