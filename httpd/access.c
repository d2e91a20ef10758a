#include "httpd/access.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "httpd/auth.h"
#include "httpd/quota.h"
#include "httpd/sessions.h"
#include "httpd/stream.h"

/* --- words --- */

static const struct {
    const char *name;
    enum access_mode mode;
} modes[] = {
    {"public", ACCESS_PUBLIC},
    {"protected", ACCESS_PROTECTED},
    {"private", ACCESS_PRIVATE},
    {"none", ACCESS_NONE},
};

static const char *const ops[ACCESS_OPS] = {
    [ACCESS_PAGE] = "page",
    [ACCESS_LIVE] = "live",
    [ACCESS_DVR] = "dvr",
    [ACCESS_COPY] = "copy",
    [ACCESS_PREVIEW] = "preview",
    [ACCESS_PUBLISH] = "publish",
};

static const char *const roads[ROADS] = {
    [ROAD_HLS] = "hls",
    [ROAD_MP4] = "mp4",
    [ROAD_WS] = "ws",
    [ROAD_RTSP] = "rtsp",
    [ROAD_TS] = "ts",
    [ROAD_PICTURE] = "picture",
    [ROAD_INFO] = "info",
    [ROAD_PAGE] = "page",
    [ROAD_PUSH] = "push",
};

const char *access_op_name(enum access_op op)
{
    return ops[op];
}

const char *access_road_name(enum access_road road)
{
    return roads[road];
}

enum access_mode access_mode_of(struct span text)
{
    for (size_t i = 0; i < ARRAY_N(modes); i++)
        if (span_iis(text, modes[i].name)) return modes[i].mode;
    return ACCESS_PRIVATE;
}

#define BIT(road) (1u << (road))
#define SEEN      (BIT(ROAD_PICTURE) | BIT(ROAD_INFO) | BIT(ROAD_PAGE)) /* whatever the words are */

/* The sample configurations of the original say `rtsp` and mean every road of viewers; the others name single
 * ones. */
static const struct {
    const char *word;
    unsigned roads;
} protos[] = {
    {"rtsp", ACCESS_ROADS_ALL},
    {"web", ACCESS_ROADS_ALL & ~BIT(ROAD_RTSP)},
    {"hls", SEEN | BIT(ROAD_HLS) | BIT(ROAD_MP4) | BIT(ROAD_TS)},
    {"mp4", SEEN | BIT(ROAD_MP4)},
    {"mse", SEEN | BIT(ROAD_WS) | BIT(ROAD_MP4)},
};

unsigned access_roads_of(struct span proto)
{
    struct span piece;
    unsigned found = 0;
    bool any = false;

    while (span_split(&proto, ',', &piece)) {
        piece = span_trim(piece);
        if (piece.n == 0) continue;
        any = true;
        for (size_t i = 0; i < ARRAY_N(protos); i++)
            if (span_iis(piece, protos[i].word)) found |= protos[i].roads;
    }
    return any ? found : ACCESS_ROADS_ALL;
}

/* --- the facts --- */

/* What a token allows, in terms of what is asked. */
static const struct {
    unsigned token, ops;
} grants[] = {
    {TOKEN_LIVE, BIT(ACCESS_PAGE) | BIT(ACCESS_LIVE) | BIT(ACCESS_PREVIEW)},
    {TOKEN_DVR, BIT(ACCESS_PAGE) | BIT(ACCESS_DVR)},
    {TOKEN_COPY, BIT(ACCESS_PAGE) | BIT(ACCESS_COPY)},
    {TOKEN_PUBLISH, BIT(ACCESS_PUBLISH)},
};
#define OPS_WATCH (BIT(ACCESS_OPS) - 1 - BIT(ACCESS_PUBLISH))

static unsigned ops_of(unsigned token_ops)
{
    unsigned found = 0;

    for (size_t i = 0; i < ARRAY_N(grants); i++)
        if (token_ops & grants[i].token) found |= grants[i].ops;
    return found;
}

/* false: it is no token that lets this viewer watch this stream at all. */
static bool grant_of_token(const struct access_ask *a, struct grant *ret)
{
    const struct token_check check = {
        &a->hub->auth->keys, a->hub->auth->audience, clock_wall_us() / US_PER_S};
    struct grant g = {.by_token = true};
    struct token t;

    if (token_verify(&check, a->token, &t, &g.until_s) != 0) return false;
    if (!token_fits_stream(&t, span_of(a->stream->v.uid))) return false;
    if (revoked_token(&a->hub->revoked, &t, span_of(a->stream->v.uid))) return false;
    if (t.bound && !addr_has_prefix(&a->address, t.address, t.address_bits)) return false;
    g.ops = ops_of(t.ops);
    g.from_us = t.from_s * US_PER_S;
    g.to_us = t.to_s * US_PER_S;
    g.made_us = t.made_us;
    g.sessions_max = t.sessions_max;
    memcpy(g.token_id, t.id, sizeof(g.token_id));
    span_copy(span_of(t.user), g.user, sizeof(g.user));
    *ret = g;
    return true;
}

static bool listed(const struct access_ask *a)
{
    const struct access_rule *rule = &a->stream->v.rule;
    const struct auth *auth = a->hub->auth;

    if (rule->whitelist.n > 0) return cidrs_has(&rule->whitelist, &a->address);
    return auth->whitelist.n > 0 && cidrs_has(&auth->whitelist, &a->address);
}

/* --- the decision --- */

/* Of all that credentials can lack: who guesses learns nothing. */
static const struct access_verdict refused = {403, "this stream is not open to this request"};
static const struct access_verdict allowed = {200, ""};

/* What the stream's rule says to everybody, before anything else is looked at. */
static struct access_verdict rule_says(const struct access_ask *a)
{
    const struct access_rule *rule = &a->stream->v.rule;
    const struct auth *auth = a->hub->auth;

    if (auth->closed || (auth->whitelist.n > 0 && !cidrs_has(&auth->whitelist, &a->address)))
        return (struct access_verdict){403, "this server is open to listed addresses only"};
    if (rule->mode == ACCESS_NONE) return (struct access_verdict){403, "nobody may watch this stream"};
    if (!(rule->roads & BIT(a->road)))
        return (struct access_verdict){403, "this stream is not offered in this way"};
    if (rule->mode == ACCESS_PROTECTED && !listed(a))
        return (struct access_verdict){403, "this stream is open to listed addresses only"};
    return allowed;
}

static bool inside(const struct grant *g, usec_t from_us, usec_t to_us)
{
    return (g->from_us == 0 || from_us >= g->from_us) && (g->to_us == 0 || to_us <= g->to_us);
}

static struct access_verdict grant_says(const struct access_ask *a, const struct grant *g)
{
    if (!(g->ops & BIT(a->op))) return refused;
    if (a->to_us > 0 && !inside(g, a->from_us, a->to_us)) return refused;
    if (!a->stream->v.rule.enabled && (a->op == ACCESS_LIVE || a->op == ACCESS_PREVIEW))
        return (struct access_verdict){503, "this stream is switched off"};
    return allowed;
}

/* Does one more viewer of everybody's streams have to be counted? */
static bool counts(const struct access_ask *a)
{
    return a->stream->v.limit > 0 || a->hub->auth->address_limit > 0 || a->hub->auth->bandwidth_limit > 0;
}

static bool is_long(enum access_road road)
{
    return BIT(road) & (BIT(ROAD_MP4) | BIT(ROAD_WS) | BIT(ROAD_RTSP) | BIT(ROAD_TS));
}

static struct access_verdict count(const struct access_ask *a, struct session *s)
{
    const char *why = NULL;

    if (is_long(a->road)) {
        why = quota_take(s);
        a->hold->slot = !why;
    } else if (a->road == ROAD_HLS) {
        if (s->watched_us == 0) why = quota_take(s);
        if (!why) s->watched_us = MAX(loop_now_us(a->hub->loop), 1);
    }
    return why ? (struct access_verdict){503, why} : allowed;
}

static void hold_on(struct access_ask *a, struct session *s)
{
    a->hold->session = s;
    a->hold->road = a->road;
    list_push(s ? &s->holds : &a->stream->anyone, &a->hold->link);
}

/* On a session that is there. */
static struct access_verdict on_session(struct access_ask *a, struct session *s)
{
    struct access_verdict v = grant_says(a, &s->grant);

    if (v.status != 200) return v;
    session_used(s);
    v = count(a, s);
    if (v.status == 200) hold_on(a, s);
    return v;
}

static struct access_verdict granted(struct access_ask *a, const char *identity, const struct grant *g)
{
    struct access_verdict v = grant_says(a, g);
    struct session *s;

    if (v.status != 200) return v;
    s = session_new(a, identity, g);
    return s ? on_session(a, s) : (struct access_verdict){503, "there are too many viewers"};
}

/* The id in a path stands for what was granted to who has it. */
static struct access_verdict by_path(struct access_ask *a)
{
    struct session *s = session_by_id(a->hub, a->session_id);

    if (!s || !span_is(span_of(s->uid), a->stream->v.uid) || !session_near(s, &a->address)) return refused;
    return on_session(a, s);
}

static struct access_verdict decide(struct access_ask *a)
{
    struct access_verdict v = rule_says(a);
    char identity[SESSION_ID_DIGITS + 1];
    struct grant g = {.ops = OPS_WATCH, .free = true};
    struct session *s;

    if (v.status != 200) return v;
    if (a->session_id.n > 0) return by_path(a);
    if (a->stream->v.rule.mode != ACCESS_PRIVATE && !counts(a)) {
        v = grant_says(a, &g);
        if (v.status == 200) hold_on(a, NULL);
        return v;
    }
    session_identity(a, identity);
    s = session_by_identity(a->hub, identity);
    if (s) return on_session(a, s);
    if (a->stream->v.rule.mode == ACCESS_PRIVATE && (a->token.n == 0 || !grant_of_token(a, &g)))
        return refused;
    return granted(a, identity, &g);
}

bool access_ask(struct access_ask *a)
{
    must(!access_held(a->hold));
    a->verdict = decide(a);
    return true;
}

void access_cancel(struct access_ask *a)
{
    (void)a;
}

/* --- what runs --- */

void access_release(struct access_hold *hold)
{
    if (!access_held(hold)) return;
    list_remove(&hold->link);
    if (hold->slot) quota_give(hold->session);
    hold->slot = false;
    hold->session = NULL;
}

bool access_window(const struct access_hold *hold, usec_t from_us, usec_t to_us)
{
    return !hold->session || inside(&hold->session->grant, from_us, to_us);
}

void access_clip(const struct access_hold *hold, usec_t *from_us, usec_t *to_us)
{
    const struct grant *g = hold->session ? &hold->session->grant : NULL;

    if (g && g->from_us > 0) *from_us = MAX(*from_us, g->from_us);
    if (g && g->to_us > 0) *to_us = MIN(*to_us, g->to_us);
    *to_us = MAX(*to_us, *from_us);
}

bool access_open(const struct hub *hub, const struct stream *s)
{
    return s->v.rule.mode == ACCESS_PUBLIC && hub->auth->whitelist.n == 0 && !hub->auth->closed;
}

/* Those on other roads than these. */
static void end_holds(struct list *holds, unsigned open)
{
    LIST_EACH(holds, at)
    {
        struct access_hold *hold = LIST_ITEM(at, struct access_hold, link);

        if (open & BIT(hold->road)) continue;
        access_release(hold);
        hold->on_end(hold);
    }
}

/* What was given to a viewer stays, where the rule lets that address watch at all. */
static bool not_any_more(struct session *s, void *arg)
{
    struct stream *st = arg;
    struct access_ask a = {.hub = s->hub, .stream = st, .road = ROAD_PAGE, .address = s->address};

    if (!span_is(span_of(s->uid), st->v.uid)) return false;
    end_holds(&s->holds, st->v.rule.roads);
    return rule_says(&a).status != 200 || (st->v.rule.mode == ACCESS_PRIVATE && s->grant.free);
}

void access_rule_changed(struct stream *s)
{
    end_holds(&s->anyone, access_open(s->hub, s) ? s->v.rule.roads : 0);
    sessions_end_where(s->hub, not_any_more, s);
}

static bool of_stream(struct session *s, void *arg)
{
    const struct stream *st = arg;

    return span_is(span_of(s->uid), st->v.uid);
}

void access_stream_gone(struct stream *s)
{
    end_holds(&s->anyone, 0);
    sessions_end_where(s->hub, of_stream, s);
}
