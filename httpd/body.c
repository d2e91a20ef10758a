#include "httpd/body.h"
#include "httpd/answer.h"

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    h->last = true;
    h->ask->gathers = false;
    answer_error(h, 408, "the body did not come within %d s", (int)(HTTP_HEAD_TIMEOUT_US / US_PER_S));
}

static bool refuse(struct http *h, unsigned status, const char *why)
{
    h->last = true;
    h->ask->gathers = false;
    answer_error(h, status, "%s", why);
    return false;
}

uint32_t body_most(const struct route *r)
{
    return r->flags & ROUTE_V3 ? HTTP_BODY_V3_MAX : HTTP_BODY_MAX;
}

bool body_begin(struct http *h)
{
    struct ask *a = h->ask;

    if (!(a->match.route->flags & ROUTE_BODY) || (h->skip == 0 && !h->skip_chunked)) return false;
    if (a->req.expect_continue) {
        conn_send(h->conn, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
        h->last = !a->req.keep_alive;
    }
    buf_init(&a->body, body_most(a->match.route));
    a->gathers = true;
    http_timer(h, HTTP_HEAD_TIMEOUT_US, late);
    return true;
}

static bool take_chunks(struct http *h, struct span *in)
{
    struct span piece;
    int err;

    while ((err = http_chunked_next(&h->chunked, in, body_most(h->ask->match.route), &piece)) == 0)
        if (!buf_put(&h->ask->body, piece)) return refuse(h, 503, "out of memory");
    if (err == HTTP_CHUNK_LARGE) return refuse(h, 413, "the body is too long");
    if (err == HTTP_CHUNK_BAD) return refuse(h, 400, "broken body");
    if (err == HTTP_CHUNK_END) h->skip_chunked = false;
    return err == HTTP_CHUNK_END;
}

static bool take_bytes(struct http *h, struct span *in)
{
    struct span piece = span_sub(*in, 0, (size_t)MIN(h->skip, (uint64_t)in->n));

    if (!buf_put(&h->ask->body, piece)) return refuse(h, 503, "out of memory");
    h->skip -= piece.n;
    *in = span_from(*in, piece.n);
    return h->skip == 0;
}

bool body_take(struct http *h, struct span *in)
{
    bool whole = h->skip_chunked ? take_chunks(h, in) : take_bytes(h, in);

    if (!whole) return false;
    h->ask->gathers = false;
    loop_timer_stop(&h->timer);
    return true;
}
