/* /<uid>/live.mp4: endless fragmented MP4 from the last key frame on, for one viewer each. The bytes of the
 * frames are shared; each viewer's file begins at media time 0. A viewer that falls HTTP_QUEUE_HIGH behind
 * what it was given at the start (at most GOP_BYTES_MAX) is dropped to the next key frame. The file ends when
 * the tracks change: its head cannot. */
#include "httpd/handlers.h"
#include "httpd/live.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define SMALL_HEAD 4096 /* heads of fragments on the stack; larger ones are allocated */

struct live_mp4 {
    struct viewer viewer;
    struct http *h;
    bool begun, joined, behind;
    size_t burst; /* bytes that were queued at the start and have not been sent */
    int64_t origin_us;
};

/* The start comes at once, so its bytes say nothing about the viewer: only what has come on top of them. */
static bool congested(struct live_mp4 *m)
{
    size_t queued = conn_queued(m->h->conn);

    m->burst = MIN(m->burst, queued);
    return m->joined && queued - m->burst > HTTP_QUEUE_HIGH;
}

static void send_head_of(struct live_mp4 *m, struct fragment *f, const struct init *init)
{
    uint8_t small[SMALL_HEAD], *mem = f->head_n <= sizeof(small) ? small : mem_try(f->head_n);

    if (!mem) {
        m->behind = true;
        return;
    }
    fragment_head(f, init, m->origin_us, mem);
    conn_send(m->h->conn, span(mem, f->head_n));
    if (mem != small) mem_free(mem);
}

static bool on_fragment(struct viewer *v, struct fragment *f, const struct init *init)
{
    struct live_mp4 *m = CONTAINER(v, struct live_mp4, viewer);
    struct conn *c = m->h->conn;

    if (!m->begun) {
        m->begun = true;
        m->origin_us = fragment_origin_us(f, init);
        conn_send_chunk(c, init->c, 0, init->c->n);
    } else if (congested(m)) {
        m->behind = true;
        m->burst = 0;
    }
    if (m->behind && (!f->key || congested(m))) return false;
    m->behind = false;
    send_head_of(m, f, init);
    if (!m->behind) conn_send_chunk(c, f->c, f->head_n, f->c->n - f->head_n);
    return !m->behind;
}

static void on_end(struct viewer *v)
{
    struct live_mp4 *m = CONTAINER(v, struct live_mp4, viewer);
    struct http *h = m->h;

    h->ask->abort = NULL;
    mem_free(m);
    http_done(h);
}

static void on_abort(struct http *h)
{
    struct live_mp4 *m = h->ask->work;

    follow_leave(h->ask->stream->follow, &m->viewer);
    mem_free(m);
}

static void begin(struct http *h, struct follow *f)
{
    struct live_mp4 *m = NEW(struct live_mp4);

    m->h = h;
    m->viewer.on_fragment = on_fragment;
    m->viewer.on_end = on_end;
    h->ask->work = m;
    h->ask->abort = on_abort;
    conn_mind_end(h->conn, true); /* while the camera is silent nothing is sent, and nothing fails */
    must(follow_join(f, &m->viewer));
    m->joined = true;
    m->burst = conn_queued(h->conn);
}

void serve_live_mp4(struct http *h)
{
    struct answer a = {.status = 200, .type = "video/mp4", .cache = CACHE_NEVER};
    struct follow *f = live_follow(h);
    char left_out[LIVE_LEFT_OUT_MAX];

    if (!f) return;
    if (!follow_init(f) || !follow_live(f) || !follow_can_join(f)) {
        live_wait(h);
        return;
    }
    a.extra = live_left_out(follow_init(f), left_out, sizeof(left_out));
    answer_head(h, &a, ANSWER_ENDLESS);
    if (h->ask->head_only)
        http_done(h);
    else
        begin(h, f);
}
