#include "httpd/revoked.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "common/wire/hex.h"
#include "httpd/hub.h"

struct revoked_until {
    usec_t at_us;    /* what was made later counts */
    int64_t until_s; /* of an id: forgotten then; 0: never */
};

enum kind { TOKEN, USER, STREAM, KINDS };
static const char *const kinds[KINDS] = {[TOKEN] = "token", [USER] = "user", [STREAM] = "stream"};

struct order {
    enum kind kind;
    char name[REVOKED_NAME_MAX + 1];
    struct revoked_until until;
};

static struct map *map_of(struct revoked *r, enum kind kind)
{
    return kind == TOKEN ? &r->tokens : kind == USER ? &r->users : &r->streams;
}

void revoked_done(struct revoked *r)
{
    for (enum kind k = TOKEN; k < KINDS; k++) map_drop(map_of(r, k), mem_free);
}

static struct span id_text(const uint8_t *id, char *dst)
{
    struct wr w = wr_of(dst, 2 * TOKEN_ID_N);

    hex_write(&w, span(id, TOKEN_ID_N));
    return wr_span(&w);
}

static bool before(const struct map *m, struct span name, usec_t made_us)
{
    const struct revoked_until *u = name.n > 0 ? map_get(m, name) : NULL;

    return u && made_us <= u->at_us;
}

bool revoked_token(const struct revoked *r, const struct token *t, struct span uid)
{
    char id[2 * TOKEN_ID_N];

    return map_get(&r->tokens, id_text(t->id, id)) || before(&r->users, span_of(t->user), t->made_us) ||
        before(&r->streams, uid, t->made_us);
}

static bool hits(struct session *s, void *arg)
{
    const struct order *o = arg;
    char id[2 * TOKEN_ID_N];

    if (s->grant.free) return false;
    if (o->kind == TOKEN) return s->grant.by_token && span_is(id_text(s->grant.token_id, id), o->name);
    return span_is(span_of(o->kind == USER ? s->grant.user : s->uid), o->name) &&
        s->grant.made_us <= o->until.at_us;
}

/* Bounded by the master, which forgets what has ended; so does this, when it grows. */
static void forget_old(struct map *m)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(m, &at, &slot)) {
        const struct revoked_until *u = slot.value;
        char name[REVOKED_NAME_MAX + 1];

        if (u->until_s == 0 || u->until_s > now_s) continue;
        span_copy(span_of(slot.key), name, sizeof(name));
        mem_free(map_remove(m, span_of(name)));
        at = 0;
    }
}

static void take(struct hub *hub, void *arg)
{
    struct order *o = arg;
    struct map *m = map_of(&hub->revoked, o->kind);

    if (o->kind == TOKEN && (m->n & 1023) == 1023) forget_old(m);
    mem_free(map_set(m, span_of(o->name), mem_dup(&o->until, sizeof(o->until))));
    sessions_end_where(hub, hits, o);
    refusals_forget(&hub->refusals);
}

bool revoked_read(struct server *server, const struct packed *row)
{
    struct order o = {.kind = KINDS};

    for (enum kind k = TOKEN; k < KINDS; k++)
        if (span_is(packed_str(row, "kind"), kinds[k])) o.kind = k;
    if (o.kind == KINDS || !packed_text(row, "name", o.name, sizeof(o.name)) || o.name[0] == '\0')
        return false;
    o.until = (struct revoked_until){packed_i64(row, "at_us", 0), packed_i64(row, "until_s", 0)};
    server_each(server, take, mem_dup(&o, sizeof(o)));
    return true;
}
