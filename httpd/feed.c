#include "httpd/feed.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/ipc/pack.h"
#include "common/wire/json.h"
#include "httpd/feed_rows.h"
#include "httpd/hub.h"
#include "httpd/master_ask.h"
#include "httpd/stream_rows.h"

/* Somebody who listens. */
struct listener {
    struct list link;
    struct feed *feed;
    struct hub *hub;
    uint64_t id;
    struct feed_wish wish;
    uint64_t told; /* changes up to here; 0: nothing yet */
};
struct feed {
    struct loop *loop;
    struct stream_rows *source;
    struct master_asks *master;
    struct feed_rows *rows;
    uint32_t boot; /* of this table: another one's numbers mean nothing here */
    struct list all;
    size_t n;
    unsigned seconds;
    uint64_t events;   /* of those without a number in the table */
    bool asking;       /* the server is */
    struct buf server; /* the sample that is being gathered */
    struct loop_timer tick;
};

/* --- text --- */

void feed_text_unref(struct feed_text *t)
{
    if (t && atomic_fetch_sub(&t->refs, 1) == 1) mem_free(t);
}

static struct feed_text *text_of(struct span s)
{
    struct feed_text *t = mem_new(sizeof(*t) + s.n);

    atomic_init(&t->refs, 1);
    t->n = s.n;
    if (s.p) memcpy(t->bytes, s.p, s.n);
    return t;
}

/* Adds an event, whose data stands in one line; every one has the number up to which the table was told. */
static bool add_event(struct buf *to, const struct feed *f, uint64_t told, const char *name, struct span data)
{
    return buf_fmt(to, "id: %08x-%llu\nevent: %s\ndata: ", f->boot, (unsigned long long)told, name) &&
        buf_put(to, data) && buf_text(to, "\n\n");
}

static void give(struct listener *l, struct feed_text *t, bool beat)
{
    atomic_fetch_add(&t->refs, 1);
    feed_client_text(l->hub, l->id, t, beat);
}

/* --- streams --- */

/* What this listener has not been told yet, as a text of his own; NULL: nothing. */
static struct feed_text *news_for(const struct feed *f, const struct listener *l)
{
    struct feed_text *t = NULL;
    struct buf data, b;

    buf_init(&data, FEED_TEXT_MAX);
    buf_init(&b, FEED_TEXT_MAX + 200);
    if (feed_rows_write(f->rows, l->told, &l->wish.cameras, &data) &&
        add_event(&b, f, feed_rows_now(f->rows), "streams", buf_span(&data)))
        t = text_of(buf_span(&b));
    buf_done(&data);
    buf_done(&b);
    return t;
}

/* Those who see all and were told the same get the same text. */
static void tell_streams(struct feed *f)
{
    uint64_t now = feed_rows_now(f->rows), shared_since = UINT64_MAX;
    struct feed_text *shared = NULL, *own;

    LIST_EACH(&f->all, at)
    {
        struct listener *l = LIST_ITEM(at, struct listener, link);

        if (!(l->wish.topics & FEED_STREAMS) || l->told == now) continue;
        if (l->wish.cameras.n > 0) {
            own = news_for(f, l);
            if (own) give(l, own, false);
            feed_text_unref(own);
        } else {
            if (shared_since != l->told) {
                feed_text_unref(shared);
                shared = news_for(f, l);
                shared_since = l->told;
            }
            if (shared) give(l, shared, false);
        }
        l->told = now;
    }
    feed_text_unref(shared);
}

/* A stream that somebody looks at closely: all that the list has of it. */
static void tell_detail(const struct feed *f, struct listener *l, const struct packed *row)
{
    struct buf data, b;

    buf_init(&data, FEED_TEXT_MAX);
    buf_init(&b, FEED_TEXT_MAX);
    if (feed_json(&data, row) && add_event(&b, f, l->told, "stream", buf_span(&data))) {
        struct feed_text *t = text_of(buf_span(&b));

        give(l, t, false);
        feed_text_unref(t);
    }
    buf_done(&data);
    buf_done(&b);
}

static void tell_details(const struct feed *f, const struct rows *rows)
{
    LIST_EACH(&f->all, at)
    {
        struct listener *l = LIST_ITEM(at, struct listener, link);

        for (size_t i = 0; i < l->wish.n_details; i++) {
            struct span uid = span_of(l->wish.details[i]);

            if (!camera_list_has(&l->wish.cameras, uid)) continue;
            for (size_t k = 0; k < rows->n; k++)
                if (span_eq(packed_str(rows->v[k], "uid"), uid)) tell_detail(f, l, rows->v[k]);
        }
    }
}

static void looked(void *arg, const struct rows *rows)
{
    struct feed *f = arg;

    if (rows->why || f->n == 0) return; /* the next look may be answered */
    feed_rows_take(f->rows, rows->v, rows->n);
    tell_streams(f);
    tell_details(f, rows);
}

/* --- to all who want it --- */

struct news {
    unsigned topic; /* 0: for all */
    const char *name;
    struct span data;
    struct span uid; /* of the stream that it is about; p NULL: of none */
    bool beat, back; /* back: for those who may look back alone */
};

static bool is_for(const struct news *n, const struct feed_wish *w)
{
    if (n->topic == 0) return true;
    if (!(w->topics & n->topic) || (n->back && !w->looks_back)) return false;
    return n->uid.p ? camera_list_has(&w->cameras, n->uid) : w->all;
}

static void tell_all(struct feed *f, const struct news *n)
{
    struct feed_text *t = NULL;
    uint64_t told = UINT64_MAX;
    struct buf b;

    LIST_EACH(&f->all, at)
    {
        struct listener *l = LIST_ITEM(at, struct listener, link);

        if (!is_for(n, &l->wish)) continue;
        if (told != l->told) {
            feed_text_unref(t);
            told = l->told;
            buf_init(&b, FEED_TEXT_MAX);
            t = add_event(&b, f, told, n->name, n->data) ? text_of(buf_span(&b)) : NULL;
            buf_done(&b);
        }
        if (t) give(l, t, n->beat);
    }
    feed_text_unref(t);
}

static void ping(struct feed *f)
{
    char data[48];

    snprintf(data, sizeof(data), "{\"t\":%.3f}", (double)clock_wall_us() / 1e6);
    tell_all(f, &(struct news){.name = "ping", .data = span_of(data), .beat = true});
}

/* What the archive holds, happened and was changed: guests see what is live. */
static const char *const back_notices[] = {"camera:event", "segment", "stream:dvr:delete", "stream:edit"};

void feed_notice(struct feed *f, struct span event, struct span data)
{
    struct json j = json_of(data);
    struct news n = {.topic = FEED_NOTICES, .name = "notice", .uid = SPAN_NONE};
    struct json_item item;
    struct buf b;

    if (f->n == 0) return;
    while (json_next(&j, &item))
        if (item.depth == 1 && span_is(item.key, "uid") && item.type == JSON_TEXT) n.uid = item.text;
    for (size_t i = 0; i < ARRAY_N(back_notices); i++) n.back |= span_is(event, back_notices[i]);
    buf_init(&b, FEED_TEXT_MAX);
    if (!j.bad && buf_fmt(&b, "{\"t\":%.3f,\"event\":", (double)clock_wall_us() / 1e6) &&
        json_put_text(&b, event) && buf_text(&b, ",\"data\":") && buf_put(&b, data) && buf_text(&b, "}")) {
        n.data = buf_span(&b);
        tell_all(f, &n);
    }
    buf_done(&b);
}

/* --- the server --- */

/* Commands of msctl whose rows make up a sample. */
static const struct {
    const char *cmd, *as;
    bool one;  /* the server's row, and those of its processes */
    bool some; /* refused where there is no such thing: no rows */
} samples[] = {{"api server", "server", true, false}, {"storage list", "storages", false, false},
    {"cluster", "cluster", false, true}, {"transfers", "transfers", false, true}};

struct sampling {
    struct feed *feed;
    size_t at;
};

static void sample_next(struct feed *f, size_t at);

/* All rows as one list. */
static bool add_list(struct buf *to, const struct master_answer *a, bool processes)
{
    bool ok = buf_text(to, "["), first = true;

    for (size_t i = 0; ok && i < a->n_pages; i++) {
        size_t from = i > 0 ? a->ends[i - 1] : 0;
        struct unpack *u;

        if (unpack_new(span_sub(buf_span(&a->rows), from, a->ends[i] - from), &u) != 0) return false;
        for (size_t k = 0; ok && k < packed_n(unpack_root(u)); k++) {
            const struct packed *row = packed_at(unpack_root(u), k);

            if (processes && !span_is(packed_str(row, "kind"), "process")) continue;
            ok = (first || buf_text(to, ",")) && feed_json(to, row);
            first = false;
        }
        unpack_done(u);
    }
    return ok && buf_text(to, "]");
}

/* The server's own row stands before those of its processes. */
static bool add_server(struct buf *to, const struct master_answer *a)
{
    struct unpack *u;
    bool ok;

    if (a->n_pages == 0 || unpack_new(span_sub(buf_span(&a->rows), 0, a->ends[0]), &u) != 0) return false;
    ok = feed_json(to, packed_at(unpack_root(u), 0)) && buf_text(to, ",\"processes\":");
    unpack_done(u);
    return ok && add_list(to, a, true);
}

static void sampled(void *arg, struct master_answer *a)
{
    struct sampling *s = arg;
    struct feed *f = s->feed;
    size_t at = s->at;
    bool is = a->code == CTL_OK || (samples[at].some && a->code == CTL_FAILED);

    mem_free(s);
    if (is && buf_fmt(&f->server, "%s\"%s\":", at > 0 ? "," : "{", samples[at].as) &&
        (samples[at].one ? add_server(&f->server, a) : add_list(&f->server, a, false)))
        sample_next(f, at + 1);
    else
        f->asking = false;
}

static void sample_next(struct feed *f, size_t at)
{
    struct sampling *s;

    f->asking = at < ARRAY_N(samples);
    if (!f->asking) {
        if (buf_text(&f->server, "}"))
            tell_all(f, &(struct news){.topic = FEED_SERVER, .name = "server", .data = buf_span(&f->server)});
        return;
    }
    s = NEW(struct sampling);
    *s = (struct sampling){f, at};
    f->asking = master_ask(f->master, &(struct master_question){.cmd = span_of(samples[at].cmd)}, sampled, s);
    if (!f->asking) mem_free(s);
}

static void sample(struct feed *f)
{
    bool wanted = false;

    LIST_EACH(&f->all, at)
    {
        const struct listener *l = LIST_ITEM(at, struct listener, link);

        wanted |= l->wish.all && l->wish.topics & FEED_SERVER;
    }
    if (!wanted || f->asking) return;
    buf_clear(&f->server);
    sample_next(f, 0);
}

/* --- once a second --- */

static void tick(struct loop_timer *t)
{
    struct feed *f = t->arg;

    stream_rows_get(f->source, looked, f);
    if (f->seconds % FEED_SERVER_S == 0) sample(f);
    if (f->seconds % FEED_PING_S == 0) ping(f);
    f->seconds++;
}

/* --- who listens --- */

static struct listener *find(struct feed *f, const struct hub *hub, uint64_t id)
{
    LIST_EACH(&f->all, at)
    {
        struct listener *l = LIST_ITEM(at, struct listener, link);

        if (l->hub == hub && l->id == id) return l;
    }
    return NULL;
}

static void join(void *arg)
{
    struct listener *l = arg;
    struct feed *f = l->feed;

    if (f->n == FEED_CLIENTS_MAX) {
        feed_client_text(l->hub, l->id, NULL, false);
        mem_free(l);
        return;
    }
    if (l->wish.boot == f->boot && feed_rows_reach(f->rows, l->wish.since)) l->told = l->wish.since;
    list_push(&f->all, &l->link);
    if (f->n++ > 0) {
        stream_rows_get(f->source, looked, f);
        return;
    }
    f->seconds = 0;
    loop_timer_every(f->loop, &f->tick, FEED_TICK_US, tick, f);
    tick(&f->tick);
}

void feed_join(struct feed *f, struct hub *hub, uint64_t id, const struct feed_wish *wish)
{
    struct listener *l = NEW(struct listener);

    l->feed = f;
    l->hub = hub;
    l->id = id;
    l->wish = *wish;
    loop_post(f->loop, join, l);
}

static void leave(void *arg)
{
    struct listener *key = arg, *l = find(key->feed, key->hub, key->id);
    struct feed *f = key->feed;

    mem_free(key);
    if (!l) return;
    list_remove(&l->link);
    mem_free(l);
    if (--f->n == 0) loop_timer_stop(&f->tick);
}

void feed_leave(struct feed *f, struct hub *hub, uint64_t id)
{
    struct listener *key = NEW(struct listener);

    key->feed = f;
    key->hub = hub;
    key->id = id;
    loop_post(f->loop, leave, key);
}

struct feed *feed_new(struct loop *l, struct stream_rows *rows, struct master_asks *master)
{
    struct feed *f = NEW(struct feed);

    f->loop = l;
    f->source = rows;
    f->master = master;
    f->rows = feed_rows_new();
    f->boot = rng_u32();
    list_init(&f->all);
    buf_init(&f->server, FEED_TEXT_MAX);
    return f;
}

void feed_free(struct feed *f)
{
    if (!f) return;
    loop_timer_stop(&f->tick);
    LIST_EACH(&f->all, at) mem_free(LIST_ITEM(at, struct listener, link));
    feed_rows_free(f->rows);
    buf_done(&f->server);
    mem_free(f);
}
