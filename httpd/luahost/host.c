#include "httpd/luahost/host.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "httpd/luahost/world.h"

/* A world that no slot runs any more lives until its last call has ended. */
struct script {
    struct host *h;
    struct world *w;
    enum luahost_slot slot;
    bool old;
};

struct waiting {
    struct list link;
    uint64_t id;
    struct script *s;
    struct world_call *call;
};

struct host {
    struct script *slots[LUAHOST_SLOTS];
    struct list waiting;
    size_t n_waiting;
    struct buf *out; /* of the message that is heard */
    bool bad;        /* it has no room any more */
    struct world_result result;
};

/* --- what is said --- */

static void say_end(struct host *h, struct packer *p, size_t at)
{
    if (!luahost_end(p, at)) h->bad = true;
}

static void say_bare(struct host *h, enum luahost_op op)
{
    size_t at;
    struct packer p = luahost_begin(h->out, op, 0, &at);

    say_end(h, &p, at);
}

static void say_log(void *arg, struct span text)
{
    struct script *s = arg;
    size_t at;
    struct packer p = luahost_begin(s->h->out, LUAHOST_LOG, 2, &at);

    pack_kv_u64(&p, "slot", s->slot);
    pack_kv_str(&p, "text", text);
    say_end(s->h, &p, at);
}

static const struct world_ops ops = {say_log};

static void say_failed(struct host *h, uint64_t id, const char *error)
{
    size_t at;
    struct packer p = luahost_begin(h->out, LUAHOST_DONE, 3, &at);

    pack_kv_u64(&p, "id", id);
    pack_kv_bool(&p, "ok", false);
    pack_kv_text(&p, "error", error);
    say_end(h, &p, at);
}

static void say_done(struct host *h, uint64_t id)
{
    size_t at;
    struct packer p = luahost_begin(h->out, LUAHOST_DONE, 3, &at);

    pack_kv_u64(&p, "id", id);
    pack_kv_bool(&p, "ok", true);
    pack_key(&p, "value");
    pack_ready(&p, buf_span(&h->result.value));
    if (!luahost_end(&p, at)) say_failed(h, id, "what the script returns is too large");
}

static void say_ask(struct host *h, uint64_t id)
{
    size_t at;
    struct packer p = luahost_begin(h->out, LUAHOST_ASK, 3, &at);

    pack_kv_u64(&p, "id", id);
    pack_kv_text(&p, "name", h->result.name);
    pack_key(&p, "args");
    pack_ready(&p, buf_span(&h->result.value));
    say_end(h, &p, at);
}

/* --- scripts --- */

static void let_go(struct script *s)
{
    if (!s || !s->old || (s->w && world_calls(s->w) > 0)) return;
    world_free(s->w);
    mem_free(s);
}

static bool on_load(struct host *h, const struct packed *m)
{
    static char error[LUAHOST_ERROR_MAX];
    uint64_t slot = packed_u64(m, "slot", LUAHOST_SLOTS);
    struct script *s, *before;
    size_t at;
    struct packer p;

    if (slot >= LUAHOST_SLOTS) return false;
    before = h->slots[slot];
    s = NEW(struct script);
    s->h = h;
    s->slot = (enum luahost_slot)slot;
    s->w = world_new(packed_str(m, "entry"), packed_get(m, "files"), &ops, s, error);
    p = luahost_begin(h->out, LUAHOST_LOADED, 3, &at);
    pack_kv_u64(&p, "slot", slot);
    pack_kv_bool(&p, "ok", s->w != NULL);
    pack_kv_text(&p, "error", s->w ? "" : error);
    say_end(h, &p, at);
    if (s->w) {
        h->slots[slot] = s;
        s = before;
    }
    if (s) s->old = true;
    let_go(s);
    return true;
}

/* --- calls --- */

static void wait_for(struct host *h, uint64_t id, struct script *s, struct world_call *c)
{
    struct waiting *w = NEW(struct waiting);

    *w = (struct waiting){.id = id, .s = s, .call = c};
    list_push(&h->waiting, &w->link);
    h->n_waiting++;
    say_ask(h, id);
}

static struct waiting *find(struct host *h, uint64_t id)
{
    LIST_EACH(&h->waiting, at)
    {
        struct waiting *w = LIST_ITEM(at, struct waiting, link);

        if (w->id == id) return w;
    }
    return NULL;
}

static void forget(struct host *h, struct waiting *w)
{
    list_remove(&w->link);
    h->n_waiting--;
    mem_free(w);
}

static bool on_call(struct host *h, const struct packed *m)
{
    uint64_t slot = packed_u64(m, "slot", LUAHOST_SLOTS), id = packed_u64(m, "id", 0);
    struct world_call *c;
    struct script *s;

    if (slot >= LUAHOST_SLOTS || id == 0 || h->n_waiting == HOST_CALLS_MAX) return false;
    s = h->slots[slot];
    if (!s) {
        say_failed(h, id, "there is no script");
        return true;
    }
    switch (world_start(s->w, packed_get(m, "args"), &c, &h->result)) {
    case WORLD_DONE: say_done(h, id); break;
    case WORLD_ASKS: wait_for(h, id, s, c); break;
    case WORLD_FAILED: say_failed(h, id, h->result.error); break;
    }
    return true;
}

static bool on_reply(struct host *h, const struct packed *m)
{
    uint64_t id = packed_u64(m, "id", 0);
    struct waiting *w = find(h, id);
    struct script *s;
    enum world_state state;

    if (!w) return false;
    s = w->s;
    state = world_go_on(w->call, packed_bool(m, "ok", false), packed_get(m, "value"), &h->result);
    if (state == WORLD_ASKS) {
        say_ask(h, id);
        return true;
    }
    if (state == WORLD_DONE)
        say_done(h, id);
    else
        say_failed(h, id, h->result.error);
    forget(h, w);
    let_go(s);
    return true;
}

static bool on_cancel(struct host *h, const struct packed *m)
{
    struct waiting *w = find(h, packed_u64(m, "id", 0));

    if (w) {
        struct script *s = w->s;

        world_drop(w->call);
        forget(h, w);
        let_go(s);
    }
    say_bare(h, LUAHOST_CANCELLED);
    return true;
}

static bool on_ping(struct host *h, const struct packed *m)
{
    (void)m;
    say_bare(h, LUAHOST_PONG);
    return true;
}

static const struct {
    enum luahost_op op;
    bool (*fn)(struct host *h, const struct packed *m);
} rows[] = {
    {LUAHOST_LOAD, on_load},
    {LUAHOST_CALL, on_call},
    {LUAHOST_REPLY, on_reply},
    {LUAHOST_CANCEL, on_cancel},
    {LUAHOST_PING, on_ping},
};

bool host_hear(struct host *h, struct span map, struct buf *out)
{
    const struct packed *m;
    struct unpack *u;
    uint64_t op;
    bool ok = false;

    if (unpack_new(map, &u) != 0) return false;
    m = unpack_root(u);
    op = packed_u64(m, "op", 0);
    h->out = out;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].op == op) ok = rows[i].fn(h, m);
    unpack_done(u);
    return ok && !h->bad;
}

struct host *host_new(void)
{
    struct host *h = NEW(struct host);

    list_init(&h->waiting);
    buf_init(&h->result.value, LUAHOST_MESSAGE_MAX);
    return h;
}

void host_free(struct host *h)
{
    if (!h) return;
    LIST_EACH(&h->waiting, at)
    {
        struct waiting *w = LIST_ITEM(at, struct waiting, link);
        struct script *s = w->s;

        world_drop(w->call);
        forget(h, w);
        let_go(s);
    }
    for (size_t i = 0; i < LUAHOST_SLOTS; i++) {
        if (h->slots[i]) h->slots[i]->old = true;
        let_go(h->slots[i]);
    }
    buf_done(&h->result.value);
    mem_free(h);
}
