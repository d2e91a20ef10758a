#include "httpd/token_calls.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/hex.h"
#include "httpd/api_calls.h"
#include "httpd/audit.h"
#include "httpd/auth.h"
#include "httpd/caller.h"
#include "httpd/hub.h"
#include "httpd/master_ask.h"

#define DURATION_MAX_S ((int64_t)100 * 366 * 86400)
#define QUESTION_MAX   8192
#define WORDS_MAX      10
#define WORD_MAX       800 /* 16 patterns, or a note */
#define NOTE_MAX       200 /* bytes */

static struct {
    struct server *server;
    struct master_asks *master;
    struct channel *control; /* of the master; NULL: nobody is told */
    struct auth *auth;       /* NULL: not told yet */
} tokens;

/* --- at once, for many --- */

/* NULL, or what cannot be. */
static const char *read_token(const struct packed *args, usec_t now_us, struct token *t)
{
    const struct packed *ops = packed_get(args, "ops");
    int64_t duration_s = packed_i64(args, "duration", 0);
    struct span uid = packed_str(args, "uid");
    unsigned op;

    if (!span_copy(packed_str(args, "user"), t->user, sizeof(t->user))) return "user: too long";
    if (uid.p) {
        if (!token_pattern_ok(uid) || !span_copy(uid, t->streams[0], sizeof(t->streams[0])))
            return "uid: there is no such name";
        t->n_streams = 1;
    }
    for (size_t i = 0; i < packed_n(ops); i++) {
        if (!token_ops_of(packed_as_str(packed_at(ops, i)), &op)) return "ops: there is no such word";
        t->ops |= op;
    }
    if (duration_s < 0 || duration_s > DURATION_MAX_S) return "duration: too long";
    if (duration_s > 0) t->not_after_s = now_us / US_PER_S + duration_s;
    t->from_s = packed_i64(args, "from", 0);
    t->to_s = packed_i64(args, "to", 0);
    if (t->from_s < 0 || t->to_s < 0) return "from, to: unix seconds";
    t->made_us = now_us;
    return NULL;
}

static bool is_within(const struct camera_list *l, struct span pattern)
{
    for (size_t i = 0; i < l->n; i++)
        if (token_pattern_covers(span_of(l->v[i]), pattern)) return true;
    return l->n == 0;
}

/* Nobody opens to others what he may not see; a token without a stream opens all of them. */
static bool may_give(const struct caller *c, const struct token *t)
{
    if (!c || c->cameras.n == 0) return true;
    return t->n_streams > 0 && is_within(&c->cameras, span_of(t->streams[0]));
}

/* What the master lists, by whose id it is taken back. */
static void tell_minted(const struct caller *c, const struct token *t, struct span note)
{
    char streams[TOKEN_STREAMS_MAX * (TOKEN_PATTERN_MAX + 1)], id[2 * TOKEN_ID_N + 1];
    struct wr all = wr_of(streams, sizeof(streams)), hex = wr_of(id, sizeof(id));
    struct packer *p;

    if (!tokens.control) return;
    for (size_t i = 0; i < t->n_streams; i++) wr_fmt(&all, "%s%s", i > 0 ? "," : "", t->streams[i]);
    hex_write(&hex, span(t->id, sizeof(t->id)));
    p = channel_begin(tokens.control, MSG_TOKEN_MADE, 10);
    pack_kv_text(p, "id", wr_cstr(&hex));
    pack_kv_text(p, "user", t->user);
    pack_kv_text(p, "streams", wr_cstr(&all));
    pack_kv_u64(p, "ops", t->ops);
    pack_kv_i64(p, "made_us", t->made_us);
    pack_kv_i64(p, "until_s", t->not_after_s);
    pack_kv_i64(p, "from_s", t->from_s);
    pack_kv_i64(p, "to_s", t->to_s);
    pack_kv_text(p, "by", c ? c->name : "");
    pack_key(p, "note");
    pack_str(p, note);
    channel_end(tokens.control, NULL, 0);
}

/* The same for the audit log. */
static void say_minted(const struct caller *c, const struct token *t)
{
    char text[AUDIT_TEXT_MAX];
    struct wr w = wr_of(text, sizeof(text));

    wr_text(&w, "id=");
    hex_write(&w, span(t->id, sizeof(t->id)));
    wr_fmt(&w, " uid=%s user=%s%s", t->n_streams > 0 ? t->streams[0] : "*", t->user,
        t->ops & TOKEN_API ? " ops=api" : "");
    audit_say(tokens.server->audit,
        &(struct audit_line){.caller = c,
            .who = SPAN_LIT("nobody"),
            .address = "this machine",
            .what = "token create",
            .result = "done",
            .text = wr_cstr(&w)});
}

void token_mint_call(const struct lua_call *c, const struct packed *args)
{
    char text[TOKEN_TEXT_MAX];
    usec_t now_us = clock_wall_us();
    struct token t = {0};
    struct span export_id = packed_str(args, "export");
    const char *bad = tokens.auth ? read_token(args, now_us, &t) : "the server has only just begun";
    struct packer p;
    struct buf b;

    if (!bad && !may_give(c->caller, &t)) bad = "foreign";
    if (bad) {
        lua_call_failed(c, bad);
        return;
    }
    span_copy(span_of(tokens.auth->audience), t.audience, sizeof(t.audience));
    if (export_id.n > 0)
        token_id_of_export(export_id, t.id);
    else
        rng_bytes(t.id, sizeof(t.id));
    if (!token_mint(&tokens.auth->keys, &t, now_us / US_PER_S, text)) {
        lua_call_failed(c, "there is no key: set auth-secret");
        return;
    }
    buf_init(&b, TOKEN_TEXT_MAX + 16);
    p = packer_of(&b);
    pack_str(&p, span_of(text));
    if (p.bad)
        lua_call_failed(c, "out of memory");
    else
        lua_call_done(c, buf_span(&b));
    if (!p.bad) say_minted(c->caller, &t);
    if (!p.bad) tell_minted(c->caller, &t, span_sub(packed_str(args, "note"), 0, NOTE_MAX));
    buf_done(&b);
}

/* --- those that are kept in mind --- */

struct word {
    char text[WORD_MAX];
};

/* A root that is held to some streams is no more than an admin there. */
static void ask_master(const struct lua_call *c, const char *cmd, const struct word *words, size_t n)
{
    struct caller who = *c->caller;
    struct lua_call *own = mem_dup(c, sizeof(*c));
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;
    bool ok;

    if (who.cameras.n > 0 && strcmp(who.role, "root") == 0) who.role = "admin";
    buf_init(&b, QUESTION_MAX);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) pack_str(&p, span_of(words[i].text));
    ok = !p.bad && unpack_new(buf_span(&b), &u) == 0;
    if (ok) {
        const struct master_question q = {
            .cmd = span_of(cmd), .args = unpack_root(u), .caller = &who, .apart = true};

        ok = master_ask(tokens.master, &q, api_calls_said, own);
    }
    unpack_done(u);
    buf_done(&b);
    if (ok) return;
    lua_call_failed(c, "busy");
    mem_free(own);
}

/* Streams with commas, "*": all. NULL, or the word. */
static const char *take_streams(const struct caller *c, const struct packed *uids, struct word *dst)
{
    struct wr w = wr_of(dst->text, sizeof(dst->text));

    if (packed_n(uids) > TOKEN_STREAMS_MAX) return "streams";
    if (packed_n(uids) == 0) wr_text(&w, "*");
    for (size_t i = 0; i < packed_n(uids); i++) {
        struct span uid = packed_as_str(packed_at(uids, i));

        if (!token_pattern_ok(uid)) return "streams";
        if (!is_within(&c->cameras, uid)) return "foreign";
        wr_fmt(&w, "%s%.*s", i > 0 ? "," : "", SPAN_FMT(uid));
    }
    if (packed_n(uids) == 0 && c->cameras.n > 0) return "foreign";
    return wr_cstr(&w)[0] ? NULL : "streams";
}

static bool take_option(const struct packed *args, const char *key, struct word *dst)
{
    const struct packed *v = packed_get(args, key);
    struct wr w = wr_of(dst->text, sizeof(dst->text));

    if (packed_kind(v) == PACKED_NIL) return false;
    wr_fmt(&w, "%s=", key);
    if (packed_kind(v) == PACKED_INT)
        wr_fmt(&w, "%lld", (long long)packed_as_i64(v, 0));
    else
        wr_bytes(&w, packed_as_str(v));
    wr_cstr(&w);
    return true;
}

void token_create(const struct lua_call *c, const struct packed *args)
{
    static const char *const options[] = {"user", "ops", "duration", "from", "to", "sessions", "note"};
    struct word *words = mem_new_n(WORDS_MAX, sizeof(*words));
    const char *refused =
        c->caller ? take_streams(c->caller, packed_get(args, "uids"), &words[0]) : "foreign";
    size_t n = 1;

    for (size_t i = 0; i < ARRAY_N(options); i++) n += take_option(args, options[i], &words[n]);
    if (refused)
        lua_call_failed(c, refused);
    else
        ask_master(c, "api token create", words, n);
    mem_free(words);
}

void token_revoke(const struct lua_call *c, const struct packed *args)
{
    struct word id;

    if (!c->caller || !span_copy(packed_as_str(args), id.text, sizeof(id.text)))
        lua_call_failed(c, "busy");
    else
        ask_master(c, "api token revoke", &id, 1);
}

void token_list(const struct lua_call *c, const struct packed *args)
{
    (void)args;
    if (c->caller)
        ask_master(c, "api tokens", NULL, 0);
    else
        lua_call_failed(c, "busy");
}

void token_calls_auth(struct auth *a)
{
    auth_unref(tokens.auth);
    tokens.auth = a;
}

void token_calls_start(struct server *server, struct master_asks *master, struct channel *control)
{
    tokens.server = server;
    tokens.master = master;
    tokens.control = control;
}
