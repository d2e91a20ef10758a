/* msctl token: makes access tokens, and takes them back. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/conf/value.h"
#include "common/net/addr.h"
#include "common/wire/hex.h"
#include "master/master.h"

#define OPS_USUAL      (TOKEN_LIVE | TOKEN_DVR)
#define OPS_OF_USERS   (TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY)
#define OPS_OF_FOOTAGE (TOKEN_DVR | TOKEN_COPY)

struct made {
    struct token t;
    usec_t duration_us;
    char note[MINTED_NOTE_MAX + 1];
    char text[TOKEN_TEXT_MAX];
};

static int say(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

/* --- token create STREAMS [user=] [ops=] [duration=] [not-before=] [from=] [to=] [address=] [sessions=]
 * [note=]
 * --- */

static bool take_user(struct span v, struct made *m)
{
    return v.n > 0 && span_copy(v, m->t.user, sizeof(m->t.user));
}

static bool take_ops(struct span v, struct made *m)
{
    return token_ops_of(v, &m->t.ops);
}

static bool take_duration(struct span v, struct made *m)
{
    return value_duration(v, &m->duration_us);
}

static bool take_not_before(struct span v, struct made *m)
{
    return value_time(v, &m->t.not_before_s);
}

static bool take_from(struct span v, struct made *m)
{
    return value_time(v, &m->t.from_s);
}

static bool take_to(struct span v, struct made *m)
{
    return value_time(v, &m->t.to_s);
}

static bool take_address(struct span v, struct made *m)
{
    struct cidr c;

    if (!cidr_parse(v, &c)) return false;
    m->t.bound = true;
    m->t.address_bits = (uint8_t)c.bits;
    memcpy(m->t.address, c.addr.b, sizeof(m->t.address));
    return true;
}

static bool take_sessions(struct span v, struct made *m)
{
    uint64_t n;

    if (!span_u64(v, 1000000, &n)) return false;
    m->t.sessions_max = (uint32_t)n;
    return true;
}

static bool take_note(struct span v, struct made *m)
{
    return span_copy(v, m->note, sizeof(m->note));
}

static const struct {
    const char *name;
    bool (*take)(struct span v, struct made *m);
    const char *wrong;
} options[] = {
    {"user", take_user, "user: 1 to 64 characters"},
    {"ops", take_ops, "ops: a list out of live, dvr, copy, publish, api"},
    {"duration", take_duration, "duration: seconds, or such as 12h; 0: without an end"},
    {"not-before", take_not_before, "not-before: unix seconds, 2026-01-31 or 2026-01-31T12:00:00Z"},
    {"from", take_from, "from: unix seconds, 2026-01-31 or 2026-01-31T12:00:00Z"},
    {"to", take_to, "to: unix seconds, 2026-01-31 or 2026-01-31T12:00:00Z"},
    {"address", take_address, "address: an address, or a network such as 10.0.0.0/8"},
    {"sessions", take_sessions, "sessions: a number, 0: as many as there are"},
    {"note", take_note, "note: at most 200 bytes"},
};

/* NULL, or what is wrong. */
static const char *take_option(struct span arg, struct made *m)
{
    struct span name;

    if (!span_split(&arg, '=', &name) || !arg.p) return "an option is NAME=VALUE";
    for (size_t i = 0; i < ARRAY_N(options); i++)
        if (span_is(name, options[i].name)) return options[i].take(arg, m) ? NULL : options[i].wrong;
    return "an option is user, ops, duration, not-before, from, to, address, sessions or note";
}

static const char *take_streams(struct span list, struct token *t)
{
    struct span piece;

    while (span_split(&list, ',', &piece)) {
        piece = span_trim(piece);
        if (!token_pattern_ok(piece)) return "streams: uids, or beginnings of them with a '*', with commas";
        if (t->n_streams == TOKEN_STREAMS_MAX)
            return "at most 16 streams or beginnings of streams in a token";
        span_copy(piece, t->streams[t->n_streams++], sizeof(t->streams[0]));
    }
    return NULL;
}

static void made_free(void *p)
{
    explicit_bzero(p, sizeof(struct made));
    mem_free(p);
}

static int mint(struct session *s, struct made *m)
{
    usec_t now_us = clock_wall_us();
    char audience[TOKEN_AUDIENCE_MAX + 1];
    struct token_keys keys;
    bool ok;

    span_copy(span_of(tokens_audience(s->m->conf, audience)), m->t.audience, sizeof(m->t.audience));
    rng_bytes(m->t.id, sizeof(m->t.id));
    m->t.made_us = now_us;
    if (m->duration_us > 0)
        m->t.not_after_s = MAX(m->t.not_before_s, now_us / US_PER_S) + m->duration_us / US_PER_S;
    tokens_keys(s->m->conf, &keys);
    ok = token_mint(&keys, &m->t, now_us / US_PER_S, m->text);
    token_keys_done(&keys);
    if (!ok) return say(s, CTL_FAILED, "there is no key that is good now: see auth-secret and [[[keys]]]");
    minted_add(&s->m->tokens.minted, &m->t, s->audit.who, m->note);
    return CTL_OK;
}

/* What the API may make, for whom. For which cameras is httpd's to say (httpd/token_calls.c). */
static const char *too_much(const struct session *s, const struct made *m)
{
    bool root = strcmp(s->audit.role, "root") == 0, admin = strcmp(s->audit.role, "admin") == 0;

    if ((m->t.from_s > 0 || m->t.to_s > 0) && (m->t.ops & ~OPS_OF_FOOTAGE))
        return "ops: what has from and to is footage: dvr and copy alone";
    if (!root && (m->t.ops & TOKEN_API)) return "ops: tokens of the API are for a root to make";
    if (root || admin) return NULL;
    if (strcmp(s->audit.role, "user") != 0) return "this role shares nothing";
    if (m->t.ops & ~OPS_OF_USERS) return "ops: a user shares live, dvr and copy";
    if (m->duration_us == 0 || m->duration_us > s->m->conf->delivery.share_max_us)
        return "duration: longer than share-max of the server";
    for (size_t i = 0; i < m->t.n_streams; i++)
        if (strchr(m->t.streams[i], '*')) return "uids: a user shares streams by their names";
    return NULL;
}

static int run_create(struct session *s)
{
    struct made *m = NEW(struct made);
    const char *wrong;

    m->t.ops = OPS_USUAL;
    m->duration_us = 86400 * US_PER_S;
    wrong = take_streams(span_of(s->args[0]), &m->t);
    for (size_t i = 1; i < s->n_args && !wrong; i++) wrong = take_option(span_of(s->args[i]), m);
    if (!wrong && m->t.to_s > 0 && m->t.to_s < m->t.from_s) wrong = "to: its footage ends before it begins";
    if (!wrong && s->api) wrong = too_much(s, m);
    if (wrong) {
        made_free(m);
        return say(s, CTL_USAGE, wrong);
    }
    s->data = m;
    s->data_free = made_free;
    return mint(s, m);
}

static const char *id_text(const uint8_t *id, char *dst)
{
    struct wr w = wr_of(dst, 2 * TOKEN_ID_N + 1);

    hex_write(&w, span(id, TOKEN_ID_N));
    return wr_cstr(&w);
}

static bool row_create(struct session *s, struct packer *p)
{
    const struct made *m = s->data;
    char id[2 * TOKEN_ID_N + 1];

    if (s->at++ > 0 || m->text[0] == '\0') return false;
    pack_map(p, m->t.not_after_s > 0 ? 3 : 2);
    pack_kv_text(p, "token", m->text);
    pack_kv_text(p, "id", id_text(m->t.id, id));
    if (m->t.not_after_s > 0) pack_kv_i64(p, "until_s", m->t.not_after_s);
    return true;
}

/* --- token revoke token=TOKEN | id=ID | user=NAME | stream=UID --- */

/* Only one of ours: its id and its end are in it, whether it is of now or not. */
static const char *revoke_token(struct session *s, struct span text, struct revoked_row *row)
{
    char audience[TOKEN_AUDIENCE_MAX + 1];
    struct token_keys keys;
    struct token_check check = {&keys, tokens_audience(s->m->conf, audience), clock_wall_us() / US_PER_S};
    struct token t;
    int err;

    tokens_keys(s->m->conf, &keys);
    err = token_verify(&check, text, &t, &row->until_s);
    token_keys_done(&keys);
    if (err != 0 && err != TOKEN_E_TIME) return "this is no token of this server's";
    id_text(t.id, row->name);
    return NULL;
}

static bool is_id(struct span v)
{
    uint64_t n;

    return v.n == sizeof(uint64_t) * 4 && span_hex64(span_sub(v, 0, 16), &n) &&
        span_hex64(span_from(v, 16), &n);
}

static int run_revoke(struct session *s)
{
    struct revoked_row row = {.at_us = clock_wall_us()};
    struct span v = span_of(s->args[0]), name;
    const char *wrong = NULL;

    if (!span_split(&v, '=', &name) || v.n == 0) return say(s, CTL_USAGE, "token=, id=, user= or stream=");
    row.kind = span_is(name, "user") ? REVOKED_USER
        : span_is(name, "stream")    ? REVOKED_STREAM
                                     : REVOKED_TOKEN;
    if (span_is(name, "token"))
        wrong = revoke_token(s, v, &row);
    else if (span_is(name, "id") && !is_id(v))
        wrong = "an id is 32 hexadecimal digits";
    else if (row.kind == REVOKED_TOKEN && !span_is(name, "id"))
        wrong = "token=, id=, user= or stream=";
    else if (!span_copy(v, row.name, sizeof(row.name)) || span_find(v, '\n') >= 0)
        wrong = "this name is too long";
    if (wrong) return say(s, CTL_USAGE, wrong);
    wrong = tokens_revoke(s->m, &row);
    if (wrong) return say(s, CTL_FAILED, wrong);
    log_note(
        "token-revoked", "kind=%s name=%s by=msctl", tokens_kind_word(row.kind), log_q(span_of(row.name)));
    return CTL_OK;
}

/* --- token revoked --- */

static int run_list(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static bool row_revoked(struct session *s, struct packer *p)
{
    if (s->at >= s->m->tokens.n) return false;
    tokens_pack(p, &s->m->tokens.v[s->at++]);
    return true;
}

/* --- api tokens, api token revoke ID: one's own, a root's all --- */

static bool is_theirs(const struct session *s, const struct minted_row *r)
{
    return strcmp(s->audit.role, "root") == 0 || strcmp(s->audit.who, r->by) == 0;
}

static bool row_minted(struct session *s, struct packer *p)
{
    const struct minted *t = &s->m->tokens.minted;

    while (s->at < t->n) {
        const struct minted_row *r = &t->v[t->n - 1 - s->at++];

        if (!is_theirs(s, r)) continue;
        minted_pack(p, r);
        return true;
    }
    return false;
}

static int run_revoke_minted(struct session *s)
{
    const struct minted_row *r = minted_find(&s->m->tokens.minted, span_of(s->args[0]));
    struct revoked_row row = {.kind = REVOKED_TOKEN, .at_us = clock_wall_us()};
    const char *wrong;

    if (!r || !is_theirs(s, r)) return say(s, CTL_NOT_FOUND, "there is no such token");
    row.until_s = token_good_until(r->until_s);
    span_copy(span_of(r->id), row.name, sizeof(row.name));
    wrong = tokens_revoke(s->m, &row);
    return wrong ? say(s, CTL_FAILED, wrong) : CTL_OK;
}

const struct command commands_tokens[] = {
    {"token create", 1, 10, run_create, row_create},
    {"api token create", 1, 10, run_create, row_create},
    {"api tokens", 0, 0, run_list, row_minted},
    {"api token revoke", 1, 1, run_revoke_minted, NULL},
    {"token revoke", 1, 1, run_revoke, NULL},
    {"token revoked", 0, 0, run_list, row_revoked},
};
const size_t n_commands_tokens = ARRAY_N(commands_tokens);
