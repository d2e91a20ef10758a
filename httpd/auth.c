#include "httpd/auth.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "common/wire/crypto.h"
#include "httpd/access.h"
#include "httpd/hub.h"
#include "httpd/signins.h"

struct auth *auth_new(void)
{
    struct auth *a = NEW(struct auth);

    atomic_init(&a->refs, 1);
    snprintf(a->api_base, sizeof(a->api_base), "/api");
    snprintf(a->cpanel_base, sizeof(a->cpanel_base), "/cpanel");
    return a;
}

struct auth *auth_ref(struct auth *a)
{
    atomic_fetch_add(&a->refs, 1);
    return a;
}

void auth_unref(struct auth *a)
{
    if (!a || atomic_fetch_sub(&a->refs, 1) != 1) return;
    cidrs_done(&a->whitelist);
    cidrs_done(&a->api_whitelist);
    cidrs_done(&a->api_exempt);
    cidrs_done(&a->cpanel_whitelist);
    cidrs_done(&a->proxies);
    cidrs_done(&a->exempt);
    token_keys_done(&a->keys);
    accounts_done(&a->accounts);
    secret_done(&a->link_key);
    secret_done(&a->backend);
    mem_free(a);
}

/* A list that cannot be read lets nobody in: the master has checked it, so this is no mistake of the site's.
 */
static void read_list(struct auth *a, const struct packed *body, const char *key, struct cidrs *ret)
{
    if (cidrs_parse(packed_str(body, key), ACCESS_CIDRS_MAX, ret) == 0) return;
    log_error("list-unread", "key=%s", key);
    a->closed = true;
}

static void read_keys(struct auth *a, const struct packed *keys)
{
    for (size_t i = 0; i < packed_n(keys); i++) {
        const struct packed *k = packed_at(keys, i);

        if (!token_keys_add(&a->keys, packed_str(k, "kid"), packed_str(k, "secret"),
                packed_i64(k, "not_before_s", 0), packed_i64(k, "not_after_s", 0)))
            log_error("key-unread", "kid=%s", log_q(packed_str(k, "kid")));
    }
}

static void read_users(struct auth *a, const struct packed *users)
{
    for (size_t i = 0; i < packed_n(users); i++) {
        const struct packed *u = packed_at(users, i);

        if (!accounts_add(&a->accounts, packed_str(u, "login"), packed_str(u, "password"),
                packed_str(u, "role"), packed_str(u, "cameras")))
            log_error("account-unread", "login=%s", log_q(packed_str(u, "login")));
    }
}

/* One that is too long, or none, leaves the usual one. */
static void read_base(const struct packed *body, const char *key, char dst[AUTH_BASE_MAX])
{
    struct span base = packed_str(body, key);

    if (base.n > 0) span_copy(base, dst, AUTH_BASE_MAX);
}

struct auth *auth_read(const struct packed *body)
{
    struct auth *a = auth_new();

    read_list(a, body, "whitelist", &a->whitelist);
    read_list(a, body, "api_whitelist", &a->api_whitelist);
    a->api = packed_bool(body, "api", false);
    read_base(body, "api_base", a->api_base);
    read_base(body, "cpanel_base", a->cpanel_base);
    a->api_rate = (unsigned)CLAMP(packed_i64(body, "api_rate", 0), 0, INT32_MAX);
    read_list(a, body, "api_exempt", &a->api_exempt);
    read_list(a, body, "cpanel_whitelist", &a->cpanel_whitelist);
    a->cpanel = packed_bool(body, "cpanel", false);
    a->panel_basic = packed_bool(body, "panel_basic", false);
    read_list(a, body, "proxies", &a->proxies);
    read_list(a, body, "exempt", &a->exempt);
    read_keys(a, packed_get(body, "keys"));
    read_users(a, packed_get(body, "users"));
    a->link_key = secret_of(packed_str(body, "link_key"));
    a->digest_md5 = packed_bool(body, "digest_md5", true);
    a->web_login = packed_bool(body, "web_login", false);
    a->backend = secret_of(packed_str(body, "backend"));
    a->backend_timeout_us = CLAMP(packed_i64(body, "backend_timeout_us", US_PER_S), US_PER_MS, 60 * US_PER_S);
    a->backend_down_allows = packed_bool(body, "backend_down_allows", false);
    a->connections_limit =
        (unsigned)CLAMP(packed_i64(body, "connections_limit", HTTP_CONNS_MAX), 1, INT32_MAX);
    a->bandwidth_limit = packed_u64(body, "bandwidth_limit", 0);
    packed_text(body, "audience", a->audience, sizeof(a->audience));
    a->address_limit = (unsigned)CLAMP(packed_i64(body, "address_limit", 0), 0, INT32_MAX);
    return a;
}

/* --- a reload --- */

struct change {
    const struct auth *before, *now;
};

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return crypto_equal(secret_reveal(a), secret_reveal(b));
}

static const struct token_key *key_of(const struct auth *a, const char *kid)
{
    for (size_t i = 0; i < a->keys.n; i++)
        if (strcmp(a->keys.v[i].kid, kid) == 0) return &a->keys.v[i];
    return NULL;
}

static bool same_key(const struct change *c, struct session *s)
{
    const struct token_key *before = key_of(c->before, s->facts.kid), *now = key_of(c->now, s->facts.kid);

    if (!now || (before && !same_secret(&before->secret, &now->secret))) return false;
    if (now->not_after_s > 0 && (s->grant.until_s == 0 || s->grant.until_s > now->not_after_s))
        s->grant.until_s = now->not_after_s;
    return true;
}

static const struct account *account_of(const struct auth *a, const char *login)
{
    for (size_t i = 0; i < a->accounts.n; i++)
        if (strcmp(a->accounts.v[i].login, login) == 0) return &a->accounts.v[i];
    return NULL;
}

static bool same_account(const struct change *c, const char *login)
{
    const struct account *before = account_of(c->before, login), *now = account_of(c->now, login);

    return before && now && same_secret(&before->password, &now->password) &&
        strcmp(before->role, now->role) == 0 &&
        memcmp(&before->cameras, &now->cameras, sizeof(now->cameras)) == 0;
}

/* Another one is asked at once; where there is none any more nobody answers for the viewer. */
static bool same_backend(const struct change *c, struct session *s)
{
    if (!same_secret(&c->before->backend, &c->now->backend)) s->again_us = 1;
    return secret_set(&c->now->backend);
}

/* What let it in is not what is configured now: another key or password, or none. */
static bool unfounded(struct session *s, void *arg)
{
    const struct change *c = arg;

    if (s->grant.free) return false;
    if (s->grant.by_token) return !same_key(c, s);
    if (s->facts.link == KNOWN_YES) return !same_secret(&c->before->link_key, &c->now->link_key);
    if (s->facts.backend == KNOWN_YES) return !same_backend(c, s);
    return s->facts.user[0] && !same_account(c, s->facts.user);
}

struct shared {
    struct auth *auth;
};

static void take(struct hub *hub, void *arg)
{
    struct shared *s = arg;
    struct change change = {hub->auth, s->auth};
    struct map_slot slot;
    size_t at = 0;

    sessions_end_where(hub, unfounded, &change);
    auth_unref(hub->auth);
    hub->auth = s->auth;
    refusals_forget(&hub->refusals);
    hub->backend_rests_us = 0;
    while (map_next(&hub->streams, &at, &slot)) access_rule_changed(slot.value);
}

void auth_share(struct server *server, struct auth *a)
{
    struct shared s = {a};

    if (a->connections_limit > 0) atomic_store(&server->conns_max, a->connections_limit);
    atomic_store(&server->bandwidth_max, a->bandwidth_limit);

    signins_accounts(server->signins, &a->accounts);
    /* One reference a hub travels with the message. */
    for (unsigned i = 0; i < server->n_hubs; i++) auth_ref(a);
    server_each(server, take, mem_dup(&s, sizeof(s)));
    auth_unref(a);
}
