/* How many of a cluster's nodes decide (docs/decisions/033): more than half; or half of them with the lowest
 * number among them, so that of two nodes that do not hear each other the lower one decides. Any two quorums
 * share a node. Tests: tests/unit/cluster/test_act.c, test_spread.c. */
#ifndef CLUSTER_QUORUM_H
#define CLUSTER_QUORUM_H

#include <stdbool.h>
#include <stddef.h>

static inline bool quorum(size_t n, size_t of, bool with_lowest)
{
    return n * 2 > of || (n > 0 && n * 2 == of && with_lowest);
}

#endif
