#include "common/net/conn.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_PIECES 64             /* pieces of one writev */
#define WRITE_TURN   (1u << 20)     /* bytes of one connection, then the others have their turn */
#define COPY_CHUNK   4096           /* least chunk for copied bytes: small sends share one */
#define LINGER_US    (2 * US_PER_S) /* for the peer's end after ours */
#define CHUNK_MAX    (SIZE_MAX / 2)

struct piece {
    struct chunk *chunk;
    size_t from, n;
};

enum conn_state {
    CONN_OPEN,
    CONN_DRAINING /* sends what is queued, then ends */,
    CONN_LINGERING,
    CONN_CLOSED
};

struct conn {
    struct loop *loop;
    const struct conn_ops *ops;
    struct conn_limits limits;
    void *arg;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task task; /* end of the turn: write, offer, close */
    usec_t armed_us;       /* when the timer fires; 0: not armed */
    usec_t active_us;      /* last read, or last byte that the peer took */
    usec_t stuck_us;       /* since when the peer has taken nothing of what waits; 0: nothing waits */
    int fd, err;
    enum conn_state state;
    bool paused, mind_end, offer, lent, want_write, was_high, write_wait, progress, eof;
    struct buf in;
    struct piece *queue; /* a ring of cap_queue pieces */
    size_t first, n_queue, cap_queue;
    size_t queued;
    uint64_t bytes_out;
    struct sockaddr_storage peer;
    struct loop *to; /* moves there at the end of the turn */
    void (*arrived)(struct conn *c);
};

static void end_of_turn(struct loop_task *t);
static void ready(struct loop_io *io, unsigned events);
static void time_up(struct loop_timer *t);

/* --- chunks --- */

struct chunk *chunk_new(size_t n)
{
    struct chunk *c;

    if (n > CHUNK_MAX) return NULL;
    c = mem_retry(NULL, sizeof(*c) + n);
    if (!c) return NULL;
    c->refs = 1;
    c->n = n;
    return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
    must(c->refs > 0 && c->refs < UINT32_MAX);
    c->refs++;
    return c;
}

void chunk_unref(struct chunk *c)
{
    if (!c) return;
    must(c->refs > 0);
    if (--c->refs == 0) mem_free(c);
}

/* --- what the socket is watched for --- */

static void later(struct conn *c)
{
    loop_defer(c->loop, &c->task, end_of_turn);
}

static bool wants_read(const struct conn *c)
{
    if (c->eof || c->to || c->state == CONN_CLOSED) return false;
    if (c->state != CONN_OPEN) return c->state == CONN_LINGERING;
    return (!c->paused || c->mind_end) && buf_n(&c->in) < c->limits.read_max;
}

static void watch(struct conn *c)
{
    unsigned events = wants_read(c) ? LOOP_READ : 0;

    if (c->state != CONN_CLOSED && (c->write_wait || c->want_write)) events |= LOOP_WRITE;
    loop_io_events(&c->io, events);
}

static usec_t sooner(usec_t a_us, usec_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

/* When this connection has to be looked at again; 0: never. Bytes that pass only move it later, so the timer
 * is looked at when it fires, not when bytes pass. */
static usec_t deadline_us(const struct conn *c)
{
    usec_t at_us = 0;

    if (c->to) return 0;
    if (c->state == CONN_LINGERING) return c->active_us + LINGER_US;
    if (c->limits.idle_us > 0 && c->stuck_us == 0 && !c->lent) at_us = c->active_us + c->limits.idle_us;
    if (c->limits.stall_us > 0 && c->stuck_us != 0) at_us = sooner(at_us, c->stuck_us + c->limits.stall_us);
    return at_us;
}

static void arm(struct conn *c)
{
    usec_t at_us = deadline_us(c), now_us = loop_now_us(c->loop);

    if (at_us == 0 || (c->armed_us != 0 && c->armed_us <= at_us)) return;
    c->armed_us = at_us;
    loop_timer_set(c->loop, &c->timer, MAX(at_us - now_us, US_PER_MS), time_up, c);
}

static void time_up(struct loop_timer *t)
{
    struct conn *c = t->arg;
    usec_t at_us = deadline_us(c);

    c->armed_us = 0;
    if (at_us != 0 && at_us <= loop_now_us(c->loop) + US_PER_MS)
        conn_close(c, c->state == CONN_LINGERING ? 0 : -ETIMEDOUT);
    else
        arm(c);
    /* Lent, or nothing bounds it now: looked at again when that changes. */
}

static void active(struct conn *c)
{
    c->active_us = loop_now_us(c->loop);
}

static void stuck(struct conn *c, bool is)
{
    if (!is) c->stuck_us = 0;
    if (is && c->stuck_us == 0) c->stuck_us = loop_now_us(c->loop);
    arm(c);
}

/* --- life --- */

struct conn *conn_new(
    struct loop *l, int fd, const struct conn_ops *ops, const struct conn_limits *limits, void *arg)
{
    struct conn *c = NEW(struct conn);
    socklen_t n = sizeof(c->peer);
    int on = 1;

    must(limits->read_max > 0);
    c->loop = l;
    c->ops = ops;
    c->limits = *limits;
    c->arg = arg;
    c->fd = fd;
    fd_nonblock(fd);
    /* Pieces are joined here, once a turn; a socket that is not TCP has no such option. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    buf_init(&c->in, limits->read_max + LOOP_SCRATCH);
    if (getpeername(fd, (struct sockaddr *)&c->peer, &n) < 0) c->peer.ss_family = AF_UNSPEC;
    active(c);
    loop_io_start(l, &c->io, fd, LOOP_READ, ready, c);
    arm(c);
    return c;
}

static struct piece *piece_at(const struct conn *c, size_t i)
{
    return &c->queue[(c->first + i) % c->cap_queue];
}

static void drop_first(struct conn *c)
{
    struct piece *p = piece_at(c, 0);

    c->queued -= p->n;
    chunk_unref(p->chunk);
    c->first = (c->first + 1) % c->cap_queue;
    c->n_queue--;
}

static void drop_queue(struct conn *c)
{
    while (c->n_queue > 0) drop_first(c);
    mem_free(c->queue);
    c->queue = NULL;
    c->first = c->cap_queue = 0;
}

static void stop_watching(struct conn *c)
{
    loop_io_stop(&c->io);
    loop_timer_stop(&c->timer);
    c->armed_us = 0;
}

static void finish(struct conn *c)
{
    loop_defer_stop(c->loop, &c->task);
    stop_watching(c);
    c->ops->on_close(c, c->err);
    loop_defer_stop(c->loop, &c->task); /* on_close may have called something that queued it */
    drop_queue(c);
    buf_done(&c->in);
    close(c->fd);
    mem_free(c);
}

void conn_close(struct conn *c, int err)
{
    if (c->state == CONN_CLOSED) return;
    c->state = CONN_CLOSED;
    c->err = err;
    stop_watching(c);
    later(c);
}

void conn_close_after_send(struct conn *c)
{
    if (c->state != CONN_OPEN) return;
    c->state = CONN_DRAINING;
    watch(c);
    later(c);
}

/* --- writing --- */

static size_t gather(const struct conn *c, struct iovec *iov)
{
    size_t n = MIN(c->n_queue, WRITE_PIECES);

    for (size_t i = 0; i < n; i++) {
        struct piece *p = piece_at(c, i);

        iov[i] = (struct iovec){.iov_base = p->chunk->data + p->from, .iov_len = p->n};
    }
    return n;
}

static void sent(struct conn *c, size_t n)
{
    c->bytes_out += n;
    c->progress = true;
    active(c);
    c->stuck_us = 0;
    while (n > 0) {
        struct piece *p = piece_at(c, 0);
        size_t part = MIN(n, p->n);

        p->from += part;
        p->n -= part;
        c->queued -= part;
        n -= part;
        if (p->n == 0) drop_first(c);
    }
}

/* Writes until the socket is full, the queue empty or the turn over. */
static void write_queue(struct conn *c)
{
    size_t turn = 0;

    c->write_wait = false;
    while (c->n_queue > 0 && turn < WRITE_TURN) {
        struct iovec iov[WRITE_PIECES];
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = gather(c, iov)};
        ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) {
            conn_close(c, -errno);
            return;
        }
        if (n < 0) break;
        sent(c, (size_t)n);
        turn += (size_t)n;
    }
    c->write_wait = c->n_queue > 0;
    stuck(c, c->n_queue > 0);
    watch(c);
}

/* Half-closes: the peer sees the end, and what it still says does not turn into a reset of what we sent. */
static void start_linger(struct conn *c)
{
    c->state = CONN_LINGERING;
    shutdown(c->fd, SHUT_WR);
    active(c);
    arm(c);
    watch(c);
}

/* What follows from the queue being shorter than it was. */
static void after_write(struct conn *c)
{
    bool told = c->was_high ? c->queued <= c->limits.queue_high / 2 : c->queued == 0;

    if (c->state == CONN_CLOSED || c->lent) return;
    if (c->state == CONN_DRAINING && c->n_queue == 0) {
        if (c->eof)
            conn_close(c, 0);
        else
            start_linger(c);
        return;
    }
    if (c->state != CONN_OPEN || !c->progress || !told) return;
    c->progress = c->was_high = false;
    if (c->ops->on_sent) c->ops->on_sent(c);
}

static void try_write(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->lent || c->to) return;
    if (c->n_queue > 0) write_queue(c);
    after_write(c);
}

static bool push(struct conn *c, struct chunk *chunk, size_t from, size_t n)
{
    if (c->n_queue == c->cap_queue) {
        size_t cap = c->cap_queue ? c->cap_queue * 2 : 8;
        struct piece *queue = mem_retry(NULL, cap * sizeof(*queue));

        if (!queue) return false;
        for (size_t i = 0; i < c->n_queue; i++) queue[i] = *piece_at(c, i);
        mem_free(c->queue);
        c->queue = queue;
        c->first = 0;
        c->cap_queue = cap;
    }
    c->n_queue++;
    *piece_at(c, c->n_queue - 1) = (struct piece){.chunk = chunk, .from = from, .n = n};
    c->queued += n;
    if (c->queued > c->limits.queue_high) c->was_high = true;
    later(c);
    return true;
}

/* Into the room behind the last piece, where that is a chunk of copies and nobody else's. */
static size_t append(struct conn *c, struct span bytes)
{
    struct piece *last;
    size_t at, n;

    if (c->n_queue == 0) return 0;
    last = piece_at(c, c->n_queue - 1);
    at = last->from + last->n;
    if (last->chunk->refs != 1 || last->chunk->n != COPY_CHUNK || at >= COPY_CHUNK) return 0;
    n = MIN(bytes.n, COPY_CHUNK - at);
    memcpy(last->chunk->data + at, bytes.p, n);
    last->n += n;
    c->queued += n;
    return n;
}

void conn_send(struct conn *c, struct span bytes)
{
    struct chunk *chunk;

    if (c->state != CONN_OPEN || bytes.n == 0) return;
    bytes = span_from(bytes, append(c, bytes));
    if (bytes.n == 0) return;
    chunk = chunk_new(MAX(bytes.n, COPY_CHUNK));
    if (chunk) memcpy(chunk->data, bytes.p, bytes.n);
    if (chunk && push(c, chunk, 0, bytes.n)) return;
    chunk_unref(chunk);
    conn_close(c, -ENOMEM);
}

void conn_send_chunk(struct conn *c, struct chunk *chunk, size_t from, size_t n)
{
    must(from <= chunk->n && n <= chunk->n - from);
    if (c->state != CONN_OPEN || n == 0) return;
    if (push(c, chunk_ref(chunk), from, n)) return;
    chunk_unref(chunk);
    conn_close(c, -ENOMEM);
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->lent || c->n_queue == 0) return;
    write_queue(c);
    later(c); /* on_sent is told at the end of the turn */
}

/* --- reading --- */

static void offer(struct conn *c)
{
    size_t n;

    c->offer = false;
    if (buf_n(&c->in) == 0) return;
    n = c->ops->on_data(c, buf_span(&c->in));
    must(n <= buf_n(&c->in));
    buf_take(&c->in, n);
    buf_shrink(&c->in);
}

/* Bytes of this read: offered where they lie, only what is left of them is kept. */
static void came(struct conn *c, struct span bytes)
{
    size_t n = 0;

    if (buf_n(&c->in) == 0 && !c->paused) {
        n = c->ops->on_data(c, bytes);
        must(n <= bytes.n);
        bytes = span_from(bytes, n);
        if (bytes.n > 0 && !buf_put(&c->in, bytes)) conn_close(c, -ENOMEM);
        return;
    }
    if (!buf_put(&c->in, bytes))
        conn_close(c, -ENOMEM);
    else if (!c->paused)
        offer(c);
}

static void ended(struct conn *c)
{
    c->eof = true;
    if (c->state == CONN_LINGERING || (c->n_queue == 0 && !c->lent))
        conn_close(c, 0);
    else
        conn_close_after_send(c);
    if (c->state != CONN_CLOSED) watch(c);
}

static void read_some(struct conn *c)
{
    uint8_t *scratch = loop_scratch(c->loop);
    size_t most = MIN(LOOP_SCRATCH, c->limits.read_max - MIN(c->limits.read_max, buf_n(&c->in)));
    ssize_t n;

    if (c->state == CONN_LINGERING) most = LOOP_SCRATCH;
    if (most == 0) return;
    do n = recv(c->fd, scratch, most, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
        conn_close(c, c->state == CONN_LINGERING ? 0 : -errno);
    } else if (n == 0) {
        ended(c);
    } else if (c->state == CONN_OPEN) {
        active(c);
        came(c, span(scratch, (size_t)n));
        if (c->state != CONN_CLOSED) watch(c);
    }
}

/* --- the loop's calls --- */

static void ready(struct loop_io *io, unsigned events)
{
    struct conn *c = io->arg;

    if ((events & LOOP_WRITE) && c->want_write) {
        c->want_write = false;
        active(c);
        stuck(c, false);
        watch(c);
        c->ops->on_sent(c);
    } else if (events & LOOP_WRITE) {
        try_write(c);
    }
    if ((events & LOOP_READ) && wants_read(c)) read_some(c);
}

static void arrive(void *arg)
{
    struct conn *c = arg;
    void (*fn)(struct conn *) = c->arrived;

    c->arrived = NULL;
    active(c);
    loop_io_start(c->loop, &c->io, c->fd, 0, ready, c);
    c->offer = true;
    later(c);
    fn(c);
}

static void leave(struct conn *c)
{
    stop_watching(c);
    c->loop = c->to;
    c->to = NULL;
    loop_post(c->loop, arrive, c);
}

/* Closed while another thread has the socket: its next write fails, and if it waits for on_sent it gets that.
 */
static void tell_borrower(struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
    if (!c->want_write) return;
    c->want_write = false;
    c->ops->on_sent(c);
}

static void end_of_turn(struct loop_task *t)
{
    struct conn *c = CONTAINER(t, struct conn, task);

    if (c->to && c->state != CONN_CLOSED) {
        leave(c);
        return;
    }
    if (c->offer && !c->paused && c->state == CONN_OPEN) offer(c);
    if (c->write_wait)
        after_write(c);
    else
        try_write(c);
    if (c->to && c->state != CONN_CLOSED) {
        later(c);
        return;
    }
    if (c->state != CONN_CLOSED) {
        watch(c);
        arm(c);
    } else if (c->lent) {
        tell_borrower(c);
    } else {
        finish(c);
    }
}

/* --- the small ones --- */

void *conn_arg(struct conn *c)
{
    return c->arg;
}

struct loop *conn_loop(struct conn *c)
{
    return c->loop;
}

const struct sockaddr_storage *conn_peer(const struct conn *c)
{
    return &c->peer;
}

size_t conn_queued(const struct conn *c)
{
    return c->queued;
}

bool conn_congested(const struct conn *c)
{
    return c->queued > c->limits.queue_high;
}

uint64_t conn_bytes_out(const struct conn *c)
{
    return c->bytes_out;
}

void conn_pause(struct conn *c)
{
    c->paused = true;
    if (c->state == CONN_OPEN) watch(c);
}

void conn_mind_end(struct conn *c, bool mind)
{
    if (c->mind_end == mind) return;
    c->mind_end = mind;
    if (c->state == CONN_OPEN) watch(c);
}

void conn_resume(struct conn *c)
{
    c->paused = false;
    if (c->state != CONN_OPEN) return;
    active(c);
    c->offer = true;
    later(c);
}

int conn_lend(struct conn *c)
{
    must(c->n_queue == 0 && !c->lent);
    c->lent = true;
    return c->fd;
}

void conn_lend_end(struct conn *c, uint64_t bytes_written)
{
    must(c->lent);
    c->lent = false;
    c->want_write = false;
    c->bytes_out += bytes_written;
    c->stuck_us = 0;
    active(c);
    later(c);
}

void conn_wait_writable(struct conn *c)
{
    c->want_write = true;
    if (c->state == CONN_CLOSED) {
        later(c);
        return;
    }
    stuck(c, true);
    watch(c);
}

void conn_migrate(struct conn *c, struct loop *to, void (*fn)(struct conn *c))
{
    must(c->n_queue == 0 && !c->lent);
    if (c->state != CONN_OPEN) return;
    c->to = to;
    c->arrived = fn;
    watch(c);
    later(c);
}
