#include "httpd/lend.h"
#include "httpd/answer.h"
#include "httpd/archive.h"

#include <errno.h>

static void lend(struct http *h);

void lend_refuse_busy(struct http *h)
{
    answer_error_with(h, 503, "Retry-After: 2\r\n", "too many readers wait for this storage");
}

void lend_refuse_late(struct http *h)
{
    answer_error_with(h, 503, "Retry-After: 10\r\n", "the storage does not answer");
}

/* --- in the pool --- */

static void pump(struct lent *l)
{
    while (l->done < l->total && l->sent < LEND_TURN) {
        ssize_t n = l->ops->write(l);

        if (n == -EINTR) continue;
        if (n == -EAGAIN) l->blocked = true;
        if (n < 0 && n != -EAGAIN) l->err = (int)n;
        if (n <= 0) return;
        l->done += (uint64_t)n;
        l->sent += (uint64_t)n;
    }
}

static void turn(struct job *j)
{
    struct lent *l = CONTAINER(j, struct lent, job);

    l->sent = 0;
    l->blocked = false;
    l->err = l->ops->open(l);
    l->unopened = l->err != 0;
    if (l->done == 0 && atomic_exchange(&l->claimed, true)) return;
    if (l->err == 0) pump(l);
}

/* --- in the hub --- */

static void forget(struct http *h, struct lent *l)
{
    l->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
    h->ask->sent = NULL;
}

static void finish(struct http *h, struct lent *l, bool whole)
{
    forget(h, l);
    l->ops->free(l);
    if (whole)
        http_done(h);
    else
        http_cut(h);
}

/* The disk holds up the pool's thread, which has the connection but has not written yet. */
static void late(struct loop_timer *t)
{
    struct http *h = t->arg;
    struct lent *l = h->ask->work;

    if (atomic_exchange(&l->claimed, true)) return;
    conn_lend_end(h->conn);
    forget(h, l);
    lend_refuse_late(h);
}

static void pumped(struct job *j)
{
    struct lent *l = CONTAINER(j, struct lent, job);
    struct http *h = l->h;

    if (!h) {
        l->ops->free(l);
        return;
    }
    loop_timer_stop(&h->timer);
    conn_lend_end(h->conn);
    if (l->unopened && l->done == 0) {
        forget(h, l);
        l->ops->refused(h, l);
    } else if (l->err != 0 || l->done >= l->total) {
        finish(h, l, l->err == 0);
    } else if (l->blocked) {
        conn_wait_writable(h->conn); /* on_sent, or the stall timeout */
    } else {
        lend(h);
    }
}

/* What was queued before has gone out, or the client takes bytes again. */
static void lend(struct http *h)
{
    struct lent *l = h->ask->work;

    if (conn_queued(h->conn) > 0) return;
    l->conn = h->conn;
    conn_lend(h->conn);
    l->job.work = turn;
    l->job.done = pumped;
    if (l->done == 0) http_timer(h, ARCHIVE_LATE_US, late);
    if (l->done == 0) atomic_store(&l->claimed, false);
    if (pool_put(l->pool, &l->job)) return;
    loop_timer_stop(&h->timer);
    conn_lend_end(h->conn);
    if (l->done > 0) {
        finish(h, l, false);
        return;
    }
    forget(h, l);
    l->ops->free(l);
    lend_refuse_busy(h);
}

static void aborted(struct http *h)
{
    struct lent *l = h->ask->work;

    l->ops->free(l);
}

void lend_start(struct http *h, struct lent *l)
{
    l->h = h;
    h->ask->work = l;
    h->ask->abort = aborted;
    h->ask->sent = lend;
    conn_flush(h->conn);
    lend(h);
}
