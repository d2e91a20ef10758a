/* Events in a storage's thread: into the index, a batch a tick; those that nobody ends are found, and those
 * that are older than all footage go; and
 * `events` of msctl. What cannot be put is forgotten here: the master says it again. */
#ifndef ARCHIVE_WORK_EVENTS_H
#define ARCHIVE_WORK_EVENTS_H

#include "archive/ask.h"
#include "archive/event_newest.h"
#include "archive/index.h"
#include "archive/keep.h"

#define WORK_EVENTS_MAX 256 /* of a batch: one more, and it is put at once */

struct work;
struct job;
struct work_events {
    struct event *wait;
    size_t n;
    usec_t dropped_us;          /* old ones were looked for, last */
    char after[EVENT_UID_MAX];  /* the stream they were looked for of */
    struct index_event_at walk; /* for those that go on: where it is, */
    usec_t walk_us;             /* and when the next one begins */
};

void work_event(struct work *w, const struct job *j);
/* What has come is in the index now. As work_events_tick. */
int work_events_put(struct work *w);
/* It goes on by the index, and the master does not know of it: its server was killed. It ends with the
 * footage that its stream had at the time j->id. */
void work_event_over(struct work *w, const struct job *j);
/* 0, INDEX_E_DAMAGED, -errno: the index took nothing. */
int work_events_tick(struct work *w, usec_t now_us);
void work_events_done(struct work *w);

/* Older than the oldest footage of its stream, and than the configuration lets any be. */
bool work_event_is_old(struct work *w, const struct event *e);
/* reap.h's question; arg: struct work. Footage of an event stays for dvr-event-duration. */
bool work_event_protects(
    void *arg, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us);

/* events [UID] [from=T] [to=T] [kind=K] [limit=N] [seen=LIST] */
struct work_events_list {
    bool begun;
    struct event_query q;
    struct index_event_at at;
    struct event_newest newest; /* with a limit: all are looked at, then these are said */
    size_t said;
};
int work_events_begin(struct keeper *k, struct answer *a);
bool work_events_step(struct work *w, struct answer *a);
void work_events_ended(void *state);

#endif
