/* Events that go on, or whose footage may still be on its way: the master knows them for the workers, which
 * die, and until the keeper has them in its index. An event is told to the keeper, and in dvr-mode = event to
 * the stream's worker; again whenever one of them is new. Bounded: EVENTS_STREAM_MAX of a stream; the oldest
 * is left behind, and the log says so where no storage had it yet. Tests: tests/unit/master/test_events.c,
 * tests/e2e/test_events.py. */
#ifndef MASTER_EVENTS_H
#define MASTER_EVENTS_H

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/ipc/event.h"

#define EVENTS_STREAM_MAX 64
#define EVENTS_OPEN_US    (3600 * US_PER_S) /* without an end and without being said again: over */
#define EVENTS_PAST_US    (60 * US_PER_S)   /* known to workers for so long behind the end of its footage */
#define EVENTS_AGAIN_US   (10 * US_PER_S)   /* told to the keeper again, until it is stored */

struct master;
struct stream;

/* Of one stream. */
struct stream_events {
    struct list all; /* struct live_event, oldest first */
    size_t n;
    struct log_rate lost;
};
struct live_event {
    struct list link;
    struct event e;
    uint64_t key;               /* a worker's number of the source, 0: a call's */
    usec_t renewed_us, told_us; /* CLOCK_MONOTONIC */
    bool stored;                /* as it is now */
    bool foreign;               /* it was called on another node, which tells webhooks */
};

void events_init(struct stream_events *ev);
void events_done(struct stream_events *ev);

/* It begins (end_us 0), or happened from start to end. One that goes on, of the same source, kind and key, is
 * renewed instead. id, uid, before and after are filled in: -1 is the stream's own before and after. Returns
 * the event, which may change with the next call. */
const struct event *events_begin(struct stream *s, const struct event *e, uint64_t key);
/* The one that goes on has ended. NULL: none does. */
const struct event *events_end(struct stream *s, const struct event *e, uint64_t key);
/* As another node of the cluster was called: with its number; its end, when it is said again. */
void events_take(struct stream *s, const struct event *e);
/* EVENT of its worker. 0, or -EPROTO. */
int events_said(struct stream *s, const struct packed *body);

/* What a new worker or keeper has to know: the keeper also what goes on, since what it does not know of, it
 * ends. */
void events_tell_worker(struct stream *s);
void events_tell_keeper(struct stream *s);
/* It is in the index of a storage. */
void events_stored(struct stream *s, const struct event *e);
/* NULL: not known, or not any more. */
const struct event *events_find(const struct stream *s, uint64_t id);
/* Once a second. */
void events_check(struct stream *s, usec_t mono_us, usec_t wall_us);
/* The server ends: so do they. */
void events_stop(struct stream *s);

#endif
