/* The event loop (libev behind this one door). A loop belongs to one thread; only loop_post may be called
 * from another. Callbacks may stop, free or re-arm anything, their own watcher too. Everything on a loop is
 * stopped before loop_free. A descriptor that is closed here but lives on in another process stays in the
 * kernel's set: hand out only descriptors that were never watched. Tests: tests/unit/net/test_loop.c. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "common/base/types.h"

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_run(struct loop *l); /* until loop_break */
void loop_break(struct loop *l);
usec_t loop_now_us(struct loop *l); /* CLOCK_MONOTONIC, the same during a turn */

/* Runs fn(arg) in the loop's thread, in order; thread-safe. After loop_free nothing runs. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Runs fn once at the end of this turn, before the loop waits. Zeroed memory is a task that is not queued;
 * queueing it again while it is queued does nothing. */
struct loop_task {
    void (*fn)(struct loop_task *t);
    struct loop_task *next, **link;
};
void loop_defer(struct loop *l, struct loop_task *t, void (*fn)(struct loop_task *t));
void loop_defer_stop(struct loop *l, struct loop_task *t);

/* Memory for reads of this turn, shared by all who read on this loop: nothing stays there behind a callback.
 */
#define LOOP_SCRATCH (64u << 10)
uint8_t *loop_scratch(struct loop *l);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_io {
    void (*fn)(struct loop_io *io, unsigned events);
    void *arg;
    struct loop *loop;
    int fd;
    unsigned events;
    void *ev; /* libev's watcher */
};
/* All of these: zeroed memory is a stopped watcher; stop is harmless on a stopped one. */
void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned events,
    void (*fn)(struct loop_io *, unsigned), void *arg);
void loop_io_events(struct loop_io *io, unsigned events); /* 0 pauses it */
void loop_io_stop(struct loop_io *io);

struct loop_timer {
    void (*fn)(struct loop_timer *t);
    void *arg;
    struct loop *loop;
    void *ev;
};
/* Once, after_us from now; set again moves it. */
void loop_timer_set(
    struct loop *l, struct loop_timer *t, usec_t after_us, void (*fn)(struct loop_timer *), void *arg);
void loop_timer_every(
    struct loop *l, struct loop_timer *t, usec_t every_us, void (*fn)(struct loop_timer *), void *arg);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);

struct loop_signal {
    void (*fn)(struct loop_signal *s, int signo);
    void *arg;
    struct loop *loop;
    void *ev;
};
void loop_signal_start(
    struct loop *l, struct loop_signal *s, int signo, void (*fn)(struct loop_signal *, int), void *arg);
void loop_signal_stop(struct loop_signal *s);

#endif
