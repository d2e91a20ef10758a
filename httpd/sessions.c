#include "httpd/sessions.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/crypto.h"
#include "common/wire/hex.h"
#include "httpd/hub.h"
#include "httpd/question.h"
#include "httpd/quota.h"
#include "httpd/stream.h"

void sessions_init(struct sessions *s)
{
    list_init(&s->all);
}

static void to_hex(const uint8_t *bytes, char *ret)
{
    struct wr w = wr_of(ret, SESSION_ID_DIGITS + 1);

    hex_write(&w, span(bytes, SESSION_ID_DIGITS / 2));
    wr_cstr(&w);
}

void session_identity(const struct access_ask *a, const char *account, char *ret)
{
    struct addr source = addr_source(&a->address);
    const struct span nul = span("", 1);
    const struct span brought = a->token.n > 0 ? a->token
        : a->caller                            ? span_of(a->caller->id)
                                               : a->authorization;
    const struct span pieces[] = {span_of(a->stream->v.uid), nul, span(source.b, sizeof(source.b)),
        span_of(a->op == ACCESS_PUBLISH ? "pushes"
                : account               ? "account"
                                        : "brought"),
        account ? span_of(account) : brought, nul, span_sub(a->user_agent, 0, ACCESS_AGENT_MAX)};
    uint8_t digest[CRYPTO_HASH_MAX];

    crypto_hash(CRYPTO_SHA256, pieces, ARRAY_N(pieces), digest);
    to_hex(digest, ret);
}

static bool over(const struct session *s)
{
    return s->grant.until_s > 0 && clock_wall_us() / US_PER_S >= s->grant.until_s;
}

static struct session *alive(struct session *s)
{
    if (!s || !over(s)) return s;
    session_end(s);
    return NULL;
}

struct session *session_by_id(struct hub *hub, struct span id)
{
    return alive(map_get(&hub->sessions.by_id, id));
}

struct session *session_by_identity(struct hub *hub, const char *identity)
{
    return alive(map_get(&hub->sessions.by_identity, span_of(identity)));
}

bool session_near(const struct session *s, const struct addr *a)
{
    return addr_has_prefix(a, s->address.b, addr_is_v4(&s->address) ? SESSION_V4_BITS : SESSION_V6_BITS);
}

void session_used(struct session *s)
{
    s->used_us = loop_now_us(s->hub->loop);
    list_remove(&s->link);
    list_push(&s->hub->sessions.all, &s->link);
}

static bool make_room(struct sessions *all)
{
    if (all->n < SESSIONS_MAX) return true;
    LIST_EACH(&all->all, at)
    {
        struct session *s = LIST_ITEM(at, struct session, link);

        if (s->slots > 0 || !list_empty(&s->holds)) continue;
        session_end(s);
        return true;
    }
    return false;
}

static void name_it(struct session *s)
{
    struct addr source = addr_source(&s->address);
    struct wr w = wr_of(s->holder, sizeof(s->holder));
    uint8_t id[SESSION_ID_DIGITS / 2];

    rng_bytes(id, sizeof(id));
    to_hex(id, s->id);
    addr_text(&source, s->source);
    if (s->grant.by_token)
        hex_write(&w, span(s->grant.token_id, TOKEN_ID_N));
    else
        wr_fmt(&w, "user %s", s->grant.user);
    wr_cstr(&w);
}

struct session *sessions_add(const struct question *q, const struct grant *g)
{
    struct sessions *all = &q->hub->sessions;
    struct session *s;

    if (!make_room(all)) return NULL;
    s = NEW(struct session);
    s->hub = q->hub;
    s->grant = *g;
    s->facts = q->facts;
    s->address = q->asked.address;
    s->serial = ++s->hub->last_viewer;
    s->since_us = clock_wall_us();
    span_copy(span_of(q->agent), s->agent, sizeof(s->agent));
    list_init(&s->holds);
    name_it(s);
    span_copy(span_of(q->identity), s->identity, sizeof(s->identity));
    span_copy(span_of(q->uid), s->uid, sizeof(s->uid));
    list_push(&all->all, &s->link);
    map_set(&all->by_id, span_of(s->id), s);
    map_set(&all->by_identity, span_of(s->identity), s);
    all->n++;
    s->used_us = loop_now_us(s->hub->loop);
    return s;
}

void session_end(struct session *s)
{
    struct sessions *all = &s->hub->sessions;

    map_remove(&all->by_id, span_of(s->id));
    if (map_get(&all->by_identity, span_of(s->identity)) == s)
        map_remove(&all->by_identity, span_of(s->identity));
    list_remove(&s->link);
    all->n--;
    while (!list_empty(&s->holds)) {
        struct access_hold *hold = LIST_ITEM(s->holds.next, struct access_hold, link);

        access_release(hold);
        hold->on_end(hold);
    }
    if (s->watched_us > 0) quota_give(s);
    must(s->slots == 0);
    secret_done(&s->token);
    mem_free(s);
}

bool session_is_due(const struct session *s)
{
    return s->again_us > 0 && loop_now_us(s->hub->loop) >= s->again_us && !s->looking;
}

void sessions_tick(struct hub *hub)
{
    usec_t now_us = loop_now_us(hub->loop);

    LIST_EACH(&hub->sessions.all, at)
    {
        struct session *s = LIST_ITEM(at, struct session, link);

        if (s->watched_us > 0 && now_us - s->watched_us > SESSION_WATCH_US) {
            s->watched_us = 0;
            quota_give(s);
        }
        if (session_is_due(s) && !list_empty(&s->holds)) access_look_again(s);
        if (over(s) || (list_empty(&s->holds) && now_us - s->used_us > SESSION_IDLE_US)) session_end(s);
    }
}

void sessions_end_where(struct hub *hub, bool (*is_over)(struct session *s, void *arg), void *arg)
{
    LIST_EACH(&hub->sessions.all, at)
    {
        struct session *s = LIST_ITEM(at, struct session, link);

        if (is_over(s, arg)) session_end(s);
    }
}

static bool every(struct session *s, void *arg)
{
    (void)s;
    (void)arg;
    return true;
}

void sessions_done(struct hub *hub)
{
    sessions_end_where(hub, every, NULL);
    map_done(&hub->sessions.by_id);
    map_done(&hub->sessions.by_identity);
}
