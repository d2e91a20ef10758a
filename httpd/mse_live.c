/* /<uid>/mse_ld: live over a WebSocket, a fragment of each track a frame, from the last key frame on at once.
 * Viewers share the bytes (mse.h). One that has not been sent within MSE_BEHIND_US what it was given is
 * dropped to the next key frame. With other tracks it goes on, behind a new text message. Commands are those
 * of Flussonic's player, as far as live goes: docs/reference/http.md. */
#include "httpd/handlers.h"
#include "httpd/live.h"
#include "httpd/mse.h"
#include "httpd/ws.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#define MSE_BEHIND_US (1500 * US_PER_MS) /* the player is at the live edge: later than this is not live */
#define EVENT_MAX     256
#define TRACKS_MAX    32 /* bytes of a choice of tracks: "v1a1" */
#define TOKEN_MAX     2048
#define FROM_MAX      32
#define PACE_MOST_MS  1000

struct mse_live {
    struct ws ws;
    struct viewer viewer;
    char chosen[TRACKS_MAX]; /* tracks by name, "": all */
    char id[INIT_ID_MAX];    /* of the init that was sent last */
    unsigned mask;           /* tracks of it that are sent */
    bool joined, joining, behind;
    uint64_t burst_end; /* of what was queued at the start, in bytes of the connection; 0: it was sent */
    uint64_t mark;      /* a place in the queue, in bytes of the connection, given at mark_us; 0: none */
    usec_t mark_us;
};

static struct mse_live *live_of(struct ws *w)
{
    return CONTAINER(w, struct mse_live, ws);
}

/* --- what is sent --- */

/* In this order: "v1a1" names a v1 and an a1. */
static bool names(const char *chosen, const char *name)
{
    ssize_t at = span_find_span(span_of(chosen), span_of(name));
    char behind = at < 0 ? '0' : chosen[(size_t)at + strlen(name)];

    return at >= 0 && (behind < '0' || behind > '9');
}

static unsigned mask_of(const char *chosen, const struct init *init)
{
    char name[MSE_NAME_MAX];
    unsigned mask = 0;

    if (chosen[0] == '\0') return init->mask;
    for (unsigned i = 0; i < init->tracks.n; i++)
        if ((init->mask & 1u << i) && names(chosen, mse_name(&init->tracks, i, name))) mask |= 1u << i;
    return mask;
}

/* Where the queue of the connection ends, in bytes it has taken in all. */
static uint64_t queue_end(const struct mse_live *m)
{
    return conn_bytes_out(m->ws.h->conn) + conn_queued(m->ws.h->conn);
}

static bool is_late(struct mse_live *m)
{
    uint64_t out = conn_bytes_out(m->ws.h->conn);
    usec_t now_us = loop_now_us(m->ws.h->hub->loop);

    if (m->joining) return false;
    if (m->burst_end > 0 && out < m->burst_end) return queue_end(m) - m->burst_end > HTTP_QUEUE_HIGH;
    m->burst_end = 0;
    if (m->mark > 0 && out >= m->mark) m->mark = 0;
    return m->mark > 0 && now_us - m->mark_us > MSE_BEHIND_US;
}

static void set_mark(struct mse_live *m)
{
    if (m->mark > 0 || m->burst_end > 0 || m->joining) return;
    m->mark = queue_end(m);
    m->mark_us = loop_now_us(m->ws.h->hub->loop);
}

static bool send_init(struct mse_live *m, const struct init *init)
{
    unsigned mask = mask_of(m->chosen, init);
    struct chunk *c;

    if (mask == 0) mask = init->mask; /* what was chosen is gone */
    if (mask == init->mask && !init->forms->mse) init->forms->mse = mse_init_text(init, mask);
    c = mask == init->mask ? init->forms->mse : mse_init_text(init, mask);
    if (!c) return false;
    conn_send_chunk(m->ws.h->conn, c, 0, c->n);
    if (c != init->forms->mse) chunk_unref(c);
    memcpy(m->id, init->id, sizeof(m->id));
    m->mask = mask;
    return true;
}

/* Messages of tracks that lie together go out as one piece. */
static void send_form(struct mse_live *m, const struct fragment *f)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        size_t from = i > 0 ? f->mse.end[i - 1] : 0;

        if (!(m->mask & 1u << i)) continue;
        while (i + 1 < TRACK_MAX && (m->mask & 1u << (i + 1))) i++;
        conn_send_chunk(m->ws.h->conn, f->mse.c, from, f->mse.end[i] - from);
    }
}

static bool on_fragment(struct viewer *v, struct fragment *f, const struct init *init)
{
    struct mse_live *m = CONTAINER(v, struct mse_live, viewer);
    bool late = is_late(m), same = strcmp(m->id, init->id) == 0;

    m->behind |= late;
    if (m->behind && (late || !f->key)) return false;
    m->behind = !mse_form(f, init) || (!same && !send_init(m, init));
    if (m->behind) return false; /* memory is out */
    send_form(m, f);
    set_mark(m);
    return true;
}

static void on_gone(struct viewer *v)
{
    struct mse_live *m = CONTAINER(v, struct mse_live, viewer);

    m->joined = false;
    ws_close(&m->ws, WS_GOING_AWAY, "the stream has nothing to show");
}

/* --- coming and going --- */

static void leave(struct mse_live *m)
{
    if (m->joined) follow_leave(m->ws.h->ask->stream->follow, &m->viewer);
    m->joined = false;
}

/* From the last key frame on; where much is waiting already, from the next one. */
static bool join(struct mse_live *m, struct follow *f)
{
    m->behind = conn_queued(m->ws.h->conn) > WS_ANSWERS_QUEUED;
    m->mark = 0;
    m->id[0] = '\0';
    if (m->behind) {
        m->joined = follow_join_late(f, &m->viewer);
        return m->joined;
    }
    m->joining = true;
    m->joined = follow_join(f, &m->viewer);
    m->joining = false;
    m->burst_end = queue_end(m);
    return m->joined;
}

/* Behind a pause: the stream may have gone, and who may watch may have changed. */
static bool join_again(struct mse_live *m)
{
    struct ask *a = m->ws.h->ask;
    struct follow *f;

    if (m->joined) return true;
    a->stream = stream_get(m->ws.h->hub, a->match.uid);
    if (a->stream && (a->hold.session || access_open(m->ws.h->hub, a->stream))) {
        f = follow_get(a->stream);
        if (f && follow_init(f) && follow_live(f) && join(m, f)) return true;
    }
    ws_close(&m->ws, WS_GOING_AWAY, "there is no picture now");
    return false;
}

static void on_end(struct ws *w)
{
    struct mse_live *m = live_of(w);

    leave(m);
    mem_free(m);
}

/* --- commands --- */

static void event(struct mse_live *m, const char *name, const char *more)
{
    char text[EVENT_MAX];
    int n = snprintf(text, sizeof(text), "{\"type\":\"event\",\"event\":\"%s\"%s}", name, more);

    ws_answer(&m->ws, span(text, (size_t)n));
}

static bool go_live(struct mse_live *m, const char *name)
{
    if (!join_again(m)) return false;
    event(m, name, "");
    return true;
}

static bool do_resume(struct mse_live *m, struct span arg)
{
    (void)arg;
    return go_live(m, "resumed");
}

static bool do_pause(struct mse_live *m, struct span arg)
{
    (void)arg;
    leave(m);
    event(m, "paused", "");
    return true;
}

static bool do_live(struct mse_live *m, struct span arg)
{
    (void)arg;
    return go_live(m, "seeked");
}

/* The archive is not sent on this road. */
static bool do_play_from(struct mse_live *m, struct span arg)
{
    uint64_t utc;

    if (span_u64(arg, UINT32_MAX, &utc)) {
        char more[64];

        snprintf(more, sizeof(more), ",\"reason\":\"live only\",\"url\":\"archive-%llu-now.m3u8\"",
            (unsigned long long)utc);
        event(m, "not_supported", more);
    } else {
        event(m, "not_supported", ",\"reason\":\"this is no time\"");
    }
    return true;
}

/* From the last key frame on, behind a new text message. */
static bool do_set_tracks(struct mse_live *m, struct span arg)
{
    char before[TRACKS_MAX];
    struct stream *s = m->ws.h->ask->stream;

    memcpy(before, m->chosen, sizeof(before));
    span_copy(arg, m->chosen, sizeof(m->chosen));
    if (m->joined && mask_of(m->chosen, follow_init(s->follow)) == 0) {
        memcpy(m->chosen, before, sizeof(before));
        event(m, "not_supported", ",\"reason\":\"no such track\"");
        return true;
    }
    event(m, "tracks_switched", "");
    if (!m->joined) return true;
    leave(m);
    return join_again(m);
}

static const struct {
    const char *text;
    bool arg; /* text goes before an argument */
    bool (*run)(struct mse_live *m, struct span arg);
} commands[] = {
    {"resume", false, do_resume},
    {"pause", false, do_pause},
    {"live", false, do_live},
    {"play_from=", true, do_play_from},
    {"set_tracks=", true, do_set_tracks},
};

static bool on_text(struct ws *w, struct span text)
{
    struct mse_live *m = live_of(w);

    for (size_t i = 0; i < ARRAY_N(commands); i++) {
        struct span name = span_of(commands[i].text);

        if (commands[i].arg ? span_starts(text, name) : span_eq(text, name))
            return commands[i].run(m, span_from(text, name.n));
    }
    event(m, "not_supported", ",\"reason\":\"no such command\"");
    return true;
}

/* --- the request --- */

/* A page of another site may open this from a browser that is allowed to watch (its address, its cookie):
 * only where everybody may, where the page brings the token that it is granted by, or where its site is named
 * in web-allow-origin. */
static bool origin_ok(const struct http *h)
{
    struct span origin = head_get(&h->ask->req.head, "Origin");
    const struct session *s = h->ask->hold.session;
    char token[TOKEN_MAX];

    if (!h->ask->not_public || origin.n == 0) return true;
    if (s && !s->grant.free && url_query_get(h->ask->req.query, "token", token, sizeof(token))) return true;
    return answer_origin_named(h, origin) || ws_origin_own(origin, h->ask->req.host);
}

/* pace=MS: frames may come so late, some at once. false: this is no such time. */
static bool take_pace(const struct http *h, uint32_t *ret_us)
{
    char text[FROM_MAX];
    uint64_t ms = 0;

    if (url_query_get(h->ask->req.query, "pace", text, sizeof(text)) &&
        !span_u64(span_of(text), PACE_MOST_MS, &ms))
        return false;
    *ret_us = (uint32_t)(ms * US_PER_MS);
    return true;
}

static const struct ws_ops ops = {on_text, on_end};

static void begin(struct http *h, struct follow *f, const char *accept, uint32_t pace_us)
{
    struct mse_live *m = NEW(struct mse_live);

    m->viewer.on_fragment = on_fragment;
    m->viewer.on_end = on_gone;
    m->viewer.takes_changes = true;
    m->viewer.pace_us = pace_us;
    url_query_get(h->ask->req.query, "tracks", m->chosen, sizeof(m->chosen));
    if (mask_of(m->chosen, follow_init(f)) == 0) m->chosen[0] = '\0';
    ws_begin(&m->ws, h, &ops, accept);
    conn_prompt(h->conn);
    must(join(m, f));
}

void serve_mse(struct http *h)
{
    char accept[WS_ACCEPT_MAX], from[FROM_MAX];
    uint32_t pace_us;
    struct follow *f;

    if (!ws_asked(h, accept)) return;
    if (!origin_ok(h)) {
        answer_error(h, 403, "not from a page of this site");
        return;
    }
    if (url_query_get(h->ask->req.query, "from", from, sizeof(from))) {
        answer_error(h, 501, "this is live only; the archive: archive-<from>-now.m3u8");
        return;
    }
    if (!take_pace(h, &pace_us)) {
        answer_error(h, 400, "pace: 0 to 1000 milliseconds");
        return;
    }
    f = live_follow(h);
    if (!f) return;
    if (!follow_init(f) || !follow_live(f) || !follow_can_join(f))
        live_wait(h);
    else
        begin(h, f, accept, pace_us);
}
