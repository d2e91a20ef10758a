#include "httpd/viewers.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "httpd/audit.h"
#include "httpd/stream.h"

#include <limits.h>

#define ROW_MAX 700 /* bytes of a row, packed */

static struct {
    struct server *server;
    struct loop *main;
} all;

/* What is asked of every hub, and gathered on the main loop. */
struct gather {
    struct lua_call call;
    char uid[RING_UID_MAX + 1], user[ACCESS_USER_MAX + 1]; /* "": any */
    struct caller caller;
    bool has_caller;
    unsigned hub; /* UINT_MAX: all */
    uint64_t serial;
    bool end;
    unsigned left;
    uint32_t n;
    uint64_t total;
    struct buf rows;
};
/* One hub's part. */
struct part {
    struct gather *g;
    uint32_t n;
    uint64_t total;
    struct buf rows;
};

bool viewers_id(struct span text, unsigned n_hubs, unsigned *ret_hub, uint64_t *ret_serial)
{
    struct span rest = text, head;
    uint64_t hub;

    if (text.n >= VIEWERS_ID_MAX || !span_split(&rest, '-', &head) || !span_u64(head, UINT32_MAX, &hub))
        return false;
    if (hub >= n_hubs || !span_u64(rest, UINT64_MAX, ret_serial)) return false;
    *ret_hub = (unsigned)hub;
    return true;
}

/* --- on a hub --- */

/* What is shown of a session, or of what runs without one. */
struct seen {
    uint64_t serial;
    const char *uid, *user, *agent;
    const struct addr *address;
    unsigned roads; /* bits 1 << enum access_road */
    int64_t since_us, last_us;
};

static bool matches(const struct gather *g, const struct hub *hub, const struct seen *s)
{
    if (g->uid[0] && strcmp(g->uid, s->uid) != 0) return false;
    if (g->user[0] && strcmp(g->user, s->user) != 0) return false;
    if (g->hub != UINT_MAX && (hub->index != g->hub || s->serial != g->serial)) return false;
    return !g->has_caller || caller_sees(&g->caller, span_of(s->uid));
}

static void pack_seen(struct part *p, const struct hub *hub, const struct seen *s)
{
    struct packer to = packer_of(&p->rows);
    char address[ADDR_TEXT_MAX], id[VIEWERS_ID_MAX];
    uint32_t n = 0;

    p->total++;
    if (p->n == VIEWERS_MAX) return;
    snprintf(id, sizeof(id), "%u-%llu", hub->index, (unsigned long long)s->serial);
    pack_map(&to, 8);
    pack_kv_text(&to, "id", id);
    pack_kv_text(&to, "uid", s->uid);
    pack_kv_text(&to, "user", s->user);
    pack_kv_text(&to, "address", addr_text(s->address, address));
    pack_kv_text(&to, "agent", s->agent);
    pack_kv_i64(&to, "since", s->since_us / US_PER_S);
    pack_kv_i64(&to, "last", s->last_us / US_PER_S);
    pack_key(&to, "roads");
    for (unsigned r = 0; r < ROADS; r++) n += (s->roads & 1u << r) != 0;
    pack_array(&to, n);
    for (unsigned r = 0; r < ROADS; r++)
        if (s->roads & 1u << r) pack_str(&to, span_of(access_road_name((enum access_road)r)));
    if (!to.bad) p->n++;
}

static struct seen of_session(const struct session *s)
{
    usec_t ago_us = loop_now_us(s->hub->loop) - s->used_us;
    struct seen seen = {.serial = s->serial,
        .uid = s->uid,
        .user = s->grant.user,
        .agent = s->agent,
        .address = &s->address,
        .since_us = s->since_us,
        .last_us = clock_wall_us() - ago_us};

    if (s->watched_us > 0) seen.roads = 1u << ROAD_HLS;
    LIST_EACH(&s->holds, at) seen.roads |= 1u << LIST_ITEM(at, struct access_hold, link)->road;
    seen.roads &= ~(1u << ROAD_PUSH); /* a camera */
    if (seen.roads > 0) seen.last_us = clock_wall_us();
    return seen;
}

void viewers_by_road(struct hub *hub, uint32_t v[static ROADS])
{
    struct map_slot slot;

    LIST_EACH(&hub->sessions.all, at)
    {
        const struct seen seen = of_session(LIST_ITEM(at, struct session, link));

        for (unsigned r = 0; r < ROADS; r++) v[r] += (seen.roads & 1u << r) != 0;
    }
    for (size_t at = 0; map_next(&hub->streams, &at, &slot);) {
        struct stream *st = slot.value;

        LIST_EACH(&st->anyone, link) v[LIST_ITEM(link, struct access_hold, link)->road]++;
    }
}

static void look_at_sessions(struct part *p, struct hub *hub)
{
    LIST_EACH(&hub->sessions.all, at)
    {
        struct session *s = LIST_ITEM(at, struct session, link);
        struct seen seen = of_session(s);

        if (seen.roads == 0 || !matches(p->g, hub, &seen)) continue;
        pack_seen(p, hub, &seen);
        if (p->g->end) session_end(s);
    }
}

static void look_at_holds(struct part *p, struct hub *hub, struct stream *st)
{
    LIST_EACH(&st->anyone, at)
    {
        struct access_hold *hold = LIST_ITEM(at, struct access_hold, link);
        const struct seen seen = {.serial = hold->serial,
            .uid = st->v.uid,
            .user = "",
            .agent = hold->agent,
            .address = &hold->address,
            .roads = 1u << hold->road,
            .since_us = hold->since_us,
            .last_us = clock_wall_us()};

        if (!matches(p->g, hub, &seen)) continue;
        pack_seen(p, hub, &seen);
        if (!p->g->end) continue;
        access_release(hold);
        hold->on_end(hold);
    }
}

static void gathered(void *arg);

static void look(struct hub *hub, void *arg)
{
    struct part *p = arg;
    struct map_slot slot;
    size_t at = 0;

    look_at_sessions(p, hub);
    while (map_next(&hub->streams, &at, &slot)) look_at_holds(p, hub, slot.value);
    loop_post(all.main, gathered, p);
}

/* --- on the main loop --- */

static void say_ended(const struct gather *g)
{
    char text[AUDIT_TEXT_MAX];

    if (g->hub == UINT_MAX)
        snprintf(text, sizeof(text), "user=%s ended=%llu", g->user, (unsigned long long)g->total);
    else
        snprintf(text, sizeof(text), "id=%u-%llu ended=%llu", g->hub, (unsigned long long)g->serial,
            (unsigned long long)g->total);
    audit_say(all.server->audit,
        &(struct audit_line){.caller = g->has_caller ? &g->caller : NULL,
            .address = "",
            .what = "session end",
            .result = g->total > 0 ? "done" : "failed",
            .text = text});
}

static void answer(struct gather *g)
{
    struct packer p;
    struct buf b;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    if (g->end) {
        say_ended(g);
        pack_map(&p, 1);
        pack_kv_u64(&p, "ended", g->total);
    } else {
        pack_map(&p, 2);
        pack_kv_u64(&p, "total", g->total);
        pack_key(&p, "rows");
        pack_array(&p, g->n);
        if (g->n > 0) pack_ready(&p, buf_span(&g->rows));
    }
    if (p.bad)
        lua_call_failed(&g->call, "out of memory");
    else
        lua_call_done(&g->call, buf_span(&b));
    buf_done(&b);
    buf_done(&g->rows);
    mem_free(g);
}

static void gathered(void *arg)
{
    struct part *p = arg;
    struct gather *g = p->g;

    if (g->n + p->n <= VIEWERS_MAX && buf_put(&g->rows, buf_span(&p->rows))) g->n += p->n;
    g->total += p->total;
    buf_done(&p->rows);
    mem_free(p);
    if (--g->left == 0) answer(g);
}

static void ask_hubs(struct gather *g)
{
    g->left = all.server->n_hubs;
    for (unsigned i = 0; i < all.server->n_hubs; i++) {
        struct part *p = NEW(struct part);

        p->g = g;
        buf_init(&p->rows, VIEWERS_MAX * ROW_MAX);
        hub_post(&all.server->hubs[i], look, p);
    }
}

static struct gather *gather_new(const struct lua_call *c, const struct packed *args)
{
    struct gather *g = NEW(struct gather);

    g->call = *c;
    g->call.caller = NULL;
    g->hub = UINT_MAX;
    g->has_caller = c->caller != NULL;
    if (c->caller) g->caller = *c->caller;
    span_copy(packed_str(args, "uid"), g->uid, sizeof(g->uid));
    span_copy(packed_str(args, "user"), g->user, sizeof(g->user));
    buf_init(&g->rows, VIEWERS_MAX * ROW_MAX);
    return g;
}

void viewers_list(const struct lua_call *c, const struct packed *args)
{
    ask_hubs(gather_new(c, args));
}

void viewers_end(const struct lua_call *c, const struct packed *args)
{
    struct span id = packed_str(args, "id");
    struct gather *g;

    if (!caller_changes(c->caller)) {
        lua_call_failed(c, "this account may change nothing");
        return;
    }
    g = gather_new(c, args);
    g->end = true;
    if (!(id.p ? viewers_id(id, all.server->n_hubs, &g->hub, &g->serial) : g->user[0] != '\0')) {
        lua_call_failed(c, "name one by id, or a user");
        buf_done(&g->rows);
        mem_free(g);
        return;
    }
    ask_hubs(g);
}

void viewers_start(struct server *server, struct loop *main)
{
    all.server = server;
    all.main = main;
}
