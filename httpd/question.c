#include "httpd/question.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/scrypt.h"
#include "httpd/auth.h"
#include "httpd/backend.h"
#include "httpd/plugins.h"
#include "httpd/proven.h"
#include "httpd/stream.h"

#define TTL_MOST_S 86400
#define ASK_MAX    16384 /* bytes of a script's request */
#define DOWN_S     30    /* so long it holds where the backend is away, and the site lets viewers in then */

void question_of_session(struct question *q, const struct session *s)
{
    const struct facts now = q->facts;

    q->facts = s->facts;
    q->facts.backend = NOT_KNOWN; /* to be asked anew */
    q->number = s->number;
    q->facts.mode = now.mode;
    q->facts.enabled = now.enabled;
    q->facts.proto_ok = now.proto_ok;
    q->facts.listed = now.listed;
    q->facts.server_listed = now.server_listed;
    span_copy(span_of(s->id), q->session, sizeof(q->session));
    span_copy(span_of(s->identity), q->identity, sizeof(q->identity));
}

static bool asks_script(const struct question *q)
{
    const struct lua *lua = q->hub->server->lua;

    if (!lua) return false;
    if (lua_is_site(lua, LUAHOST_AUTH)) return true;
    return q->facts.mode == ACCESS_PRIVATE && facts_rules(&q->facts, &q->asked) == 200;
}

/* It is asked where nothing of ours has let the viewer in; about viewers alone, since one that knows nothing
 * of cameras would let in whoever pushes. */
static bool asks_backend(const struct question *q)
{
    const struct facts *f = &q->facts;

    return !q->asked_backend && q->asked.op != ACCESS_PUBLISH && f->mode == ACCESS_PRIVATE &&
        secret_set(&q->hub->auth->backend) && !f->token_valid && f->link != KNOWN_YES && f->user[0] == '\0';
}

bool question_waits(const struct question *q)
{
    return q->slow || asks_backend(q) || asks_script(q) ||
        plugins_next(PLUGIN_VIEWER, LUAHOST_AUTH) < LUAHOST_SLOTS;
}

struct question *question_keep(const struct question *q, struct access_ask *a)
{
    struct question *kept = mem_dup(q, sizeof(*q));

    list_init(&kept->asks);
    if (!q->again) {
        list_push(&kept->asks, &a->wait);
        a->pending = kept;
    }
    kept->turn = q->hub->refusals.turn;
    kept->auth = auth_ref(q->hub->auth);
    kept->asked.user_agent = span_of(kept->agent);
    if (secret_set(&kept->auth->backend)) kept->token = secret_of(a->token);
    return kept;
}

void question_done(struct question *q)
{
    secret_done(&q->login);
    secret_done(&q->token);
    auth_unref(q->auth);
    mem_free(q);
}

/* --- a password that takes its time --- */

static void password_work(struct job *j)
{
    struct question *q = CONTAINER(j, struct question, job);

    q->right = scrypt_check(secret_reveal(&q->account->password), secret_reveal(&q->login));
}

static void password_done(struct job *j)
{
    struct question *q = CONTAINER(j, struct question, job);

    q->slow = false;
    if (q->right) {
        proven_add(q->hub->server->proven, q->account, secret_reveal(&q->login), loop_now_us(q->hub->loop));
        facts_of_account(&q->facts, q->account->login, q->account->role, &q->account->cameras, q->uid);
    } else {
        q->facts.guessed = true;
    }
    question_go_on(q);
}

static void fail(struct question *q, unsigned status)
{
    const struct verdict v = {.status = status};

    question_answer(q, &v);
}

static void too_busy(void *arg)
{
    fail(arg, 503);
}

static void ask_password(struct question *q)
{
    q->job = (struct job){.work = password_work, .done = password_done, .loop = q->hub->loop};
    if (!pool_put(q->hub->server->passwords, &q->job)) loop_post(q->hub->loop, too_busy, q);
}

/* --- the site's own server --- */

/* What the site has said for that. */
static void unanswered(void *arg)
{
    struct question *q = arg;

    q->asked_backend = true;
    if (!q->auth->backend_down_allows) {
        q->unanswered = true;
        fail(q, 503);
        return;
    }
    q->facts.backend = KNOWN_YES;
    q->facts.backend_s = DOWN_S;
    question_go_on(q);
}

/* Nobody is there, so that the next question would have the same end; an answer of 5xx may be this question's
 * alone. */
static bool is_away(const struct outgoing_answer *answer)
{
    return answer->err == OUTGOING_E_LATE || answer->err == OUTGOING_E_CONNECT ||
        answer->err == OUTGOING_E_TLS;
}

static void backend_said(void *arg, const struct outgoing_answer *answer)
{
    static _Thread_local struct log_rate rate;
    struct question *q = arg;
    usec_t now_us = loop_now_us(q->hub->loop);
    uint32_t held;

    if (backend_read(answer, &q->facts)) {
        q->asked_backend = true;
        question_go_on(q);
        return;
    }
    if (log_limited(&rate, now_us, &held))
        log_warn("auth-backend-down", "status=%u why=%s held=%u", answer->status,
            log_q(span_of(outgoing_why(answer->err))), held);
    if (is_away(answer) && q->auth == q->hub->auth) q->hub->backend_rests_us = now_us + BACKEND_RESTS_US;
    unanswered(q);
}

static void ask_backend(struct question *q)
{
    struct server *server = q->hub->server;
    CLEANUP(mem_freep) char *url = mem_new(OUTGOING_URL_MAX);
    struct wr w = wr_of(url, OUTGOING_URL_MAX);
    const struct outgoing_ask ask = {.method = "GET",
        .url = url,
        .limit_us = q->auth->backend_timeout_us,
        .answer_max = BACKEND_BODY_MAX,
        .loop = q->hub->loop,
        .done = backend_said,
        .arg = q};

    if (loop_now_us(q->hub->loop) < q->hub->backend_rests_us) {
        loop_post(q->hub->loop, unanswered, q);
        return;
    }
    q->number++;
    if (!backend_url(&w, secret_reveal(&q->auth->backend), q, atomic_load(&server->watching)) ||
        outgoing_send(server->outgoing, &ask) != 0)
        loop_post(q->hub->loop, too_busy, q);
}

/* --- plug-ins: each may refuse whom everybody before it has let in --- */

static void show_plugins(struct question *q, const struct verdict *v);

/* false, or { allow = false, status = 401, 403 or 503 }; what fails decides nothing, and lets nobody in. */
static void plugin_said(void *arg, const struct lua_answer *answer)
{
    struct question *q = arg;
    struct verdict v = q->verdict;
    const struct packed *said = answer->value;
    uint64_t status = packed_u64(said, "status", 403);
    int64_t ttl_s = packed_i64(said, "ttl", 0);

    if (answer->err != 0)
        v.status = 503;
    else if (!packed_as_bool(said, true) || !packed_bool(said, "allow", true))
        v.status = status == 401 || status == 503 ? (unsigned)status : 403;
    else if (ttl_s > 0 && ttl_s <= TTL_MOST_S && (v.ttl_us == 0 || v.ttl_us > ttl_s * US_PER_S))
        v.ttl_us = ttl_s * US_PER_S;
    show_plugins(q, &v);
}

static void show_plugins(struct question *q, const struct verdict *v)
{
    const struct lua_asker who = {q->hub->loop, plugin_said, q, NULL};
    struct packer p;
    struct buf b;

    q->plugin = v->status == 200 ? plugins_next(PLUGIN_VIEWER, q->plugin) : LUAHOST_SLOTS;
    if (q->plugin == LUAHOST_SLOTS) {
        question_answer(q, v);
        return;
    }
    q->verdict = *v;
    buf_init(&b, ASK_MAX);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_kv_text(&p, "hook", "on_viewer");
    pack_key(&p, "data");
    facts_pack(&p, &q->facts, &q->asked, q->uid);
    lua_ask(q->hub->server->plugins, q->plugin, buf_span(&b), PLUGIN_DECIDES_US, &who);
    buf_done(&b);
}

/* --- the script --- */

static void script_said(void *arg, const struct lua_answer *answer)
{
    struct question *q = arg;
    struct verdict v = {.status = 503};

    if (answer->err != 0) {
        static _Thread_local struct log_rate rate;
        uint32_t held;

        if (log_limited(&rate, loop_now_us(q->hub->loop), &held))
            log_warn("access-script", "stream=%s why=%s incident=%u held=%u", q->uid,
                log_q(span_of(lua_why(answer->err))), answer->incident, held);
    } else {
        bool allow = packed_bool(answer->value, "allow", false);
        uint64_t status = packed_u64(answer->value, "status", 403);

        v.status = allow ? 200 : status == 401 || status == 503 ? (unsigned)status : 403;
        v.ttl_us = (usec_t)CLAMP(packed_i64(answer->value, "ttl", 0), 0, TTL_MOST_S) * US_PER_S;
        v.sessions_max = (uint32_t)MIN(packed_u64(answer->value, "max_sessions", 0), UINT32_MAX);
        (void)packed_text(answer->value, "user", v.user, sizeof(v.user));
    }
    show_plugins(q, &v);
}

static void ask_script(struct question *q)
{
    const struct lua_asker who = {q->hub->loop, script_said, q, NULL};
    struct packer p;
    struct buf b;

    buf_init(&b, ASK_MAX);
    p = packer_of(&b);
    facts_pack(&p, &q->facts, &q->asked, q->uid);
    lua_ask(q->hub->server->lua, LUAHOST_AUTH, buf_span(&b), QUESTION_SCRIPT_US, &who);
    buf_done(&b);
}

void question_rules(const struct question *q, struct verdict *ret)
{
    *ret = (struct verdict){.status = facts_rules(&q->facts, &q->asked)};
    if (q->facts.backend == NOT_KNOWN) return;
    ret->ttl_us = q->facts.backend_s * US_PER_S;
    ret->sessions_max = q->facts.backend_sessions;
    span_copy(span_of(q->facts.backend_user), ret->user, sizeof(ret->user));
}

void question_go_on(struct question *q)
{
    struct verdict v;

    if (q->slow) {
        ask_password(q);
    } else if (asks_backend(q)) {
        ask_backend(q);
    } else if (asks_script(q)) {
        ask_script(q);
    } else {
        question_rules(q, &v);
        show_plugins(q, &v);
    }
}
