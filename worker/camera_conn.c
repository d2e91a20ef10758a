#include "worker/camera_conn.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/proto/interleaved.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define OUT_MAX         (64u << 10) /* requests and reports that wait; a camera that takes none is dead */
#define READS_MAX       16          /* a turn; then other events have theirs */
#define USER_TIMEOUT_MS 10000       /* K11 */
#define KEEPALIVE_IDLE  5
#define KEEPALIVE_EVERY 2
#define KEEPALIVE_COUNT 3

struct camera_conn {
    struct loop *loop;
    struct loop_io io;
    struct loop_task closing;
    const struct camera_conn_ops *ops;
    void *arg;
    int fd;
    int err;
    bool closed, paced;
    uint8_t *mem;
    size_t cap, n; /* bytes 0 to n are unread */
    struct buf out;
};

static void tell_closed(struct loop_task *t)
{
    struct camera_conn *c = CONTAINER(t, struct camera_conn, closing);

    c->ops->closed(c->arg, c->err);
}

static void fail(struct camera_conn *c, int err)
{
    if (c->closed) return;
    c->closed = true;
    c->err = err;
    loop_io_stop(&c->io);
    loop_defer(c->loop, &c->closing, tell_closed);
}

static void flush(struct camera_conn *c)
{
    while (buf_n(&c->out) > 0) {
        struct span s = buf_span(&c->out);
        ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) fail(c, -errno);
            break;
        }
        buf_take(&c->out, (size_t)n);
    }
    buf_shrink(&c->out);
    if (!c->closed) loop_io_events(&c->io, LOOP_READ | (buf_n(&c->out) > 0 ? LOOP_WRITE : 0u));
}

void camera_conn_shut(struct camera_conn *c)
{
    if (!c) return;
    c->closed = true;
    loop_io_stop(&c->io);
    loop_defer_stop(c->loop, &c->closing);
}

void camera_conn_send(struct camera_conn *c, struct span bytes)
{
    if (c->closed) return;
    if (!buf_put(&c->out, bytes))
        fail(c, -ENOBUFS);
    else
        flush(c);
}

/* Room for what the next message needs, within what a message may be. */
static bool make_room(struct camera_conn *c)
{
    size_t need = MIN(MAX(c->ops->need(c->arg), c->n + 1), INTERLEAVED_BUFFER_MAX),
           cap = MAX(c->cap, CAMERA_BUF_MIN);
    uint8_t *mem;

    while (cap < need) cap *= 2;
    if (c->n >= cap) return false;
    if (cap == c->cap) return true;
    mem = mem_retry(c->mem, cap);
    if (!mem) return false;
    c->mem = mem;
    c->cap = cap;
    return true;
}

static void take(struct camera_conn *c)
{
    size_t took = c->ops->feed(c->arg, span(c->mem, c->n));

    must(took <= c->n);
    c->n -= took;
    c->ops->end(c->arg, took);
    if (c->n > 0 && took > 0) memmove(c->mem, c->mem + took, c->n);
}

/* One read and what follows from it. true: more may wait. */
static bool read_once(struct camera_conn *c)
{
    size_t room;
    ssize_t n;

    if (!make_room(c)) {
        fail(c, -EMSGSIZE);
        return false;
    }
    room = c->cap - c->n;
    n = recv(c->fd, c->mem + c->n, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) fail(c, n == 0 ? 0 : -errno);
        return false;
    }
    c->n += (size_t)n;
    c->ops->begin(c->arg);
    take(c);
    return (size_t)n == room && !c->closed;
}

void camera_conn_drain(struct camera_conn *c)
{
    for (int i = 0; i < READS_MAX && !c->closed && read_once(c); i++) {
    }
}

void camera_conn_again(struct camera_conn *c)
{
    if (c->closed || c->n == 0) return;
    c->ops->begin(c->arg);
    take(c);
}

static void ready(struct loop_io *io, unsigned events)
{
    struct camera_conn *c = io->arg;

    if (events & LOOP_WRITE) flush(c);
    if (events & LOOP_READ) camera_conn_drain(c);
}

static void set(int fd, int level, int name, int value)
{
    /* A kernel or socket without the option works on without it. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

struct camera_conn *camera_conn_new(struct loop *l, int fd, const struct camera_conn_ops *ops, void *arg)
{
    struct camera_conn *c = NEW(struct camera_conn);

    *c = (struct camera_conn){.loop = l, .ops = ops, .arg = arg, .fd = fd};
    buf_init(&c->out, OUT_MAX);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    loop_io_start(l, &c->io, fd, LOOP_READ, ready, c);
    return c;
}

void camera_conn_free(struct camera_conn *c)
{
    if (!c) return;
    loop_io_stop(&c->io);
    loop_defer_stop(c->loop, &c->closing);
    fd_close(&c->fd);
    buf_done(&c->out);
    mem_free(c->mem);
    mem_free(c);
}

void camera_conn_pace(struct camera_conn *c, bool paced)
{
    if (c->paced == paced || c->closed) return;
    c->paced = paced;
    set(c->fd, SOL_SOCKET, SO_RCVLOWAT, paced ? CAMERA_LOWAT : 1);
    if (!paced) camera_conn_drain(c);
}

bool camera_conn_paced(const struct camera_conn *c)
{
    return c->paced;
}
