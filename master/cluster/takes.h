/* Records of the site's etcd on their way into the streams' files, and so into what runs: many at a time, in
 * a thread (edits_batch.h), the newest of each stream. What comes of each goes to records_stored. The loop
 * only gathers them, and takes over what was stored. Tests: tests/cluster/test_store.py. */
#ifndef CLUSTER_TAKES_H
#define CLUSTER_TAKES_H

#include "common/base/span.h"

struct cluster;
struct takes;

void takes_open(struct cluster *c);
void takes_close(struct cluster *c); /* waits for the thread */
/* The text as the store has it, with its revision there; text.p NULL: the file goes. Copies. */
void takes_add(struct takes *t, const char *uid, uint64_t revision, struct span text);

#endif
