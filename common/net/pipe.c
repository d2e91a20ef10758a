/* Both ends share the state below under a lock; whoever changes what the other waits for wakes it by a post,
 * of which at most one is on the way. */
#include "common/net/pipe.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/net/conn_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define IN_MAX (1u << 20) /* the owner keeps far below */
#define SMALL  16384      /* a piece of a file up to this gets memory of its own */

struct out_piece {
    struct out_piece *next;
    struct chunk *chunk;
    size_t from, n;
};

struct pipe {
    pthread_mutex_t lock;
    _Atomic unsigned refs; /* of each end, and of each post */
    struct loop *owner;
    size_t ahead;
    bool tls;
    struct sockaddr_storage peer;
    /* under the lock */
    struct loop *at; /* the conn's loop; NULL: not there yet, or on its way to another */
    struct out_piece *out, **out_end;
    size_t on_way; /* written by the conn, not passed on */
    size_t taken;  /* read by the conn, not told */
    struct buf in;
    bool owner_woken, conn_woken;
    bool whole, conn_ended; /* the conn has said its end; it has gone */
    bool closed;            /* by the owner */
    bool cut;               /* the conn was closed while another thread has it */
    /* the owner's */
    const struct pipe_ops *ops;
    void *arg;
    bool told_end;
    /* the conn's, in its loop */
    struct conn *c;
    struct loop_task task;
    unsigned events; /* that it waits for */
};

struct wake {
    struct pipe *p;
    struct loop *at;
};

static void owner_turn(void *arg);
static void conn_woken(void *arg);

static void unref(struct pipe *p)
{
    struct out_piece *o;

    if (atomic_fetch_sub(&p->refs, 1) != 1) return;
    while ((o = p->out)) {
        p->out = o->next;
        chunk_unref(o->chunk);
        mem_free(o);
    }
    buf_done(&p->in);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

/* Under the lock. */
static void wake_owner(struct pipe *p)
{
    if (p->owner_woken || p->closed) return;
    p->owner_woken = true;
    atomic_fetch_add(&p->refs, 1);
    loop_post(p->owner, owner_turn, p);
}

static void wake_conn(struct pipe *p)
{
    struct wake *w;

    if (p->conn_woken || p->conn_ended || !p->at) return;
    p->conn_woken = true;
    atomic_fetch_add(&p->refs, 1);
    w = NEW(struct wake);
    *w = (struct wake){p, p->at};
    loop_post(p->at, conn_woken, w);
}

/* --- the owner's end --- */

static void owner_turn(void *arg)
{
    struct pipe *p = arg;
    struct out_piece *o;
    size_t taken;
    bool ended, whole;

    pthread_mutex_lock(&p->lock);
    p->owner_woken = false;
    o = p->closed ? NULL : p->out;
    if (o) {
        p->out = NULL;
        p->out_end = &p->out;
    }
    taken = p->taken;
    p->taken = 0;
    whole = p->whole;
    ended = whole || p->conn_ended;
    pthread_mutex_unlock(&p->lock);
    while (o) {
        struct out_piece *next = o->next;

        if (p->closed)
            chunk_unref(o->chunk);
        else
            p->ops->out(p->arg, o->chunk, o->from, o->n);
        mem_free(o);
        o = next;
    }
    if (taken > 0 && !p->closed) p->ops->taken(p->arg, taken);
    if (ended && !p->told_end && !p->closed) {
        p->told_end = true;
        p->ops->end(p->arg, whole);
    }
    unref(p);
}

struct pipe *pipe_new(
    struct loop *owner, size_t ahead, const struct conn *carrier, const struct pipe_ops *ops, void *arg)
{
    struct pipe *p = NEW(struct pipe);

    must(pthread_mutex_init(&p->lock, NULL) == 0);
    atomic_init(&p->refs, 1);
    p->owner = owner;
    p->ahead = ahead;
    p->tls = conn_is_tls(carrier);
    p->peer = *conn_peer(carrier);
    p->out_end = &p->out;
    p->ops = ops;
    p->arg = arg;
    buf_init(&p->in, IN_MAX);
    return p;
}

bool pipe_give(struct pipe *p, struct span bytes)
{
    bool ok;

    pthread_mutex_lock(&p->lock);
    ok = buf_put(&p->in, bytes);
    wake_conn(p);
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void pipe_passed(struct pipe *p, size_t n)
{
    pthread_mutex_lock(&p->lock);
    must(n <= p->on_way);
    p->on_way -= n;
    if (p->on_way <= p->ahead / 2) wake_conn(p);
    pthread_mutex_unlock(&p->lock);
}

/* What is on the way may share chunks of this loop: it is dropped here. */
void pipe_close(struct pipe *p)
{
    struct out_piece *o;

    pthread_mutex_lock(&p->lock);
    p->closed = true;
    o = p->out;
    p->out = NULL;
    p->out_end = &p->out;
    wake_conn(p);
    pthread_mutex_unlock(&p->lock);
    while (o) {
        struct out_piece *next = o->next;

        chunk_unref(o->chunk);
        mem_free(o);
        o = next;
    }
    unref(p);
}

/* --- the conn's end --- */

/* What it could do now, of what it waits for. */
static unsigned possible(struct pipe *p)
{
    unsigned events = 0;

    pthread_mutex_lock(&p->lock);
    if (buf_n(&p->in) > 0) events |= LOOP_READ;
    if (p->on_way <= p->ahead / 2 || p->closed) events |= LOOP_WRITE;
    if (p->closed) events |= LOOP_READ;
    pthread_mutex_unlock(&p->lock);
    return events & p->events;
}

static void conn_turn(struct loop_task *t)
{
    struct pipe *p = CONTAINER(t, struct pipe, task);
    unsigned events = possible(p);

    if (events != 0) conn_ready(p->c, events);
}

static void pipe_watch(struct conn *c, unsigned events)
{
    struct pipe *p = c->with;

    p->events = events;
    if (possible(p) != 0)
        loop_defer(c->loop, &p->task, conn_turn);
    else
        loop_defer_stop(c->loop, &p->task);
}

/* It may have moved since, or have ended. */
static void conn_woken(void *arg)
{
    struct wake *w = arg;
    struct pipe *p = w->p;
    bool here, closed;

    pthread_mutex_lock(&p->lock);
    p->conn_woken = false;
    here = p->at == w->at && !p->conn_ended;
    closed = p->closed;
    if (p->at != w->at) wake_conn(p); /* it has moved */
    pthread_mutex_unlock(&p->lock);
    if (here && p->c && closed)
        conn_close(p->c, -ECONNRESET);
    else if (here && p->c)
        pipe_watch(p->c, p->events);
    mem_free(w);
    unref(p);
}

/* What came while it was on its way is looked at here. */
static void pipe_start(struct conn *c)
{
    struct pipe *p = c->with;

    p->c = c;
    pthread_mutex_lock(&p->lock);
    p->at = c->loop;
    wake_conn(p);
    pthread_mutex_unlock(&p->lock);
}

static void pipe_leave(struct conn *c)
{
    struct pipe *p = c->with;

    pthread_mutex_lock(&p->lock);
    p->at = NULL;
    pthread_mutex_unlock(&p->lock);
}

static ssize_t pipe_read(struct conn *c, uint8_t *to, size_t cap)
{
    struct pipe *p = c->with;
    struct span in;
    ssize_t n = -EAGAIN;

    pthread_mutex_lock(&p->lock);
    in = span_sub(buf_span(&p->in), 0, cap);
    if (in.n > 0) {
        memcpy(to, in.p, in.n);
        buf_take(&p->in, in.n);
        buf_shrink(&p->in);
        p->taken += in.n;
        n = (ssize_t)in.n;
        wake_owner(p);
    } else if (p->closed) {
        n = -ECONNRESET;
    }
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* How much may be written now, or -errno. */
static ssize_t room(struct pipe *p)
{
    ssize_t n;

    pthread_mutex_lock(&p->lock);
    n = p->closed || p->cut ? -EPIPE : p->on_way >= p->ahead ? -EAGAIN : (ssize_t)(p->ahead - p->on_way);
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* Takes the chunk. wake: now; else by pipe_lent_end, so that the owner's thread is not woken for each part.
 */
static ssize_t put(struct pipe *p, struct chunk *chunk, size_t from, size_t n, bool wake)
{
    struct out_piece *o;

    if (!chunk) return -ENOMEM;
    o = NEW(struct out_piece);
    *o = (struct out_piece){NULL, chunk, from, n};
    pthread_mutex_lock(&p->lock);
    *p->out_end = o;
    p->out_end = &o->next;
    p->on_way += n;
    if (wake) wake_owner(p);
    pthread_mutex_unlock(&p->lock);
    return (ssize_t)n;
}

static struct chunk *copy(struct span bytes)
{
    struct chunk *c = chunk_new(bytes.n);

    if (c) memcpy(c->data, bytes.p, bytes.n);
    return c;
}

static ssize_t pipe_write(struct conn *c)
{
    struct pipe *p = c->with;
    struct piece *first = conn_piece(c, 0);
    ssize_t may = room(p);
    size_t n, from = first->from;
    struct chunk *chunk;

    if (may < 0) return may;
    n = MIN((size_t)may, first->n);
    if (c->loop == p->owner) {
        chunk = chunk_ref(first->chunk);
    } else if (first->chunk->refs == 1 && n == first->n) {
        chunk = first->chunk;
        first->chunk = NULL;
    } else {
        chunk = copy(span(first->chunk->data + from, n));
        from = 0;
    }
    return put(p, chunk, from, n, true);
}

/* A pool thread's bytes go to the owner without the conn's loop. */
static ssize_t pipe_lent_send(struct conn *c, struct span bytes, bool more)
{
    struct pipe *p = c->with;
    ssize_t may = room(p);

    (void)more;
    if (may < 0) return may;
    bytes = span_sub(bytes, 0, (size_t)may);
    return put(p, copy(bytes), 0, bytes.n, false);
}

static ssize_t pipe_lent_file(struct conn *c, int fd, uint64_t at, size_t n)
{
    struct pipe *p = c->with;
    ssize_t may = room(p), got;
    struct chunk *chunk;

    if (may < 0) return may;
    n = MIN(MIN(n, (size_t)may), CHUNK_BLOCK);
    chunk = n > SMALL ? chunk_block() : chunk_new(n);
    if (!chunk) return -ENOMEM;
    do got = pread(fd, chunk->data, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got > 0) return put(p, chunk, 0, (size_t)got, false);
    chunk_unref(chunk);
    return got < 0 ? -errno : 0;
}

static void pipe_lent_end(struct conn *c)
{
    struct pipe *p = c->with;

    pthread_mutex_lock(&p->lock);
    if (p->out) wake_owner(p);
    pthread_mutex_unlock(&p->lock);
}

/* The other end is here: there is nothing to wait for. */
static bool pipe_half_close(struct conn *c)
{
    struct pipe *p = c->with;

    pthread_mutex_lock(&p->lock);
    p->whole = true;
    wake_owner(p);
    pthread_mutex_unlock(&p->lock);
    return false;
}

static void pipe_cut(struct conn *c)
{
    struct pipe *p = c->with;

    pthread_mutex_lock(&p->lock);
    p->cut = true;
    pthread_mutex_unlock(&p->lock);
}

static void pipe_done(int fd, void *with)
{
    struct pipe *p = with;

    (void)fd;
    pthread_mutex_lock(&p->lock);
    p->conn_ended = true;
    p->c = NULL;
    wake_owner(p);
    pthread_mutex_unlock(&p->lock);
    unref(p);
}

static const struct conn_transport conn_pipe = {.read = pipe_read,
    .write = pipe_write,
    .lent_send = pipe_lent_send,
    .lent_file = pipe_lent_file,
    .lent_end = pipe_lent_end,
    .start = pipe_start,
    .watch = pipe_watch,
    .leave = pipe_leave,
    .half_close = pipe_half_close,
    .cut = pipe_cut,
    .close = pipe_done};

struct conn_over conn_over_pipe(struct pipe *p)
{
    atomic_fetch_add(&p->refs, 1);
    return (struct conn_over){.t = &conn_pipe, .fd = -1, .with = p, .tls = p->tls, .peer = &p->peer};
}
