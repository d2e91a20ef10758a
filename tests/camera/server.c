#include "tests/camera/server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/camera/server.h"

#define EVENTS_PER_TURN 256
#define WAIT_MOST_MS    500
#define EARLY_US        500 /* due within this: done now, since epoll waits whole milliseconds */
#define AFTER_MAX       4096

static int epoll_fd = -1;
static bool stopping;
static usec_t turn_us;
static struct due **heap;
static size_t heap_n, heap_cap;
static struct {
    void (*fn)(void *arg);
    void *arg;
} after[AFTER_MAX];
static size_t n_after;

void watch_start(struct watch *w, int fd, unsigned epoll_events, void (*fn)(struct watch *, unsigned))
{
    struct epoll_event e = {.events = epoll_events, .data.ptr = w};

    w->fd = fd;
    w->fn = fn;
    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
}

void watch_change(struct watch *w, unsigned epoll_events)
{
    struct epoll_event e = {.events = epoll_events, .data.ptr = w};

    must(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, w->fd, &e) == 0);
}

void watch_stop(struct watch *w)
{
    if (w->fd < 0) return;
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    fd_close(&w->fd);
}

static void place(size_t i, struct due *d)
{
    heap[i] = d;
    d->slot = i + 1;
}

static void sift(size_t i, struct due *d)
{
    for (size_t up; i > 0 && heap[up = (i - 1) / 2]->at_us > d->at_us; i = up) place(i, heap[up]);
    for (size_t down; (down = 2 * i + 1) < heap_n; i = down) {
        if (down + 1 < heap_n && heap[down + 1]->at_us < heap[down]->at_us) down++;
        if (heap[down]->at_us >= d->at_us) break;
        place(i, heap[down]);
    }
    place(i, d);
}

void due_set(struct due *d, usec_t at_us, void (*fn)(struct due *, usec_t now_us))
{
    due_cancel(d);
    d->at_us = at_us;
    d->fn = fn;
    if (heap_n == heap_cap) {
        heap_cap = heap_cap == 0 ? 256 : heap_cap * 2;
        heap = mem_renew(heap, heap_cap * sizeof *heap);
    }
    heap_n++;
    sift(heap_n - 1, d);
}

void due_cancel(struct due *d)
{
    if (d->slot == 0) return;
    size_t i = d->slot - 1;
    struct due *last = heap[--heap_n];

    d->slot = 0;
    if (last != d) sift(i, last);
}

void server_after(void (*fn)(void *arg), void *arg)
{
    must(n_after < AFTER_MAX);
    after[n_after].fn = fn;
    after[n_after++].arg = arg;
}

void server_flush(void)
{
    for (size_t i = 0; i < n_after; i++) after[i].fn(after[i].arg);
    n_after = 0;
}

static void run_due(void)
{
    while (heap_n > 0 && heap[0]->at_us <= turn_us + EARLY_US && n_after < AFTER_MAX / 2) {
        struct due *d = heap[0];
        due_cancel(d);
        d->fn(d, turn_us);
    }
}

static int wait_ms(void)
{
    if (heap_n == 0) return WAIT_MOST_MS;
    usec_t left_us = heap[0]->at_us - clock_mono_us();
    return (int)CLAMP((left_us + US_PER_MS / 2) / US_PER_MS, 0, WAIT_MOST_MS);
}

void server_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(epoll_fd >= 0);
    turn_us = clock_mono_us();
}

void server_stop(void)
{
    stopping = true;
}
usec_t server_now_us(void)
{
    return turn_us;
}

void server_run(void)
{
    struct epoll_event events[EVENTS_PER_TURN];

    while (!stopping) {
        int n = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, wait_ms());
        must(n >= 0 || errno == EINTR);
        turn_us = clock_mono_us();
        for (int i = 0; i < n; i++) {
            struct watch *w = events[i].data.ptr;
            if (w->fd >= 0) w->fn(w, events[i].events);
        }
        run_due();
        server_flush();
    }
}
