/* Bytes inside TLS. Small pieces of the queue are joined to whole records; a file is read and encrypted piece
 * by piece, or by the kernel where it does TLS. */
#include "common/net/conn_impl.h"
#include "common/net/tls.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD     16384        /* most bytes of one record (RFC 8446 5.1) */
#define FILE_PIECE (64u << 10)  /* read of a file at once */
#define LONG_WRITE (256u << 10) /* of one chunk, in one call */

static ssize_t tls_conn_read(struct conn *c, uint8_t *p, size_t cap)
{
    return tls_read(c->with, p, cap);
}

static bool tls_conn_pending(const struct conn *c)
{
    return tls_pending(c->with);
}

/* After -EAGAIN the next call begins with the same bytes and has at least as many: the queue only grows at
 * its end. */
static ssize_t tls_conn_write(struct conn *c)
{
    const struct piece *first = conn_piece(c, 0);
    uint8_t record[RECORD];
    size_t n = 0;

    if (c->n_queue == 1 || first->n >= RECORD)
        return tls_write(c->with, span(first->chunk->data + first->from, MIN(first->n, LONG_WRITE)));
    for (size_t i = 0; i < c->n_queue && n < RECORD; i++) {
        const struct piece *p = conn_piece(c, i);
        size_t part = MIN(p->n, RECORD - n);

        memcpy(record + n, p->chunk->data + p->from, part);
        n += part;
    }
    return tls_write(c->with, span(record, n));
}

static ssize_t tls_conn_lent_send(struct conn *c, struct span bytes, bool more)
{
    (void)more;
    return tls_write(c->with, bytes);
}

static ssize_t tls_conn_lent_file(struct conn *c, int fd, uint64_t at, size_t n)
{
    uint8_t piece[FILE_PIECE];
    ssize_t got, done = 0;

    if (tls_kernel(c->with)) return tls_sendfile(c->with, fd, at, n);
    do got = pread(fd, piece, MIN(n, sizeof(piece)), (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    while (done < got) { /* a record at a time */
        ssize_t part = tls_write(c->with, span(piece + done, (size_t)(got - done)));

        if (part < 0) return done > 0 ? done : part;
        done += part;
    }
    return done;
}

static bool tls_conn_half_close(struct conn *c)
{
    tls_end(c->with);
    shutdown(c->fd, SHUT_WR);
    return true;
}

static void tls_conn_cut(struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void tls_conn_close(int fd, void *with)
{
    (void)fd; /* the other owns it */
    tls_free(with);
}

const struct conn_transport conn_tls = {.read = tls_conn_read,
    .pending = tls_conn_pending,
    .write = tls_conn_write,
    .lent_send = tls_conn_lent_send,
    .lent_file = tls_conn_lent_file,
    .half_close = tls_conn_half_close,
    .cut = tls_conn_cut,
    .close = tls_conn_close};

struct conn_over conn_over_tls(struct tls *t)
{
    return (struct conn_over){.t = &conn_tls, .fd = tls_fd(t), .with = t, .tls = true};
}
