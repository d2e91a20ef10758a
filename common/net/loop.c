#include "common/net/loop.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <ev.h>
#include <pthread.h>

#define DEFER_ROUNDS 16    /* tasks that queue tasks: then one look at the sockets between */
#define STALE_S      0.005 /* a turn that lasts longer gets a fresh clock for its timers */

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct ev_loop *ev;
    struct ev_async wake;
    struct ev_prepare before_wait;
    struct loop_task *tasks, **tasks_end;
    usec_t now_us;
    unsigned now_turn;
    uint8_t *scratch;
    pthread_mutex_t lock; /* guards posts */
    struct post *posts, **posts_end;
};

static void run_posts(struct ev_loop *ev, struct ev_async *w, int revents)
{
    struct loop *l = w->data;
    struct post *p, *next;

    (void)ev;
    (void)revents;
    pthread_mutex_lock(&l->lock);
    p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    pthread_mutex_unlock(&l->lock);
    for (; p; p = next) {
        next = p->next;
        p->fn(p->arg);
        mem_free(p);
    }
}

static struct loop_task *task_take(struct loop *l)
{
    struct loop_task *t = l->tasks;

    if (t) loop_defer_stop(l, t);
    return t;
}

static void run_tasks(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
    struct loop *l = w->data;
    struct loop_task *t;

    (void)revents;
    for (int round = 0; round < DEFER_ROUNDS && l->tasks; round++) {
        struct loop_task mark = {.fn = NULL};

        loop_defer(l, &mark, NULL);
        while ((t = task_take(l)) != &mark) t->fn(t);
    }
    if (l->tasks) ev_async_send(ev, &l->wake);
}

struct loop *loop_new(void)
{
    struct loop *l = NEW(struct loop);

    l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    must(l->ev != NULL);
    must(pthread_mutex_init(&l->lock, NULL) == 0);
    l->posts_end = &l->posts;
    l->tasks_end = &l->tasks;
    ev_async_init(&l->wake, run_posts);
    l->wake.data = l;
    ev_async_start(l->ev, &l->wake);
    ev_prepare_init(&l->before_wait, run_tasks);
    l->before_wait.data = l;
    ev_prepare_start(l->ev, &l->before_wait);
    return l;
}

void loop_free(struct loop *l)
{
    struct post *p, *next;

    if (!l) return;
    ev_async_stop(l->ev, &l->wake);
    ev_prepare_stop(l->ev, &l->before_wait);
    ev_loop_destroy(l->ev);
    for (p = l->posts; p; p = next) {
        next = p->next;
        mem_free(p);
    }
    pthread_mutex_destroy(&l->lock);
    mem_free(l->scratch);
    mem_free(l);
}

void loop_run(struct loop *l)
{
    ev_now_update(l->ev);
    ev_run(l->ev, 0);
}

void loop_break(struct loop *l)
{
    ev_break(l->ev, EVBREAK_ONE);
}

usec_t loop_now_us(struct loop *l)
{
    unsigned turn = ev_iteration(l->ev);

    if (ev_depth(l->ev) == 0 || turn != l->now_turn || l->now_us == 0) {
        l->now_us = clock_mono_us();
        l->now_turn = turn;
    }
    return l->now_us;
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post *p = NEW(struct post);
    bool first;

    *p = (struct post){.fn = fn, .arg = arg};
    pthread_mutex_lock(&l->lock);
    first = l->posts == NULL;
    *l->posts_end = p;
    l->posts_end = &p->next;
    pthread_mutex_unlock(&l->lock);
    if (first) ev_async_send(l->ev, &l->wake);
}

void loop_defer(struct loop *l, struct loop_task *t, void (*fn)(struct loop_task *t))
{
    if (t->link) return;
    t->fn = fn;
    t->next = NULL;
    t->link = l->tasks_end;
    *l->tasks_end = t;
    l->tasks_end = &t->next;
}

void loop_defer_stop(struct loop *l, struct loop_task *t)
{
    if (!t->link) return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    else
        l->tasks_end = t->link;
    t->next = NULL;
    t->link = NULL;
}

uint8_t *loop_scratch(struct loop *l)
{
    if (!l->scratch) l->scratch = mem_new(LOOP_SCRATCH);
    return l->scratch;
}

/* --- descriptors --- */

static int ev_of(unsigned events)
{
    return (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
}

static void io_ready(struct ev_loop *ev, struct ev_io *w, int revents)
{
    struct loop_io *io = w->data;
    unsigned events = (revents & EV_READ ? LOOP_READ : 0u) | (revents & EV_WRITE ? LOOP_WRITE : 0u);

    (void)ev;
    io->fn(io, events);
}

void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned events,
    void (*fn)(struct loop_io *, unsigned), void *arg)
{
    struct ev_io *w;

    loop_io_stop(io);
    w = NEW(struct ev_io);
    *io = (struct loop_io){.fn = fn, .arg = arg, .loop = l, .fd = fd, .events = events, .ev = w};
    ev_io_init(w, io_ready, fd, ev_of(events));
    w->data = io;
    if (events) ev_io_start(l->ev, w);
}

void loop_io_events(struct loop_io *io, unsigned events)
{
    struct ev_io *w = io->ev;

    if (!w || io->events == events) return;
    io->events = events;
    ev_io_stop(io->loop->ev, w);
    ev_io_set(w, io->fd, ev_of(events));
    if (events) ev_io_start(io->loop->ev, w);
}

void loop_io_stop(struct loop_io *io)
{
    if (!io->ev) return;
    ev_io_stop(io->loop->ev, io->ev);
    mem_free(io->ev);
    io->ev = NULL;
    io->events = 0;
}

/* --- timers --- */

static void timer_fired(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    struct loop_timer *t = w->data;

    (void)ev;
    (void)revents;
    t->fn(t);
}

static void timer_start(struct loop *l, struct loop_timer *t, usec_t after_us, usec_t every_us,
    void (*fn)(struct loop_timer *), void *arg)
{
    struct ev_timer *w = t->ev;

    if (w) {
        ev_timer_stop(t->loop->ev, w);
    } else {
        w = NEW(struct ev_timer);
        ev_init(w, timer_fired);
        w->data = t;
    }
    *t = (struct loop_timer){.fn = fn, .arg = arg, .loop = l, .ev = w};
    if (ev_depth(l->ev) == 0 || ev_time() - ev_now(l->ev) > STALE_S) {
        ev_now_update(l->ev);
        l->now_us = 0;
    }
    ev_timer_set(w, (double)MAX(after_us, 0) / 1e6, (double)every_us / 1e6);
    ev_timer_start(l->ev, w);
}

void loop_timer_set(
    struct loop *l, struct loop_timer *t, usec_t after_us, void (*fn)(struct loop_timer *), void *arg)
{
    timer_start(l, t, after_us, 0, fn, arg);
}

void loop_timer_every(
    struct loop *l, struct loop_timer *t, usec_t every_us, void (*fn)(struct loop_timer *), void *arg)
{
    must(every_us > 0);
    timer_start(l, t, every_us, every_us, fn, arg);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (!t->ev) return;
    ev_timer_stop(t->loop->ev, t->ev);
    mem_free(t->ev);
    t->ev = NULL;
}

bool loop_timer_armed(const struct loop_timer *t)
{
    struct ev_timer *w = t->ev;

    return w && ev_is_active(w);
}

/* --- signals --- */

static void signal_came(struct ev_loop *ev, struct ev_signal *w, int revents)
{
    struct loop_signal *s = w->data;

    (void)ev;
    (void)revents;
    s->fn(s, w->signum);
}

void loop_signal_start(
    struct loop *l, struct loop_signal *s, int signo, void (*fn)(struct loop_signal *, int), void *arg)
{
    struct ev_signal *w;

    loop_signal_stop(s);
    w = NEW(struct ev_signal);
    *s = (struct loop_signal){.fn = fn, .arg = arg, .loop = l, .ev = w};
    ev_signal_init(w, signal_came, signo);
    w->data = s;
    ev_signal_start(l->ev, w);
}

void loop_signal_stop(struct loop_signal *s)
{
    if (!s->ev) return;
    ev_signal_stop(s->loop->ev, s->ev);
    mem_free(s->ev);
    s->ev = NULL;
}
