#include "httpd/access_facts.h"
#include "common/base/clock.h"
#include "httpd/auth.h"
#include "httpd/caller.h"
#include "httpd/hub.h"
#include "httpd/secure_link.h"
#include "httpd/stream.h"

static enum known in_list(const struct cidrs *l, const struct addr *a)
{
    return l->n == 0 ? NOT_KNOWN : cidrs_has(l, a) ? KNOWN_YES : KNOWN_NO;
}

void facts_of_rule(struct facts *f, const struct access_ask *a)
{
    const struct access_rule *rule = &a->stream->v.rule;
    const struct auth *auth = a->hub->auth;

    /* Rules of viewers; who pushes has shown at its own door that he may knock (whitelist-publishers). */
    if (a->op == ACCESS_PUBLISH) {
        f->mode = ACCESS_PRIVATE;
        f->enabled = f->proto_ok = true;
        f->listed = f->server_listed = NOT_KNOWN;
        return;
    }
    f->mode = rule->mode;
    f->enabled = rule->enabled;
    f->proto_ok = rule->roads & 1u << a->road;
    f->listed = in_list(&rule->whitelist, &a->address);
    f->server_listed = auth->closed ? KNOWN_NO : in_list(&auth->whitelist, &a->address);
    /* A stream that has no list of its own is open to the server's. */
    if (f->listed == NOT_KNOWN && f->server_listed == KNOWN_YES) f->listed = KNOWN_YES;
}

static void of_link(struct facts *f, const struct access_ask *a)
{
    const struct auth *auth = a->hub->auth;
    int64_t until_s;

    if (!secret_set(&auth->link_key) || !secure_link_is(a->token)) return;
    f->has_token = false;
    f->link = secure_link_ok(secret_reveal(&auth->link_key), a, clock_wall_us() / US_PER_S, &until_s);
    if (f->link == KNOWN_YES)
        f->until_s = until_s;
    else
        f->guessed = true;
}

void facts_of_account(
    struct facts *f, const char *login, const char *role, const struct camera_list *cameras, const char *uid)
{
    f->other_camera = !camera_list_has(cameras, span_of(uid));
    if (f->other_camera) return;
    span_copy(span_of(login), f->user, sizeof(f->user));
    f->role = role;
}

/* Between the first two dots. */
static void kid_of(struct span token, char *dst, size_t cap)
{
    struct span part;

    span_split(&token, '.', &part);
    if (span_split(&token, '.', &part)) span_copy(part, dst, cap);
}

void facts_of_token(struct facts *f, const struct access_ask *a)
{
    const struct auth *auth = a->hub->auth;
    const struct token_check check = {&auth->keys, auth->audience, clock_wall_us() / US_PER_S};
    struct span uid = span_of(a->stream->v.uid);
    bool back, fits, address;
    int err;

    if (a->token.n == 0) return;
    f->has_token = true;
    err = token_verify(&check, a->token, &f->token, &f->until_s);
    /* Looked up of every token, so that one that nobody has signed is not refused sooner. */
    back = revoked_token(&a->hub->revoked, &f->token, uid);
    fits = token_fits_stream(&f->token, uid);
    address = !f->token.bound || addr_has_prefix(&a->address, f->token.address, f->token.address_bits);
    f->guessed = err == TOKEN_E_FORGED;
    if (err == TOKEN_E_FORGED) of_link(f, a);
    if (err != 0 || back) return;
    f->token_valid = true;
    f->stream_ok = fits;
    f->address_ok = address;
    kid_of(a->token, f->kid, sizeof(f->kid));
}

/* --- the rules, as lua/modules/auth/validate.lua has them --- */

static unsigned needs(enum access_op op)
{
    static const unsigned table[ACCESS_OPS] = {
        [ACCESS_PAGE] = TOKEN_LIVE | TOKEN_DVR,
        [ACCESS_LIVE] = TOKEN_LIVE,
        [ACCESS_PREVIEW] = TOKEN_LIVE,
        [ACCESS_DVR] = TOKEN_DVR,
        [ACCESS_COPY] = TOKEN_COPY,
        [ACCESS_PUBLISH] = TOKEN_PUBLISH,
    };

    return table[op];
}

static bool token_allows(const struct facts *f, const struct asked *q)
{
    const struct token *t = &f->token;

    if (!f->token_valid || !f->stream_ok || !f->address_ok || !(t->ops & needs(q->op))) return false;
    if (t->from_s > 0 && q->from_us > 0 && q->from_us < t->from_s * US_PER_S) return false;
    return t->to_s == 0 || q->to_us == 0 || q->to_us <= t->to_s * US_PER_S;
}

static bool account_allows(const struct facts *f, const struct asked *q)
{
    if (f->user[0] == '\0' || q->op == ACCESS_PUBLISH) return false;
    return strcmp(f->role, "guest") != 0 || q->op == ACCESS_LIVE || q->op == ACCESS_PREVIEW ||
        q->op == ACCESS_PAGE;
}

bool facts_shown(const struct facts *f)
{
    return f->has_token || f->link != NOT_KNOWN || f->user[0] != '\0' || f->other_camera;
}

static unsigned private_rules(const struct facts *f, const struct asked *q)
{
    if (f->backend != NOT_KNOWN) return f->backend == KNOWN_YES ? 200 : 403;
    if (f->link == KNOWN_YES && q->op != ACCESS_PUBLISH) return 200;
    if (token_allows(f, q) || account_allows(f, q)) return 200;
    return facts_shown(f) ? 403 : 401;
}

unsigned facts_rules(const struct facts *f, const struct asked *q)
{
    unsigned status = 200;

    if (f->server_listed == KNOWN_NO || f->mode == ACCESS_NONE || !f->proto_ok) return 403;
    if (f->mode == ACCESS_PROTECTED && f->listed != KNOWN_YES) return 403;
    if (f->mode == ACCESS_PRIVATE) status = private_rules(f, q);
    if (status == 200 && !f->enabled && (q->op == ACCESS_LIVE || q->op == ACCESS_PREVIEW)) return 503;
    return status;
}

/* --- for the script --- */

static void pack_known(struct packer *p, const char *key, enum known v)
{
    if (v != NOT_KNOWN) pack_kv_bool(p, key, v == KNOWN_YES);
}

static void pack_time(struct packer *p, const char *key, int64_t s)
{
    if (s > 0) pack_kv_i64(p, key, s);
}

static void pack_token(struct packer *p, const struct facts *f)
{
    static const struct {
        unsigned op;
        const char *word;
    } ops[] = {{TOKEN_LIVE, "live"}, {TOKEN_DVR, "dvr"}, {TOKEN_COPY, "copy"}, {TOKEN_PUBLISH, "publish"},
        {TOKEN_API, "api"}};
    uint32_t n = 0;

    pack_key(p, "token");
    if (!f->token_valid) {
        pack_map(p, 1);
        pack_kv_bool(p, "valid", false);
        return;
    }
    pack_map(p, 6u + (f->token.from_s > 0) + (f->token.to_s > 0));
    pack_kv_bool(p, "valid", true);
    pack_kv_text(p, "user", f->token.user);
    pack_kv_text(p, "kid", f->kid);
    pack_kv_bool(p, "stream_ok", f->stream_ok);
    pack_kv_bool(p, "address_ok", f->address_ok);
    pack_time(p, "from", f->token.from_s);
    pack_time(p, "to", f->token.to_s);
    for (size_t i = 0; i < ARRAY_N(ops); i++) n += (f->token.ops & ops[i].op) != 0;
    pack_key(p, "ops");
    pack_map(p, n);
    for (size_t i = 0; i < ARRAY_N(ops); i++)
        if (f->token.ops & ops[i].op) pack_kv_bool(p, ops[i].word, true);
}

static void pack_backend(struct packer *p, const struct facts *f)
{
    pack_key(p, "backend");
    pack_map(p, 4);
    pack_kv_bool(p, "allow", f->backend == KNOWN_YES);
    pack_kv_text(p, "user", f->backend_user);
    pack_kv_i64(p, "duration", f->backend_s);
    pack_kv_u64(p, "max_sessions", f->backend_sessions);
}

static void pack_user(struct packer *p, const struct facts *f)
{
    pack_key(p, "user");
    pack_map(p, 2);
    pack_kv_text(p, "name", f->user);
    pack_kv_text(p, "role", f->role);
}

void facts_pack(struct packer *p, const struct facts *f, const struct asked *q, const char *uid)
{
    static const char *const modes[] = {[ACCESS_PUBLIC] = "public",
        [ACCESS_PROTECTED] = "protected",
        [ACCESS_PRIVATE] = "private",
        [ACCESS_NONE] = "none"};
    char address[ADDR_TEXT_MAX];

    pack_map(p,
        8u + (f->listed != NOT_KNOWN) + (f->server_listed != NOT_KNOWN) + f->has_token +
            (f->link != NOT_KNOWN) + (f->user[0] != '\0') + (f->backend != NOT_KNOWN) + (q->from_us > 0) +
            (q->to_us > 0));
    pack_kv_text(p, "uid", uid);
    pack_kv_text(p, "op", access_op_name(q->op));
    pack_kv_text(p, "road", access_road_name(q->road));
    pack_kv_text(p, "address", addr_text(&q->address, address));
    pack_kv_str(p, "user_agent", q->user_agent);
    pack_kv_text(p, "access", modes[f->mode]);
    pack_kv_bool(p, "proto_ok", f->proto_ok);
    pack_kv_bool(p, "enabled", f->enabled);
    pack_known(p, "listed", f->listed);
    pack_known(p, "server_listed", f->server_listed);
    if (f->has_token) pack_token(p, f);
    pack_known(p, "link", f->link);
    if (f->user[0]) pack_user(p, f);
    if (f->backend != NOT_KNOWN) pack_backend(p, f);
    pack_time(p, "from", q->from_us / US_PER_S);
    pack_time(p, "to", q->to_us / US_PER_S);
}
