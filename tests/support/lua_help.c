#include "tests/support/lua_help.h"
#include "common/base/err.h"

static void on_log(void *arg, struct span text)
{
    struct lua_help *l = arg;

    if (l->n_logs < LUA_HELP_LOGS) span_copy(text, l->logs[l->n_logs++], LUAHOST_LOG_MAX + 1);
}

static const struct world_ops ops = {on_log};

void lua_help_pack(struct packer *p, const char *const *pairs)
{
    uint32_t n = 0;

    while (pairs[n]) n += 2;
    pack_array(p, n / 2);
    for (uint32_t i = 0; i < n; i += 2) {
        pack_array(p, 2);
        pack_str(p, span_of(pairs[i]));
        pack_bin(p, span_of(pairs[i + 1]));
    }
}

bool lua_help_files(struct lua_help *l, const char *const *pairs)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    *l = (struct lua_help){0};
    buf_init(&l->result.value, LUAHOST_MESSAGE_MAX);
    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    lua_help_pack(&p, pairs);
    must(!p.bad && unpack_new(buf_span(&b), &u) == 0);
    l->w = world_new(span_of(pairs[0]), unpack_root(u), &ops, l, l->error);
    unpack_done(u);
    buf_done(&b);
    return l->w != NULL;
}

bool lua_help_start(struct lua_help *l, const char *text)
{
    const char *const pairs[] = {"test.lua", text, NULL};

    return lua_help_files(l, pairs);
}

void lua_help_stop(struct lua_help *l)
{
    if (l->call) world_drop(l->call);
    world_free(l->w);
    buf_done(&l->result.value);
}

static struct unpack *text_value(struct buf *b, const char *value)
{
    struct packer p = packer_of(b);
    struct unpack *u;

    pack_str(&p, span_of(value));
    must(!p.bad && unpack_new(buf_span(b), &u) == 0);
    return u;
}

enum world_state lua_help_call(struct lua_help *l, const char *value)
{
    enum world_state state;
    struct unpack *u;
    struct buf b;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    u = text_value(&b, value);
    state = world_start(l->w, unpack_root(u), &l->call, &l->result);
    unpack_done(u);
    buf_done(&b);
    return state;
}

enum world_state lua_help_answer(struct lua_help *l, bool ok, const char *value)
{
    enum world_state state;
    struct unpack *u;
    struct buf b;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    u = text_value(&b, value);
    state = world_go_on(l->call, ok, unpack_root(u), &l->result);
    if (state != WORLD_ASKS) l->call = NULL;
    unpack_done(u);
    buf_done(&b);
    return state;
}

bool lua_help_is(const struct lua_help *l, const char *text)
{
    struct unpack *u;
    bool same;

    if (unpack_new(buf_span(&l->result.value), &u) != 0) return false;
    same = span_is(packed_as_str(unpack_root(u)), text);
    unpack_done(u);
    return same;
}
