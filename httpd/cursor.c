#include "httpd/cursor.h"
#include "httpd/fresh.h"
#include "common/base/clock.h"

#include <errno.h>
#include <unistd.h>

#define TURN_FRAMES    1024 /* then the other streams of this loop have their turn */
#define TURN_BYTES     (4u << 20)
#define POLL_US        (250 * US_PER_MS) /* beside the signals: a worker that has not seen the demand yet */
#define REOPEN_US      (250 * US_PER_MS) /* a bad ring is opened again after this, twice that, and so on ... */
#define REOPEN_MOST_US (30 * US_PER_S)   /* ... up to this; ... */
#define REOPEN_WELL_US (60 * US_PER_S)   /* ... from the start, once it was good for so long */

static void pull(struct cursor *c);
static void signalled(struct loop_io *io, unsigned events);

/* Reads into a chunk: buf_room gives exactly this memory, or refuses. */
static int read_chunk(struct cursor *c, size_t n, struct frame *fr, struct chunk **ret)
{
    struct chunk *data = chunk_new(n);
    struct buf into;
    int err;

    if (!data) return RING_E_LOST;
    into = (struct buf){.mem = data->data, .cap = n, .limit = n};
    err = ring_read(c->ring, c->next, &into, fr);
    if (err == RING_OK && fr->data.n == n) {
        *ret = data;
        return RING_OK;
    }
    chunk_unref(data);
    return err == RING_OK || err == -ENOMEM ? RING_E_LOST : err;
}

static int read_borrowed(struct cursor *c, struct frame *fr)
{
    size_t n = fr->data.n;
    int err = ring_read(c->ring, c->next, &c->s->hub->frame, fr);

    return err == -ENOMEM || (err == RING_OK && fr->data.n != n) ? RING_E_LOST : err;
}

/* The frame at c->next. RING_OK: taken or passed over. */
static int take_frame(struct cursor *c)
{
    struct frame fr;
    struct chunk *data = NULL;
    int err = ring_peek(c->ring, c->next, &fr);

    if (err != RING_OK) return err;
    err = fr.track < TRACK_MAX && fr.data.n > 0 ? c->ops->want(c->arg, &fr) : RING_E_GEN;
    if (err == RING_E_AGAIN) return err;
    if (err != RING_OK) {
        c->next++;
        return RING_OK;
    }
    err = c->ops->borrowed ? read_borrowed(c, &fr) : read_chunk(c, fr.data.n, &fr, &data);
    if (err != RING_OK) return err;
    c->turn_bytes += fr.data.n;
    c->next++;
    c->ops->frame(c->arg, &fr, data);
    return RING_OK;
}

static void place(struct cursor *c)
{
    uint64_t key;

    if (c->placed && c->next <= MAX(ring_next(c->ring), 1)) return;
    /* Numbers run on through workers and rings; only one that lied has gone back. */
    if (!fresh_start(c->ring, clock_mono_us(), &c->next))
        c->next = MAX(ring_next(c->ring), 1);
    else if (c->ops->newest && ring_last_key(c->ring, &key) == RING_OK)
        c->next = MAX(key, c->next);
    c->ops->broken(c->arg);
    c->placed = true;
}

static int open_ring(struct cursor *c)
{
    int err = ring_reader_open(c->s->ring.ring_fd, &c->ring);

    if (err != 0) {
        c->ring = NULL;
        return err;
    }
    loop_io_start(c->s->hub->loop, &c->io, c->s->ring.frame_event_fd, LOOP_READ, signalled, c);
    return 0;
}

static void close_ring(struct cursor *c)
{
    loop_io_stop(&c->io);
    ring_reader_close(c->ring);
    c->ring = NULL;
}

static void lost(struct cursor *c)
{
    uint64_t seq;

    c->ops->broken(c->arg);
    c->next = ring_last_key(c->ring, &seq) == RING_OK && seq > c->next ? seq : ring_next(c->ring);
}

/* Nothing in this ring can be trusted now: it is given up for a while, and what was bad is left out then. */
static void ring_is_bad(struct cursor *c)
{
    usec_t now_us = loop_now_us(c->s->hub->loop);
    uint32_t held;

    if (log_limited(&c->s->ring_rate, now_us, &held))
        log_event_of(
            LOG_WARN, c->s->v.uid, "ring-bad", "seq=%llu held=%u", (unsigned long long)c->next, held);
    if (c->ring) lost(c);
    close_ring(c);
    if (now_us - c->bad_us > REOPEN_WELL_US) c->backoff_us = 0;
    c->bad_us = now_us;
    c->backoff_us = CLAMP(2 * c->backoff_us, REOPEN_US, REOPEN_MOST_US);
    c->reopen_us = now_us + c->backoff_us;
}

static void reopen(struct cursor *c)
{
    if (c->ring || loop_now_us(c->s->hub->loop) < c->reopen_us) return;
    if (open_ring(c) != 0) ring_is_bad(c);
}

static void polled(struct loop_timer *t)
{
    pull(t->arg);
}

/* Everything that is there, within this turn's share. */
static void pull(struct cursor *c)
{
    struct loop *loop = c->s->hub->loop;
    unsigned n = 0;
    int err = RING_E_AGAIN;

    reopen(c);
    if (c->ring) place(c);
    c->turn_bytes = 0;
    while (c->ring && n < TURN_FRAMES && c->turn_bytes < TURN_BYTES) {
        err = take_frame(c);
        if (err == RING_E_AGAIN) break;
        if (err == RING_E_LOST) lost(c);
        if (err == RING_E_BAD) ring_is_bad(c);
        n++;
    }
    c->caught_up = c->caught_up || err == RING_E_AGAIN || !c->ring;
    loop_timer_set(loop, &c->poll, err == RING_OK && c->ring ? 0 : POLL_US, polled, c);
    c->ops->turned(c->arg);
}

static void signalled(struct loop_io *io, unsigned events)
{
    struct cursor *c = io->arg;
    uint64_t count;

    (void)events;
    (void)!read(io->fd, &count, sizeof(count));
    pull(c);
}

static void pull_all(struct loop_timer *t)
{
    struct hub *hub = t->arg;
    struct list all;

    if (list_empty(&hub->cursors)) return;
    /* Whoever is told of frames may stop any of them. */
    all.next = hub->cursors.next;
    all.prev = hub->cursors.prev;
    all.next->prev = all.prev->next = &all;
    list_init(&hub->cursors);
    while (!list_empty(&all)) {
        struct cursor *c = LIST_ITEM(all.next, struct cursor, link);

        list_remove(&c->link);
        list_push(&hub->cursors, &c->link);
        if (c->ring && ring_next(c->ring) != c->next) pull(c);
    }
}

void cursors_pull_together(struct hub *hub, bool together)
{
    if (together && !loop_timer_armed(&hub->pull))
        loop_timer_every(hub->loop, &hub->pull, CURSORS_PULL_US, pull_all, hub);
    if (!together) loop_timer_stop(&hub->pull);
}

void cursor_start(struct cursor *c, struct stream *s, const struct cursor_ops *ops, void *arg)
{
    *c = (struct cursor){.s = s, .ops = ops, .arg = arg};
    list_push(&s->hub->cursors, &c->link);
    pull(c);
}

void cursor_stop(struct cursor *c)
{
    close_ring(c);
    loop_timer_stop(&c->poll);
    list_remove(&c->link);
}

void cursor_new_ring(struct cursor *c)
{
    close_ring(c);
    c->reopen_us = 0;
    pull(c);
}
