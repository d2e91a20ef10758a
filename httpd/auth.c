#include "httpd/auth.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "httpd/access.h"
#include "httpd/hub.h"

struct auth *auth_new(void)
{
    struct auth *a = NEW(struct auth);

    atomic_init(&a->refs, 1);
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
    token_keys_done(&a->keys);
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

struct auth *auth_read(const struct packed *body)
{
    struct auth *a = auth_new();

    read_list(a, body, "whitelist", &a->whitelist);
    read_list(a, body, "api_whitelist", &a->api_whitelist);
    a->api = packed_bool(body, "api", false);
    read_keys(a, packed_get(body, "keys"));
    packed_text(body, "audience", a->audience, sizeof(a->audience));
    a->address_limit = (unsigned)CLAMP(packed_i64(body, "address_limit", 0), 0, INT32_MAX);
    return a;
}

struct shared {
    struct auth *auth;
};

static void take(struct hub *hub, void *arg)
{
    struct shared *s = arg;

    struct map_slot slot;
    size_t at = 0;

    auth_unref(hub->auth);
    hub->auth = s->auth;
    while (map_next(&hub->streams, &at, &slot)) access_rule_changed(slot.value);
}

void auth_share(struct server *server, struct auth *a)
{
    struct shared s = {a};

    /* One reference a hub travels with the message. */
    for (unsigned i = 0; i < server->n_hubs; i++) auth_ref(a);
    server_each(server, take, mem_dup(&s, sizeof(s)));
    auth_unref(a);
}
