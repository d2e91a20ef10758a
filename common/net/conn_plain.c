/* Bytes on a socket as they are. */
#include "common/net/conn_impl.h"
#include "common/base/fd.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define WRITE_PIECES 64           /* pieces of one write */
#define FILE_LEAST   (16u << 10)  /* below, a copy costs less than a call of its own */
#define FILE_TURN    (256u << 10) /* of a file in one call */

static ssize_t plain_read(struct conn *c, uint8_t *p, size_t cap)
{
    ssize_t n;

    do n = recv(c->fd, p, cap, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static bool by_file(const struct piece *p)
{
    return p->chunk->fd >= 0 && p->n >= FILE_LEAST;
}

static ssize_t write_file(struct conn *c, const struct piece *p)
{
    off_t at = (off_t)p->from;
    ssize_t n;

    do n = sendfile(c->fd, p->chunk->fd, &at, MIN(p->n, FILE_TURN));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t plain_write(struct conn *c)
{
    struct iovec iov[WRITE_PIECES];
    struct msghdr msg = {.msg_iov = iov};
    size_t most = MIN(c->n_queue, WRITE_PIECES);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t n;

    for (; msg.msg_iovlen < most && !by_file(conn_piece(c, msg.msg_iovlen)); msg.msg_iovlen++) {
        struct piece *p = conn_piece(c, msg.msg_iovlen);

        iov[msg.msg_iovlen] = (struct iovec){.iov_base = p->chunk->data + p->from, .iov_len = p->n};
    }
    if (msg.msg_iovlen == 0) return write_file(c, conn_piece(c, 0));
    if (msg.msg_iovlen < c->n_queue) flags |= MSG_MORE; /* what follows goes into the same packet */
    do n = sendmsg(c->fd, &msg, flags);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t plain_lent_send(struct conn *c, struct span bytes, bool more)
{
    ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));

    return n < 0 ? -errno : n;
}

static ssize_t plain_lent_file(struct conn *c, int fd, uint64_t at, size_t n)
{
    off_t from = (off_t)at;
    ssize_t sent = sendfile(c->fd, fd, &from, n);

    return sent < 0 ? -errno : sent;
}

static bool plain_half_close(struct conn *c)
{
    shutdown(c->fd, SHUT_WR);
    return true;
}

static void plain_cut(struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void plain_close(int fd, void *with)
{
    (void)with;
    fd_close(&fd);
}

const struct conn_transport conn_plain = {.read = plain_read,
    .write = plain_write,
    .lent_send = plain_lent_send,
    .lent_file = plain_lent_file,
    .half_close = plain_half_close,
    .cut = plain_cut,
    .close = plain_close};

struct conn_over conn_over_fd(int fd)
{
    return (struct conn_over){.t = &conn_plain, .fd = fd};
}
