#include "httpd/lua_calls.h"
#include "httpd/lua_impl.h"

static void reply(const struct lua_call *c, bool ok, struct span value, const char *why)
{
    struct lua_ask *a = lua_open_ask(c->lua, c->id);
    struct lua *x = c->lua;
    struct buf b;
    struct packer p;
    size_t at;

    if (!a || a->state != LUA_CALLS || !lua_ready(x)) return;
    p = lua_begin(x, &b, LUAHOST_REPLY, 3, &at);
    pack_kv_u64(&p, "id", c->id);
    pack_kv_bool(&p, "ok", ok);
    pack_key(&p, "value");
    if (ok)
        pack_ready(&p, value);
    else
        pack_str(&p, span_of(why));
    a->state = LUA_RUNS;
    if (lua_send(x, &p, at, (struct lua_flight){.op = LUAHOST_REPLY, .id = c->id})) return;
    a->state = LUA_CALLS;
    reply(c, false, SPAN_NONE, "the answer is too large");
}

void lua_call_done(const struct lua_call *c, struct span value)
{
    reply(c, true, value, NULL);
}

void lua_call_failed(const struct lua_call *c, const char *why)
{
    reply(c, false, SPAN_NONE, why);
}

void lua_asked(struct lua *x, struct lua_ask *a, const struct packed *m)
{
    struct lua_call c = {.lua = x, .id = a->id, .slot = a->slot, .caller = a->who.caller};
    struct span name = packed_str(m, "name");

    for (const struct lua_row *r = x->calls; r && r->name; r++) {
        if (!span_is(name, r->name) || !(r->slots & 1u << a->slot)) continue;
        a->changed |= r->changes;
        r->fn(&c, packed_get(m, "args"));
        return;
    }
    lua_call_failed(&c, "there is no such call");
}
