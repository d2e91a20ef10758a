/* A client of the event stream on its hub: an answer that does not end. */
#include "httpd/answer.h"
#include "httpd/feed.h"
#include "httpd/handlers.h"
#include "httpd/problem.h"
#include "httpd/signins.h"
#include "httpd/who.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#define TOPICS_MAX 512
#define ID_MAX     64

struct feed_client {
    struct list link; /* of the hub */
    struct http *h;
    uint64_t id;
};

static void client_free(struct feed_client *c)
{
    list_remove(&c->link);
    mem_free(c);
}

static void on_abort(struct http *h)
{
    struct feed_client *c = h->ask->work;

    feed_leave(h->hub->server->feed, h->hub, c->id);
    client_free(c);
}

static bool is_revoked(const struct http *h, const struct caller *c)
{
    struct token t = {.made_us = c->token_made_us};

    memcpy(t.id, c->token_id, sizeof(t.id));
    span_copy(span_of(c->name), t.user, sizeof(t.user));
    return revoked_token(&h->hub->revoked, &t, SPAN_NONE);
}

/* The account is signed out, or is for other streams now; the token's time is over, or it was taken back. */
static bool may_listen(struct http *h)
{
    const struct caller *c = h->ask->caller;
    char csrf[CALLER_ID_DIGITS + 1];
    struct caller now;

    if (c->id[0] == '\0')
        return (c->until_s == 0 || clock_wall_us() / US_PER_S < c->until_s) && !is_revoked(h, c);
    return signins_find(h->hub->server->signins, span_of(c->id), loop_now_us(h->hub->loop), &now, csrf) &&
        memcmp(&now.cameras, &c->cameras, sizeof(now.cameras)) == 0;
}

static struct feed_client *find(struct hub *hub, uint64_t id)
{
    LIST_EACH(&hub->feed_clients, at)
    {
        struct feed_client *c = LIST_ITEM(at, struct feed_client, link);

        if (c->id == id) return c;
    }
    return NULL;
}

struct delivery {
    uint64_t id;
    struct feed_text *text;
    bool beat;
};

static void deliver(struct hub *hub, void *arg)
{
    struct delivery *d = arg;
    struct feed_client *c = find(hub, d->id);

    if (c &&
        (!d->text || conn_queued(c->h->conn) + d->text->n > FEED_QUEUE_MAX || (d->beat && !may_listen(c->h))))
        http_cut(c->h);
    else if (c)
        conn_send(c->h->conn, span(d->text->bytes, d->text->n));
    feed_text_unref(d->text);
    mem_free(d);
}

void feed_client_text(struct hub *hub, uint64_t id, struct feed_text *text, bool beat)
{
    struct delivery *d = NEW(struct delivery);

    *d = (struct delivery){id, text, beat};
    hub_post(hub, deliver, d);
}

/* --- the begin --- */

static bool read_wish(struct http *h, struct feed_wish *w)
{
    const struct caller *c = h->ask->caller;
    char topics[TOPICS_MAX] = "", last[ID_MAX] = "";
    struct span id = head_get(&h->ask->req.head, "Last-Event-ID");

    w->cameras = c->cameras;
    w->all = caller_changes(c) && c->cameras.n == 0;
    w->looks_back = caller_looks_back(c);
    if (!url_query_get(h->ask->req.query, "topics", topics, sizeof(topics))) topics[0] = '\0';
    if (!id.p && url_query_get(h->ask->req.query, "last", last, sizeof(last))) id = span_of(last);
    feed_last_id(id, w);
    return feed_topics(span_of(topics), w);
}

static void begin(struct http *h, const struct feed_wish *w)
{
    static const struct answer a = {.status = 200,
        .type = "text/event-stream",
        .cache = CACHE_NEVER,
        .extra = "X-Accel-Buffering: no\r\n"};
    struct hub *hub = h->hub;
    struct feed_client *c;

    answer_head(h, &a, ANSWER_ENDLESS);
    if (h->ask->head_only) {
        http_done(h);
        return;
    }
    conn_send(h->conn, SPAN_LIT("retry: 2000\n\n"));
    conn_mind_end(h->conn, true); /* while nothing changes nothing is sent, and nothing fails */
    c = NEW(struct feed_client);
    c->h = h;
    c->id = ++hub->last_feed_client;
    list_push(&hub->feed_clients, &c->link);
    h->ask->work = c;
    h->ask->abort = on_abort;
    feed_join(hub->server->feed, hub, c->id, w);
}

void serve_events(struct http *h)
{
    struct feed_wish wish = {.topics = 0};
    enum who who = who_asks(h);

    if (who == WHO_WAITS || who == WHO_ANSWERED) return;
    if (who == WHO_NONE)
        problem_answer(h, 401, "signed-out", NULL, "sign in, or send a token of the API");
    else if (!h->hub->server->feed)
        problem_answer(h, 503, "starting", "Retry-After: 2\r\n", "the server is only starting");
    else if (!read_wish(h, &wish))
        problem_answer(h, 400, "topics", NULL,
            "topics: streams, server, notices and up to %d of stream:<uid>, with commas", FEED_DETAILS_MAX);
    else
        begin(h, &wish);
}
