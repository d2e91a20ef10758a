/* The server's side of a handshake, on a loop, bounded in time. Nothing is allocated for TLS before the whole
 * first record has come: a client that says nothing, or drips, costs a socket and a timer. */
#include "common/net/tls_impl.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* RFC 8446 5.1: type, version, length; then at most 2^14 bytes. */
#define RECORD_HEAD 5
#define RECORD_MAX  16384
#define HANDSHAKE   22

struct tls_accept {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer timer;
    struct tls_server *server;
    const struct tls_accept_ops *ops;
    void *arg;
    struct tls *t; /* owns fd, once there is one */
    int fd;
    int mark; /* the socket tells when so much of the first record is there */
};

static void stop(struct tls_accept *a)
{
    loop_io_stop(&a->io);
    loop_timer_stop(&a->timer);
    tls_server_unref(a->server);
}

static void ended(struct tls_accept *a, const char *why)
{
    const struct tls_accept_ops *ops = a->ops;
    void *arg = a->arg;
    struct tls *t = a->t;

    stop(a);
    if (why && !t) fd_close(&a->fd);
    mem_free(a);
    if (why) tls_free(t);
    ops->done(arg, why ? NULL : t, why);
}

static int mark(const struct tls_accept *a)
{
    return setsockopt(a->fd, SOL_SOCKET, SO_RCVLOWAT, &a->mark, sizeof(a->mark));
}

/* NULL: the first record is whole (*ret), or the rest is waited for. */
static const char *first_record(struct tls_accept *a, bool *ret)
{
    uint8_t head[RECORD_HEAD];
    ssize_t n = recv(a->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
    int want = RECORD_HEAD, there = 0;

    *ret = false;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return NULL;
    if (n <= 0) return n == 0 ? "the client has gone" : err_text(-errno);
    if (head[0] != HANDSHAKE || (n > 1 && head[1] != 3)) return "this is not TLS";
    if (n == RECORD_HEAD) want += head[3] << 8 | head[4];
    if (want > RECORD_HEAD + RECORD_MAX) return "a record is too long";
    if (ioctl(a->fd, FIONREAD, &there) < 0) return err_text(-errno);
    *ret = n == RECORD_HEAD && there >= want;
    if (*ret) {
        a->mark = 1;
        return mark(a) < 0 ? err_text(-errno) : NULL;
    }
    if (there < a->mark)
        return "the client has gone"; /* told although the mark is not reached: no more comes */
    a->mark = want;
    return mark(a) < 0 ? err_text(-errno) : NULL;
}

static void ready(struct loop_io *io, unsigned events)
{
    struct tls_accept *a = io->arg;
    const char *why = NULL;
    bool whole = true, write = false;
    int err;

    (void)events;
    if (!a->t) {
        why = first_record(a, &whole);
        if (!why && !whole) return;
        if (!why) a->t = tls_new(a->server, a->fd, a->ops->protocols);
        if (!why && !a->t) why = "out of memory";
        if (why) {
            ended(a, why);
            return;
        }
    }
    err = tls_shake(a->t, &write, &why);
    if (err == -EAGAIN)
        loop_io_events(&a->io, write ? LOOP_WRITE : LOOP_READ);
    else
        ended(a, err == 0 ? NULL : why);
}

static void late(struct loop_timer *t)
{
    ended(t->arg, "the handshake did not come to its end");
}

struct tls_accept *tls_accept_new(
    struct loop *l, int fd, struct tls_server *s, const struct tls_accept_ops *ops, void *arg)
{
    struct tls_accept *a = NEW(struct tls_accept);

    a->loop = l;
    a->server = tls_server_ref(s);
    a->ops = ops;
    a->arg = arg;
    a->fd = fd;
    fd_nonblock(fd);
    loop_io_start(l, &a->io, fd, LOOP_READ, ready, a);
    loop_timer_set(l, &a->timer, ops->most_us > 0 ? ops->most_us : TLS_HANDSHAKE_US, late, a);
    return a;
}

void tls_accept_stop(struct tls_accept *a)
{
    stop(a);
    if (a->t)
        tls_free(a->t);
    else
        fd_close(&a->fd);
    mem_free(a);
}
