/* Tokens that count no more, on all nodes: what is revoked here is told to every other node at once, and all
 * of it to a node whose courier has come back, since it may have missed some. What comes from others is taken
 * and not told on: each tells all. Tests: tests/cluster/test_transfer.py,
 * tests/unit/cluster/test_revocations.c. */
#ifndef CLUSTER_REVOCATIONS_H
#define CLUSTER_REVOCATIONS_H

#include "master/tokens.h"

struct cluster;
struct master;

void revocations_add(struct master *m, const struct revoked_row *row); /* without a cluster it does nothing */
void revocations_got(struct master *m, uint16_t node, uint64_t boot, struct span body);
/* That row of tokens.v goes, those behind it move down by one. */
void revocations_gone(struct master *m, size_t at);
void revocations_tick(struct cluster *c); /* with each beat */

#endif
