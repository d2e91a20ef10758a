/* The way out: the queue of chunks, writing it by turns, and lending. */
#include "common/net/conn_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netinet/tcp.h>

#define WRITE_TURN   (1u << 20)  /* bytes of one connection, then the others have their turn */
#define COPY_CHUNK   4096        /* least chunk for copied bytes: small sends share one */
#define PROMPT_BYTES (128 << 10) /* not sent yet that the kernel takes: half a second of 2 Mbit/s */

/* --- the queue --- */

struct piece *conn_piece(const struct conn *c, size_t i)
{
    return &c->queue[(c->first + i) % c->cap_queue];
}

static void drop_first(struct conn *c)
{
    struct piece *p = conn_piece(c, 0);

    c->queued -= p->n;
    chunk_unref(p->chunk);
    c->first = (c->first + 1) % c->cap_queue;
    c->n_queue--;
}

void conn_drop_queue(struct conn *c)
{
    while (c->n_queue > 0) drop_first(c);
    mem_free(c->queue);
    c->queue = NULL;
    c->first = c->cap_queue = 0;
}

static bool push(struct conn *c, struct chunk *chunk, size_t from, size_t n)
{
    if (c->n_queue == c->cap_queue) {
        size_t cap = c->cap_queue ? c->cap_queue * 2 : 8;
        struct piece *queue = mem_retry(NULL, cap * sizeof(*queue));

        if (!queue) return false;
        for (size_t i = 0; i < c->n_queue; i++) queue[i] = *conn_piece(c, i);
        mem_free(c->queue);
        c->queue = queue;
        c->first = 0;
        c->cap_queue = cap;
    }
    c->n_queue++;
    *conn_piece(c, c->n_queue - 1) = (struct piece){.chunk = chunk, .from = from, .n = n};
    c->queued += n;
    if (c->queued > c->limits.queue_high) c->was_high = true;
    conn_later(c);
    return true;
}

/* Into the room behind the last piece, where that is a chunk of copies and nobody else's. */
static size_t append(struct conn *c, struct span bytes)
{
    struct piece *last;
    size_t at, n;

    if (c->n_queue == 0) return 0;
    last = conn_piece(c, c->n_queue - 1);
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

size_t conn_queued(const struct conn *c)
{
    return c->queued;
}

bool conn_congested(const struct conn *c)
{
    return c->queued > c->limits.queue_high;
}

void conn_prompt(struct conn *c)
{
    int most = PROMPT_BYTES;

    setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most));
}

uint64_t conn_bytes_out(const struct conn *c)
{
    return c->bytes_out;
}

/* --- writing --- */

static void sent(struct conn *c, size_t n)
{
    c->bytes_out += n;
    c->progress = true;
    conn_active(c);
    c->stuck_us = 0;
    while (n > 0) {
        struct piece *p = conn_piece(c, 0);
        size_t part = MIN(n, p->n);

        p->from += part;
        p->n -= part;
        c->queued -= part;
        n -= part;
        if (p->n == 0) drop_first(c);
    }
}

/* Writes until the peer takes no more, the queue is empty or the turn over. */
static void write_queue(struct conn *c)
{
    size_t turn = 0;

    c->write_wait = false;
    while (c->n_queue > 0 && turn < WRITE_TURN) {
        ssize_t n = c->t->write(c);

        if (n == -EAGAIN) break;
        if (n < 0) {
            conn_close(c, (int)n);
            return;
        }
        sent(c, (size_t)n);
        turn += (size_t)n;
    }
    c->write_wait = c->n_queue > 0;
    conn_stuck(c, c->n_queue > 0);
    conn_watch(c);
}

void conn_after_write(struct conn *c)
{
    bool told = c->was_high ? c->queued <= c->limits.queue_high / 2 : c->queued == 0;

    if (c->state == CONN_CLOSED || c->lent) return;
    if (c->state == CONN_DRAINING && c->n_queue == 0) {
        if (c->eof)
            conn_close(c, 0);
        else
            conn_linger(c);
        return;
    }
    if (c->state != CONN_OPEN || !c->progress || !told) return;
    c->progress = c->was_high = false;
    if (c->ops->on_sent) c->ops->on_sent(c);
}

void conn_write(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->lent || c->to) return;
    if (c->n_queue > 0) write_queue(c);
    conn_after_write(c);
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->lent || c->n_queue == 0) return;
    write_queue(c);
    conn_later(c); /* on_sent is told at the end of the turn */
}

/* --- lending --- */

void conn_lend(struct conn *c)
{
    must(c->n_queue == 0 && !c->lent);
    c->lent = true;
    c->lent_out = 0;
}

ssize_t conn_lent_send(struct conn *c, struct span bytes, bool more)
{
    ssize_t n = c->t->lent_send(c, bytes, more);

    if (n > 0) c->lent_out += (uint64_t)n;
    return n;
}

ssize_t conn_lent_file(struct conn *c, int fd, uint64_t at, size_t n)
{
    ssize_t sent = c->t->lent_file(c, fd, at, n);

    if (sent > 0) c->lent_out += (uint64_t)sent;
    return sent;
}

void conn_lend_end(struct conn *c)
{
    must(c->lent);
    c->lent = false;
    c->want_write = false;
    if (c->t->lent_end) c->t->lent_end(c);
    c->bytes_out += c->lent_out;
    c->lent_out = 0;
    c->stuck_us = 0;
    conn_active(c);
    conn_later(c);
}

void conn_wait_writable(struct conn *c)
{
    c->want_write = true;
    if (c->state == CONN_CLOSED) {
        conn_later(c);
        return;
    }
    conn_stuck(c, true);
    conn_watch(c);
}
