/* Bytes on a socket as they are. */
#include "common/net/conn_impl.h"
#include "common/base/fd.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define WRITE_PIECES 64 /* pieces of one write */

static ssize_t plain_read(struct conn *c, uint8_t *p, size_t cap)
{
    ssize_t n;

    do n = recv(c->fd, p, cap, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t plain_write(struct conn *c)
{
    struct iovec iov[WRITE_PIECES];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = MIN(c->n_queue, WRITE_PIECES)};
    ssize_t n;

    for (size_t i = 0; i < msg.msg_iovlen; i++) {
        struct piece *p = conn_piece(c, i);

        iov[i] = (struct iovec){.iov_base = p->chunk->data + p->from, .iov_len = p->n};
    }
    do n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
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
