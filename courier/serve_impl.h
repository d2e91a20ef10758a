/* What serve.c (questions, answers, segments) and serve_read.c (what one storage says, in its thread) share.
 */
#ifndef COURIER_SERVE_IMPL_H
#define COURIER_SERVE_IMPL_H

#include "common/ipc/event.h"
#include "courier/serve.h"

/* Where a list of events and locks goes on: 'e' and the key of an event, or 'l' and that of a lock (uid, NUL,
 * start, id); events come first. n 0: at its begin. Of another node: any bytes. */
struct serve_at {
    uint8_t v[SERVE_AT_MAX];
    size_t n;
};
struct part;
struct kind {
    enum wire_type type;
    void (*work)(struct shelf_read *r, struct index *ix);
    void (*say)(const struct part *p);
    size_t bytes_max; /* of rows */
    bool of_all;      /* uid "": of all streams */
};
struct question {
    struct list link;
    struct serve *serve;
    struct trunk *trunk; /* NULL: nobody waits for the answer */
    uint64_t id;
    const struct kind *kind;
    char uid[40], what[EVENT_KIND_MAX]; /* what: kind of event, "": any */
    usec_t from_us, to_us;
    uint64_t after;
    struct serve_at at;
    size_t most;
    unsigned left;        /* storages that have not answered */
    bool failed;          /* one of them cannot be read, or not all of it */
    bool more;            /* of events and locks; ... */
    struct serve_at next; /* ... of all storages the first place at which one goes on */
};
/* One storage's answer. */
struct part {
    struct shelf_read read;
    struct question *q;
    struct buf rows; /* packed values, n of them */
    uint32_t n, n_locks;
    struct buf locks;
    bool more, failed;
    struct serve_at next; /* of events and locks, where there are more */
};

void serve_read_find(struct shelf_read *r, struct index *ix);
void serve_read_ranges(struct shelf_read *r, struct index *ix);
void serve_read_marks(struct shelf_read *r, struct index *ix); /* events and locks */

#endif
