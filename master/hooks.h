/* Webhooks: what happens to the server and its streams, told by POST to `cluster-controller`. The master
 * keeps the queue, since it outlives httpd, which does the sending (httpd/webhooks.h): one batch at a time,
 * the same again until it is taken, so that an event comes at least once, with a number that never changes.
 * Reference: docs/reference/webhooks.md. Tests: tests/unit/master/test_hooks.c,
 * tests/e2e/test_webhooks.py.
 */
#ifndef MASTER_HOOKS_H
#define MASTER_HOOKS_H

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/map.h"

struct master;
struct packed;

#define HOOKS_QUEUE_MAX   5000 /* the oldest goes, and is counted */
#define HOOKS_BATCH_MAX   50
#define HOOKS_BATCH_BYTES 56000 /* of JSON in one request */
#define HOOKS_DATA_MAX    8192
#define HOOKS_HERE_MAX    (512u << 10) /* bytes that httpd has not heard: then it is not told more at once */
#define HOOKS_PULSE_S     60
#define HOOKS_DELETED_US  (60 * US_PER_S) /* between two stream:dvr:delete of a stream */
#define HOOKS_FIRST_US    US_PER_S        /* behind a request that failed, doubled each time */
#define HOOKS_MOST_US     (60 * US_PER_S)

struct hook; /* one event */
struct hooks {
    struct hook *v[HOOKS_QUEUE_MAX]; /* a ring */
    size_t first, n;
    uint64_t seq;  /* of the newest */
    uint64_t sent; /* the newest that is on its way; 0: none is */
    uint64_t dropped, delivered, failed;
    usec_t wait_us, next_us; /* CLOCK_MONOTONIC: not before */
    unsigned seconds;
    struct map deleted; /* uid -> footage that has gone, and when that was told last */
};

/* Members of the event's data. httpd is told at once, for plug-ins and the panel. */
struct hooks_pair {
    const char *name, *value; /* name: a word of ours */
};
void hooks_say(struct master *m, const char *event, const struct hooks_pair *data, size_t n);
/* To plug-ins and the panel alone. */
void hooks_say_here(struct master *m, const char *event, const struct hooks_pair *data, size_t n);
/* The same from text that is a JSON object. */
void hooks_say_json(struct master *m, const char *event, struct span data);
void hooks_tick(struct master *m, usec_t now_us); /* once a second */
/* A stream's file was changed by call: the panel is told, no webhook. */
void hooks_edited(struct master *m, const char *uid, uint64_t revision);
/* FOOTAGE_GONE: told with the next tick, and what comes within HOOKS_DELETED_US as one. */
void hooks_deleted(struct master *m, const struct packed *body);
/* HOOKS_DONE; httpd has gone: what was on its way is sent again. */
void hooks_on_done(struct master *m, const struct packed *body);
void hooks_httpd_gone(struct master *m);
void hooks_done(struct master *m);
/* What lies in the queue up to now is handed to httpd at once: the server ends. */
void hooks_flush(struct master *m);

#endif
