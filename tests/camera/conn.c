#include "tests/camera/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/camera/play.h"
#include "tests/camera/rtsp.h"

#define READ_PIECE 16384
#define OUT_MAX    (80u << 20)

static struct list all;

struct list *conns(void)
{
    if (all.next == NULL) list_init(&all);
    return &all;
}

static void conn_free(void *arg)
{
    struct conn *c = arg;

    buf_done(&c->in);
    buf_done(&c->out);
    mem_free(c);
}

void conn_close(struct conn *c)
{
    if (c->closed) return;
    c->closed = true;
    play_end(c);
    watch_stop(&c->w);
    list_remove(&c->link);
    server_after(conn_free, c);
}

void conn_reset(struct conn *c)
{
    struct linger hard = {.l_onoff = 1};

    if (c->closed) return;
    (void)setsockopt(c->w.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    conn_close(c);
}

static void want(struct conn *c)
{
    if (!c->closed) watch_change(&c->w, buf_n(&c->out) > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void flush(struct conn *c)
{
    struct span s = buf_span(&c->out);
    size_t most = c->stream != NULL && c->stream->k.dribble != 0 && !c->playing ? 1 : s.n;

    while (s.n > 0) {
        ssize_t n = send(c->w.fd, s.p, MIN(most, s.n), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) conn_close(c);
            return;
        }
        buf_take(&c->out, (size_t)n);
        s = buf_span(&c->out);
    }
    if (c->close_after_out) conn_close(c);
}

void conn_write(struct conn *c, struct span bytes)
{
    if (c->closed) return;
    bool idle = buf_n(&c->out) == 0;

    (void)buf_put(&c->out, bytes);
    if (idle) flush(c);
    if (!c->closed && buf_n(&c->out) > 0) want(c);
}

bool conn_send_media(struct conn *c, const struct iovec *v, int n, size_t bytes)
{
    size_t queued = buf_n(&c->out), sent = 0;

    if (c->closed || (queued > 0 && queued + bytes > (size_t)c->stream->k.queue)) return false;
    if (queued == 0) {
        struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};
        ssize_t r = n == 1 ? send(c->w.fd, v->iov_base, v->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                           : sendmsg(c->w.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        c->stream->c.sends++;
        if (r < 0 && errno != EAGAIN) {
            conn_close(c);
            return false;
        }
        sent = r < 0 ? 0 : (size_t)r;
        if (sent == bytes) return true;
    }
    for (int i = 0; i < n; i++) {
        size_t skip = MIN(sent, v[i].iov_len);
        (void)buf_put(&c->out, span_from(span(v[i].iov_base, v[i].iov_len), skip));
        sent -= skip;
    }
    if (queued == 0) want(c);
    return true;
}

static void on_readable(struct conn *c)
{
    uint8_t *room = buf_room(&c->in, READ_PIECE);
    ssize_t n = room == NULL ? 0 : recv(c->w.fd, room, READ_PIECE, MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) conn_close(c);
        return;
    }
    buf_added(&c->in, (size_t)n);
    while (!c->closed) {
        size_t took = rtsp_read(c, buf_span(&c->in));
        if (took == 0) break;
        buf_take(&c->in, took);
    }
    if (buf_n(&c->in) == 0) buf_shrink(&c->in);
}

static void on_event(struct watch *w, unsigned events)
{
    struct conn *c = CONTAINER(w, struct conn, w);

    if ((events & EPOLLOUT) != 0) {
        flush(c);
        want(c);
    }
    if (!c->closed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(c);
}

void conn_accept(int fd)
{
    struct conn *c = NEW(struct conn);
    int on = 1;
    socklen_t n = sizeof c->peer;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)getpeername(fd, (struct sockaddr *)&c->peer, &n);
    buf_init(&c->in, CONN_IN_MAX);
    buf_init(&c->out, OUT_MAX);
    for (unsigned t = 0; t < STREAM_TRACKS; t++) {
        c->play[t].conn = c;
        c->play[t].track = t;
        c->play[t].rtp.fd = c->play[t].rtcp.fd = -1;
    }
    c->alive_us = server_now_us();
    list_push(conns(), &c->link);
    watch_start(&c->w, fd, EPOLLIN, on_event);
}
