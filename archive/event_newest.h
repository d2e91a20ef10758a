/* The newest of many events that come in any order: places alone are kept, so that thousands cost little.
 * Tests: tests/unit/archive/test_work_events.c. */
#ifndef ARCHIVE_EVENT_NEWEST_H
#define ARCHIVE_EVENT_NEWEST_H

#include "common/ipc/event.h"

struct event_place {
    char uid[EVENT_UID_MAX];
    usec_t start_us;
    uint64_t id;
};
struct event_newest {
    struct event_place *v; /* once sorted: the newest first */
    size_t n, most;        /* most: so many are wanted; zeroed but for it: none has come */
};
void event_newest_add(struct event_newest *l, const struct event *e);
void event_newest_sort(struct event_newest *l); /* all have come: no more than `most` stay */
void event_newest_done(struct event_newest *l);

#endif
