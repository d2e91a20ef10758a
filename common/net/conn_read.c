/* The way in: reads of one turn, what is kept of them, and when reading rests. */
#include "common/net/conn_impl.h"
#include "common/base/err.h"

#include <errno.h>

bool conn_wants_read(const struct conn *c)
{
    if (c->eof || c->to || c->lent || c->state == CONN_CLOSED) return false;
    if (c->state != CONN_OPEN) return c->state == CONN_LINGERING;
    return (!c->paused || c->mind_end) && buf_n(&c->in) < c->limits.read_max;
}

void conn_offer(struct conn *c)
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
        conn_offer(c);
}

static void ended(struct conn *c)
{
    c->eof = true;
    if (c->state == CONN_LINGERING || (c->n_queue == 0 && !c->lent))
        conn_close(c, 0);
    else
        conn_close_after_send(c);
    if (c->state != CONN_CLOSED) conn_watch(c);
}

void conn_read(struct conn *c)
{
    uint8_t *scratch = loop_scratch(c->loop);
    size_t most = MIN(LOOP_SCRATCH, c->limits.read_max - MIN(c->limits.read_max, buf_n(&c->in)));
    ssize_t n;

    if (c->state == CONN_LINGERING) most = LOOP_SCRATCH;
    if (most == 0) return;
    n = c->t->read(c, scratch, most);
    if (n == -EAGAIN) return;
    if (n < 0) {
        conn_close(c, c->state == CONN_LINGERING ? 0 : (int)n);
    } else if (n == 0) {
        ended(c);
    } else if (c->state == CONN_OPEN) {
        conn_active(c);
        came(c, span(scratch, (size_t)n));
        if (c->state != CONN_CLOSED) conn_watch(c);
    }
}

void conn_pause(struct conn *c)
{
    c->paused = true;
    if (c->state == CONN_OPEN) conn_watch(c);
}

void conn_mind_end(struct conn *c, bool mind)
{
    if (c->mind_end == mind) return;
    c->mind_end = mind;
    if (c->state == CONN_OPEN) conn_watch(c);
}

void conn_resume(struct conn *c)
{
    c->paused = false;
    if (c->state != CONN_OPEN) return;
    conn_active(c);
    c->offer = true;
    conn_later(c);
}
