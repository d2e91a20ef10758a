/* The life of a connection: what is watched, the timer, the end of a turn, moving and closing. */
#include "common/net/conn_impl.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/addr.h"

#include <errno.h>
#include <netinet/tcp.h>

#define LINGER_US (2 * US_PER_S) /* for the peer's end after ours */

static void end_of_turn(struct loop_task *t);
static void time_up(struct loop_timer *t);

/* --- what the socket is watched for --- */

void conn_later(struct conn *c)
{
    loop_defer(c->loop, &c->task, end_of_turn);
}

void conn_watch(struct conn *c)
{
    unsigned events = conn_wants_read(c) ? LOOP_READ : 0;

    if (c->state != CONN_CLOSED && (c->write_wait || c->want_write)) events |= LOOP_WRITE;
    if (c->t->watch)
        c->t->watch(c, events);
    else
        loop_io_events(&c->io, events);
    if ((events & LOOP_READ) && c->t->pending && c->t->pending(c)) conn_later(c);
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

void conn_active(struct conn *c)
{
    c->active_us = loop_now_us(c->loop);
}

void conn_stuck(struct conn *c, bool is)
{
    if (!is) c->stuck_us = 0;
    if (is && c->stuck_us == 0) c->stuck_us = loop_now_us(c->loop);
    arm(c);
}

/* --- the loop's calls --- */

void conn_ready(struct conn *c, unsigned events)
{
    if ((events & LOOP_WRITE) && c->want_write) {
        c->want_write = false;
        conn_active(c);
        conn_stuck(c, false);
        conn_watch(c);
        c->ops->on_sent(c);
    } else if (events & LOOP_WRITE) {
        conn_write(c);
    }
    if ((events & LOOP_READ) && conn_wants_read(c)) conn_read(c);
}

static void ready(struct loop_io *io, unsigned events)
{
    conn_ready(io->arg, events);
}

static void arrive(void *arg)
{
    struct conn *c = arg;
    void (*fn)(struct conn *) = c->arrived;

    c->arrived = NULL;
    conn_active(c);
    if (c->fd >= 0)
        loop_io_start(c->loop, &c->io, c->fd, 0, ready, c);
    else
        c->t->start(c);
    c->offer = true;
    conn_later(c);
    fn(c);
}

static void stop_watching(struct conn *c)
{
    if (c->t->watch) c->t->watch(c, 0);
    loop_io_stop(&c->io);
    loop_timer_stop(&c->timer);
    c->armed_us = 0;
}

static void leave(struct conn *c)
{
    stop_watching(c);
    c->loop = c->to;
    c->to = NULL;
    if (c->t->leave) c->t->leave(c);
    loop_post(c->loop, arrive, c);
}

/* Closed while another thread has the socket: its next write fails, and if it waits for on_sent it gets that.
 */
static void tell_borrower(struct conn *c)
{
    c->t->cut(c);
    if (!c->want_write) return;
    c->want_write = false;
    c->ops->on_sent(c);
}

static void finish(struct conn *c)
{
    loop_defer_stop(c->loop, &c->task);
    stop_watching(c);
    c->ops->on_close(c, c->err);
    loop_defer_stop(c->loop, &c->task); /* on_close may have called something that queued it */
    conn_drop_queue(c);
    buf_done(&c->in);
    c->t->close(c->fd, c->with);
    mem_free(c);
}

static void end_of_turn(struct loop_task *t)
{
    struct conn *c = CONTAINER(t, struct conn, task);

    if (c->to && c->state != CONN_CLOSED) {
        leave(c);
        return;
    }
    if (c->offer && !c->paused && c->state == CONN_OPEN) conn_offer(c);
    if (c->t->pending && conn_wants_read(c) && c->t->pending(c)) conn_read(c);
    if (c->write_wait)
        conn_after_write(c);
    else
        conn_write(c);
    if (c->to && c->state != CONN_CLOSED) {
        conn_later(c);
        return;
    }
    if (c->state != CONN_CLOSED) {
        conn_watch(c);
        arm(c);
    } else if (c->lent) {
        tell_borrower(c);
    } else {
        finish(c);
    }
}

/* --- life --- */

static void start_socket(struct conn *c)
{
    socklen_t n = sizeof(c->peer);
    int on = 1;

    fd_nonblock(c->fd);
    /* Pieces are joined here, once a turn; a socket that is not TCP has no such option. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->peer.ss_family == AF_UNSPEC && getpeername(c->fd, (struct sockaddr *)&c->peer, &n) < 0)
        c->peer.ss_family = AF_UNSPEC;
    loop_io_start(c->loop, &c->io, c->fd, LOOP_READ, ready, c);
}

struct conn *conn_new_on(struct loop *l, struct conn_over over, const struct conn_ops *ops,
    const struct conn_limits *limits, void *arg)
{
    struct conn *c = NEW(struct conn);

    must(limits->read_max > 0);
    c->loop = l;
    c->t = over.t;
    c->with = over.with;
    c->ops = ops;
    c->limits = *limits;
    c->arg = arg;
    c->fd = over.fd;
    c->tls = over.tls;
    c->peer.ss_family = AF_UNSPEC;
    if (over.peer) c->peer = *over.peer;
    buf_init(&c->in, limits->read_max + LOOP_SCRATCH);
    conn_active(c);
    if (c->fd >= 0)
        start_socket(c);
    else
        c->t->start(c);
    conn_watch(c);
    arm(c);
    return c;
}
struct conn *conn_new(
    struct loop *l, int fd, const struct conn_ops *ops, const struct conn_limits *limits, void *arg)
{
    return conn_new_on(l, conn_over_fd(fd), ops, limits, arg);
}

void conn_over_close(struct conn_over *over)
{
    over->t->close(over->fd, over->with);
    *over = (struct conn_over){.fd = -1};
}

void conn_close(struct conn *c, int err)
{
    if (c->state == CONN_CLOSED) return;
    c->state = CONN_CLOSED;
    c->err = err;
    stop_watching(c);
    conn_later(c);
}

void conn_close_after_send(struct conn *c)
{
    if (c->state != CONN_OPEN) return;
    c->state = CONN_DRAINING;
    conn_watch(c);
    conn_later(c);
}

/* Half-closes: the peer sees the end, and what it still says does not turn into a reset of what we sent. */
void conn_linger(struct conn *c)
{
    if (!c->t->half_close(c)) {
        conn_close(c, 0);
        return;
    }
    c->state = CONN_LINGERING;
    conn_active(c);
    arm(c);
    conn_watch(c);
}

void conn_migrate(struct conn *c, struct loop *to, void (*fn)(struct conn *c))
{
    must(c->n_queue == 0 && !c->lent);
    if (c->state != CONN_OPEN) return;
    c->to = to;
    c->arrived = fn;
    conn_watch(c);
    conn_later(c);
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

bool conn_local(const struct conn *c, struct sockaddr_storage *ret)
{
    socklen_t n = sizeof(*ret);

    return getsockname(c->fd, (struct sockaddr *)ret, &n) == 0;
}

bool conn_is_tls(const struct conn *c)
{
    return c->tls;
}

bool conn_is_relayed(const struct conn *c)
{
    struct sockaddr_storage there;
    socklen_t n = sizeof(there);
    struct addr a, b;

    if (getpeername(c->fd, (struct sockaddr *)&there, &n) < 0) return false;
    if (!addr_of((struct sockaddr *)&there, &a)) return false;
    return addr_of((const struct sockaddr *)&c->peer, &b) && !addr_eq(&a, &b);
}

void conn_hand_over(struct conn *c, const struct conn_ops *ops, const struct conn_limits *limits, void *arg)
{
    must(limits->read_max >= c->limits.read_max);
    c->ops = ops;
    c->limits = *limits;
    c->arg = arg;
    c->in.limit = limits->read_max + LOOP_SCRATCH;
    conn_resume(c);
}
