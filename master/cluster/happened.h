/* Events that somebody calls (msctl event, the API): whichever node is told, all nodes of the stream know of
 * them, so that the one that records it keeps the footage, and a backup that takes over goes on with it. What
 * a camera says its worker hears. Tests: tests/unit/master/test_events.c, tests/cluster/test_archive.py. */
#ifndef CLUSTER_HAPPENED_H
#define CLUSTER_HAPPENED_H

#include "common/ipc/event.h"

struct master;
struct stream;

/* It begins, or its end is known. Who is not there is not told. */
void happened_tell(const struct stream *s, const struct event *e);
/* Of another master. */
void happened_got(struct master *m, uint16_t node, uint64_t boot, struct span body);

#endif
