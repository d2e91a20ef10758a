#include "httpd/endless.h"
#include "httpd/live.h"
#include "common/base/err.h"
#include "common/base/mem.h"

/* The start comes at once, so its bytes say nothing about the viewer: only what has come on top of them. */
static bool congested(struct endless *e)
{
    size_t queued = conn_queued(e->h->conn);

    e->burst = MIN(e->burst, queued);
    return e->joined && queued - e->burst > HTTP_QUEUE_HIGH;
}

static bool on_fragment(struct viewer *v, struct fragment *f, const struct init *init)
{
    struct endless *e = CONTAINER(v, struct endless, viewer);
    bool jumped;

    if (!e->begun) {
        e->begun = true;
        if (e->form->begin) e->form->begin(e, f, init);
    } else if (congested(e)) {
        e->behind = true;
        e->burst = 0;
    }
    if (e->behind && (!f->key || congested(e))) return false;
    jumped = e->behind;
    e->behind = !e->form->send(e, f, init, jumped);
    return !e->behind;
}

static void on_end(struct viewer *v)
{
    struct endless *e = CONTAINER(v, struct endless, viewer);
    struct http *h = e->h;

    h->ask->abort = NULL;
    mem_free(e);
    http_done(h);
}

static void on_abort(struct http *h)
{
    struct endless *e = h->ask->work;

    follow_leave(h->ask->stream->follow, &e->viewer);
    mem_free(e);
}

static void begin(struct http *h, struct follow *f, const struct endless_form *form)
{
    struct endless *e = NEW(struct endless);

    e->h = h;
    e->form = form;
    e->viewer.on_fragment = on_fragment;
    e->viewer.on_end = on_end;
    e->viewer.takes_changes = form->takes_changes;
    h->ask->work = e;
    h->ask->abort = on_abort;
    conn_mind_end(h->conn, true); /* while the camera is silent nothing is sent, and nothing fails */
    must(follow_join(f, &e->viewer));
    e->joined = true;
    e->burst = conn_queued(h->conn);
}

void endless_serve(struct http *h, const struct endless_form *form)
{
    struct answer a = {.status = 200, .type = form->type, .cache = CACHE_NEVER};
    struct follow *f = live_follow(h);
    char left_out[LIVE_LEFT_OUT_MAX];
    unsigned mask;

    if (!f) return;
    if (!follow_init(f) || !follow_live(f) || !follow_can_join(f)) {
        live_wait(h);
        return;
    }
    mask = form->mask(follow_init(f));
    if (mask == 0) {
        answer_error(h, 415, "%s", form->none);
        return;
    }
    a.extra = live_left_out(follow_init(f), mask, left_out, sizeof(left_out));
    answer_head(h, &a, ANSWER_ENDLESS);
    if (h->ask->head_only)
        http_done(h);
    else
        begin(h, f, form);
}
