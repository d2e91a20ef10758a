#include "httpd/access_rule.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "httpd/auth.h"
#include "httpd/backend.h"
#include "httpd/caller.h"
#include "httpd/guess.h"
#include "httpd/plugins.h"
#include "httpd/proven.h"
#include "httpd/question.h"
#include "httpd/quota.h"
#include "httpd/stream.h"

#define BIT(n) (1u << (n))

/* --- what is said --- */

/* Of all that credentials can lack: who guesses learns nothing. */
static const struct access_verdict refused = {403, "this stream is not open to this request"};
static const struct access_verdict allowed = {200, ""};
static const struct access_verdict gone = {404, "no such stream"};

static struct access_verdict said(unsigned status, const struct facts *f)
{
    if (status == 200) return allowed;
    if (status == 401 || status == 403) return (struct access_verdict){status, refused.why};
    return (struct access_verdict){
        status, f->enabled ? "who may watch cannot be asked now" : "this stream is switched off"};
}

/* --- on a session --- */

static bool inside(const struct grant *g, usec_t from_us, usec_t to_us)
{
    return (g->from_us == 0 || from_us >= g->from_us) && (g->to_us == 0 || to_us <= g->to_us);
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
    a->hold->op = a->op;
    a->hold->serial = ++a->hub->last_viewer;
    a->hold->since_us = clock_wall_us();
    a->hold->address = a->address;
    span_copy(a->user_agent, a->hold->agent, sizeof(a->hold->agent));
    list_push(s ? &s->holds : &a->stream->anyone, &a->hold->link);
}

static struct access_verdict on_session(struct access_ask *a, struct session *s)
{
    struct access_verdict v;

    if (a->to_us > 0 && !inside(&s->grant, a->from_us, a->to_us)) return refused;
    if (!a->stream->v.rule.enabled && (a->op == ACCESS_LIVE || a->op == ACCESS_PREVIEW))
        return (struct access_verdict){503, "this stream is switched off"};
    session_used(s);
    v = count(a, s);
    if (v.status == 200) hold_on(a, s);
    return v;
}

/* Of what was found out, and what the verdict adds. */
static void grant_of(
    const struct facts *f, const struct verdict *v, const struct caller *caller, struct grant *g)
{
    *g = (struct grant){.free = f->mode != ACCESS_PRIVATE, .made_us = clock_wall_us()};
    if (f->token_valid || f->link == KNOWN_YES) g->until_s = f->until_s;
    if (caller) {
        g->until_s = caller->until_s;
        memcpy(g->sign_in, caller->id, sizeof(g->sign_in));
    }
    if (f->token_valid) {
        g->by_token = true;
        g->made_us = f->token.made_us;
        g->from_us = f->token.from_s * US_PER_S;
        g->to_us = f->token.to_s * US_PER_S;
        g->sessions_max = f->token.sessions_max;
        memcpy(g->token_id, f->token.id, sizeof(g->token_id));
    }
    if (v->sessions_max > 0) g->sessions_max = v->sessions_max;
    span_copy(span_of(v->user[0] ? v->user : f->user[0] ? f->user : f->token.user), g->user, sizeof(g->user));
}

/* --- the end of a question --- */

static struct session *session_of(const struct question *q)
{
    return q->session[0] ? session_by_id(q->hub, span_of(q->session))
                         : session_by_identity(q->hub, q->identity);
}

static struct session *keep(struct question *q, const struct access_ask *a, const struct verdict *v)
{
    struct session *s = session_of(q);
    struct grant g;

    if (!s && q->session[0]) return NULL;
    if (!s) {
        grant_of(&q->facts, v, a->token.n == 0 ? a->caller : NULL, &g);
        s = sessions_add(q, &g);
    }
    if (!s) return NULL;
    s->grant.ops |= BIT(q->asked.op);
    s->facts = q->facts;
    s->number = q->number;
    if (secret_set(&q->token)) {
        secret_done(&s->token);
        s->token = q->token;
        q->token = (struct secret){NULL, 0};
    }
    s->again_us = v->ttl_us > 0 ? loop_now_us(q->hub->loop) + v->ttl_us : 0;
    return s;
}

/* Where an account may sign in, whoever has brought no token is told how. HTTP is asked for a login where the
 * site says so, or when one was tried: a browser would ask its user for a password that nobody has given him.
 */
static bool offers_login(const struct access_ask *a)
{
    const struct auth *auth = a->hub->auth;

    if (auth->accounts.n == 0 || a->token.n > 0) return false;
    return a->road == ROAD_RTSP || auth->web_login || a->authorization.n > 0;
}

/* What was asked of somebody else, or shown and not good, is not looked at again at once. The end of a
 * login's nonce is no refusal. */
static void remember(struct question *q, const struct verdict *v)
{
    bool shown = q->facts.guessed || facts_shown(&q->facts);
    usec_t ttl_us = q->unanswered ? BACKEND_RESTS_US : v->ttl_us > 0 ? v->ttl_us : shown ? GUESS_FAIL_US : 0;

    if (v->status == 200 || q->key[0] == '\0' || q->stale || (v->status >= 500 && !q->unanswered)) return;
    refusals_put(&q->hub->refusals, q->key, v->status, loop_now_us(q->hub->loop), ttl_us);
}

static struct access_verdict conclude(struct question *q, struct access_ask *a, const struct verdict *v)
{
    struct session *s;

    if (v->status != 200) {
        s = session_of(q);
        if (s) s->grant.ops &= ~BIT(q->asked.op);
        if (v->status >= 500) return said(v->status, &q->facts);
        a->challenge = offers_login(a) && !q->facts.other_camera;
        return said(a->challenge ? 401 : 403, &q->facts);
    }
    s = keep(q, a, v);
    if (!s) return (struct access_verdict){503, "there are too many viewers"};
    return on_session(a, s);
}

/* A session that runs was looked at again. Where nobody can be asked it goes on. Where it has changed
 * meanwhile who may watch, what was said is of before: it is asked anew. */
static void looked_again(struct question *q, const struct verdict *v)
{
    struct session *s = session_of(q);

    if (!s) return;
    s->looking = false;
    if (q->turn != q->hub->refusals.turn)
        s->again_us = 1;
    else if (v->status == 200)
        s->again_us = v->ttl_us > 0 ? loop_now_us(q->hub->loop) + v->ttl_us : 0;
    else if (v->status < 500)
        session_end(s);
    else
        s->again_us = loop_now_us(q->hub->loop) + ACCESS_AGAIN_US;
}

void access_guessed(struct hub *hub, const struct addr *a)
{
    static _Thread_local struct log_rate rate;
    usec_t now_us = loop_now_us(hub->loop);
    char address[ADDR_TEXT_MAX];
    uint32_t held;

    if (cidrs_has(&hub->auth->exempt, a) || !guess_failed(hub->server->guesses, a, now_us)) return;
    if (log_limited(&rate, now_us, &held))
        log_warn("guessing", "address=%s effect=\"what it shows is not looked at for a while\" held=%u",
            addr_text(a, address), held);
}

/* A wrong token is a guess where nobody took it: the site's own server has tokens of its own. What a session
 * was granted by was none. */
static void count_guess(const struct question *q, const struct verdict *v)
{
    if (q->facts.guessed && !q->session[0] && (v->status == 401 || v->status == 403))
        access_guessed(q->hub, &q->asked.address);
}

static void answer_one(struct question *q, struct access_ask *a, const struct verdict *v)
{
    bool anew = q->turn != q->hub->refusals.turn;

    a->pending = NULL;
    a->stream = stream_get(q->hub, span_of(q->uid));
    if (a->stream && anew && !access_ask(a)) return;
    if (!a->stream)
        a->verdict = gone;
    else if (!anew)
        a->verdict = conclude(q, a, v);
    a->done(a);
}

/* To all who have asked the same. Where it has changed meanwhile who may watch (a reload, a rule, a token
 * that was taken back), the facts are of before: it is asked anew. */
void question_answer(struct question *q, const struct verdict *v)
{
    struct refusals *r = &q->hub->refusals;

    if (q->key[0] && map_get(&r->asking, span_of(q->key)) == q) map_remove(&r->asking, span_of(q->key));
    if (q->again) {
        looked_again(q, v);
    } else if (q->turn == r->turn) {
        count_guess(q, v);
        remember(q, v);
    }
    while (!list_empty(&q->asks)) {
        struct access_ask *a = LIST_ITEM(q->asks.next, struct access_ask, wait);

        list_remove(&a->wait);
        answer_one(q, a, v);
    }
    question_done(q);
}

/* --- the begin of a question --- */

/* A Digest is good once (RFC 7616 5.6): the same header again does not stand for who sent it first. */
static bool by_digest(const struct access_ask *a)
{
    return a->token.n == 0 && span_istarts(a->authorization, "Digest ") && a->hub->auth->accounts.n > 0;
}

static void login_right(struct question *q)
{
    const struct account *c = q->account;

    facts_of_account(&q->facts, c->login, c->role, &c->cameras, q->uid);
}

/* One that was right a while ago waits for no thread. */
static void try_slow(const struct access_ask *a, struct question *q)
{
    uint8_t mem[512];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span user, password;

    if (!account_basic(a->authorization, &w, &user, &password)) return;
    if (proven_has(a->hub->server->proven, q->account, password, loop_now_us(a->hub->loop))) {
        login_right(q);
    } else {
        q->slow = true;
        q->login = secret_of(password);
    }
    explicit_bzero(mem, sizeof(mem));
}

static void try_login(struct access_ask *a, struct question *q)
{
    const struct auth *auth = a->hub->auth;
    const struct account_try t = {
        &auth->accounts, a->hub->server->nonces, auth->digest_md5, clock_wall_us() / US_PER_S};

    switch (account_check(&t, a, &q->account)) {
    case ACCOUNT_RIGHT:
        if (by_digest(a)) session_identity(a, q->account->login, q->identity);
        login_right(q);
        break;
    case ACCOUNT_STALE: a->stale = q->stale = true; break;
    case ACCOUNT_WRONG: q->facts.guessed = true; break;
    case ACCOUNT_SLOW: try_slow(a, q); break;
    }
}

/* false: it is not looked at, since its address has guessed too much. */
static bool look_at(struct access_ask *a, struct question *q)
{
    struct hub *hub = a->hub;

    if (a->token.n == 0 && a->caller)
        facts_of_account(&q->facts, a->caller->name, a->caller->role, &a->caller->cameras, q->uid);
    if (a->token.n == 0 && (a->authorization.n == 0 || a->caller)) return true;
    if (!cidrs_has(&hub->auth->exempt, &a->address) &&
        guess_blocked(hub->server->guesses, &a->address, loop_now_us(hub->loop)))
        return false;
    if (a->token.n > 0)
        facts_of_token(&q->facts, a);
    else if (a->hub->auth->accounts.n > 0)
        try_login(a, q);
    return true;
}

/* Does one more viewer of everybody's streams have to be counted, or asked about? */
static bool needs_session(const struct access_ask *a, const struct facts *f)
{
    const struct auth *auth = a->hub->auth;

    return f->mode == ACCESS_PRIVATE || a->stream->v.limit > 0 || auth->address_limit > 0 ||
        auth->bandwidth_limit > 0 || lua_is_site(a->hub->server->lua, LUAHOST_AUTH) ||
        plugins_next(PLUGIN_VIEWER, LUAHOST_AUTH) < LUAHOST_SLOTS;
}

static void fill(struct question *q, struct access_ask *a)
{
    *q = (struct question){.hub = a->hub};
    q->asked = (struct asked){a->op, a->road, a->address, a->from_us, a->to_us, SPAN_NONE};
    span_copy(span_of(a->stream->v.uid), q->uid, sizeof(q->uid));
    span_copy(a->user_agent, q->agent, sizeof(q->agent));
    q->facts.listed = q->facts.server_listed = q->facts.link = q->facts.backend = NOT_KNOWN;
    facts_of_rule(&q->facts, a);
}

/* Decided by what is there; false: facts are missing, or the script is to be asked. */
static bool known(struct access_ask *a, struct question *q)
{
    struct session *s = NULL;

    a->verdict = access_rule_says(&q->facts);
    if (a->verdict.status != 200) return true;
    if (a->session_id.n > 0) {
        /* The id in a path stands for what was granted to who has it. */
        s = session_by_id(a->hub, a->session_id);
        a->verdict = refused;
        if (!s || !span_is(span_of(s->uid), q->uid) || !session_near(s, &a->address)) return true;
    } else if (!needs_session(a, &q->facts)) {
        a->verdict = said(facts_rules(&q->facts, &q->asked), &q->facts);
        if (a->verdict.status == 200) hold_on(a, NULL);
        return true;
    } else {
        session_identity(a, NULL, q->identity);
        s = by_digest(a) ? NULL : session_by_identity(a->hub, q->identity);
    }
    if (!s) return false;
    if (s->grant.ops & BIT(a->op)) {
        /* A verdict whose time is over is asked for beside: nobody who watches waits for it. */
        a->verdict = on_session(a, s);
        if (a->verdict.status == 200 && session_is_due(s)) access_look_again(s);
        return true;
    }
    question_of_session(q, s);
    return false;
}

/* Who asks for what: the same again has the same answer for a while. */
static void name_question(const struct access_ask *a, struct question *q)
{
    char what[64];
    int n = snprintf(what, sizeof(what), "%d %d %d %lld %lld", a->op, a->road, a->secure,
        (long long)a->from_us, (long long)a->to_us);
    const struct span pieces[] = {span_of(q->identity), span(what, (size_t)n)};
    char hex[2 * CRYPTO_HASH_MAX + 1];

    if (q->identity[0] == '\0') return; /* by the id in its path, or open to all */
    crypto_hash_hex(CRYPTO_SHA256, pieces, ARRAY_N(pieces), hex);
    span_copy(span_of(hex), q->key, sizeof(q->key));
}

static bool refused_before(struct access_ask *a, const struct question *q)
{
    struct refusals *r = &a->hub->refusals;
    unsigned taken = lua_taken(a->hub->server->lua, LUAHOST_AUTH);

    unsigned status;

    if (r->script != taken) refusals_forget(r);
    r->script = taken;
    status = q->key[0] ? refusals_get(r, q->key, loop_now_us(a->hub->loop)) : 0;
    if (status == 0) return false;
    a->challenge = status < 500 && offers_login(a);
    a->verdict = said(status >= 500 ? status : a->challenge ? 401 : 403, &q->facts);
    return true;
}

/* Somebody has asked the same a moment ago, and waits. A Digest is good once. */
static bool joins(struct access_ask *a, const struct question *q)
{
    struct question *other = q->key[0] ? map_get(&a->hub->refusals.asking, span_of(q->key)) : NULL;

    if (!other || by_digest(a)) return false;
    list_push(&other->asks, &a->wait);
    a->pending = other;
    return true;
}

bool access_ask(struct access_ask *a)
{
    struct question q, *later;

    must(!access_held(a->hold));
    a->pending = NULL;
    a->challenge = a->stale = false;
    fill(&q, a);
    if (known(a, &q)) return true;
    name_question(a, &q);
    if (refused_before(a, &q)) return true;
    if (joins(a, &q)) return false;
    a->verdict = refused;
    if (q.session[0] == '\0' && !look_at(a, &q)) return true;
    if (!question_waits(&q)) {
        struct verdict v;

        question_rules(&q, &v);
        count_guess(&q, &v);
        remember(&q, &v);
        a->verdict = conclude(&q, a, &v);
        return true;
    }
    later = question_keep(&q, a);
    if (q.key[0]) map_set(&a->hub->refusals.asking, span_of(q.key), later);
    question_go_on(later);
    return false;
}

void access_cancel(struct access_ask *a)
{
    if (a->pending) list_remove(&a->wait);
    a->pending = NULL;
}

static void go_on(void *arg)
{
    question_go_on(arg);
}

void access_look_again(struct session *s)
{
    struct access_hold *hold = LIST_ITEM(s->holds.next, struct access_hold, link);
    struct stream *st = stream_get(s->hub, span_of(s->uid));
    struct access_ask a = {.hub = s->hub,
        .stream = st,
        .op = hold->op,
        .road = hold->road,
        .address = s->address,
        .token = secret_reveal(&s->token)};
    struct question q, *later;

    if (!st) return;
    fill(&q, &a);
    question_of_session(&q, s);
    q.again = true;
    s->looking = true;
    later = question_keep(&q, &a);
    /* The answer may end the session, which its asker still uses. */
    loop_post(s->hub->loop, go_on, later);
}

void access_challenge(const struct access_ask *a, struct wr *w)
{
    const struct auth *auth = a->hub->auth;
    const struct account_try t = {
        &auth->accounts, a->hub->server->nonces, auth->digest_md5, clock_wall_us() / US_PER_S};

    account_challenge(w, &t, &a->address, a->secure, a->stale);
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

struct sight access_sight(const struct access_hold *hold)
{
    const struct session *s = hold->session;

    if (!access_held(hold)) return SIGHT_NOTHING;
    return s ? (struct sight){s->grant.from_us, s->grant.to_us} : (struct sight){0, 0};
}

bool access_open(const struct hub *hub, const struct stream *s)
{
    return s->v.rule.mode == ACCESS_PUBLIC && hub->auth->whitelist.n == 0 && !hub->auth->closed;
}
