#include "httpd/luahost/world_impl.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <time.h>
#ifdef __SANITIZE_THREAD__
#include <setjmp.h>

/* Lua throws by the C library's checked longjmp. ThreadSanitizer intercepts the plain one alone: every error
 * that a function of ours raised would leave its frame on the sanitizer's stack of calls, which then runs
 * over (64 Ki). */
_Noreturn void __longjmp_chk(jmp_buf env, int value);
_Noreturn void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}
#endif

#define HOOK_STEPS 2000

/* --- limits --- */

struct world *world_of(lua_State *L)
{
    struct world *w;

    memcpy(&w, lua_getextraspace(L), sizeof(struct world *));
    return w;
}

/* The C library's, not mem_try: Lua has no use for zeroed memory. */
static void *allocate(void *arg, void *p, size_t before, size_t n)
{
    struct world *w = arg;
    size_t now = p ? before : 0; /* without p it is a kind of object */
    void *q;

    if (n == 0) {
        free(p);
        w->memory -= now;
        return NULL;
    }
    if (n > now && n - now > WORLD_MEMORY_MAX - MIN(w->memory, WORLD_MEMORY_MAX)) return NULL;
    q = realloc(p, n);
    if (q) w->memory += n - now;
    return q;
}

/* What this process has used of the processor: a machine under load makes no script fail. */
static usec_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (usec_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    struct world *w = world_of(L);
    uint32_t call = w->running ? w->running->steps : 0;

    (void)ar;
    w->steps += HOOK_STEPS;
    if (!w->over && w->steps < WORLD_STRETCH_STEPS && call + w->steps < WORLD_CALL_STEPS &&
        cpu_us() - w->from_us < WORLD_STRETCH_US)
        return;
    w->over = true;
    luaL_error(L, "this takes too long");
}

static void begin_stretch(struct world *w, struct world_call *c)
{
    w->running = c;
    w->from_us = cpu_us();
    w->steps = 0;
    w->logs = 0;
    w->over = false;
    w->ask[0] = '\0';
}

static void end_stretch(struct world *w)
{
    if (w->running) w->running->steps += w->steps;
    w->running = NULL;
}

/* --- protected steps --- */

static void take_error(lua_State *L, char error[LUAHOST_ERROR_MAX])
{
    size_t n = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;

    if (text)
        span_copy(span(text, n), error, LUAHOST_ERROR_MAX);
    else
        snprintf(error, LUAHOST_ERROR_MAX, "an error that is a %s", luaL_typename(L, -1));
    lua_pop(L, 1);
}

/* fn gets arg as a light userdata. false: it raised. */
static bool protect(struct world *w, lua_CFunction fn, void *arg, char error[LUAHOST_ERROR_MAX])
{
    bool ok;

    lua_pushcfunction(w->L, fn);
    lua_pushlightuserdata(w->L, arg);
    ok = lua_pcall(w->L, 1, 0, 0) == LUA_OK;
    if (!ok) take_error(w->L, error);
    return ok;
}

/* --- birth --- */

static int open_script(lua_State *L)
{
    struct span *entry = lua_touserdata(L, 1);
    struct world *w = world_of(L);

    luaL_checkstack(L, 20, NULL);
    sandbox_open(L);
    sandbox_load(L, *entry);
    lua_call(L, 0, 1);
    if (lua_istable(L, -1)) sandbox_hooks(L);
    if (!lua_isfunction(L, -1))
        luaL_error(L, "%s: the script does not return a function, or a table of hooks",
            lua_pushlstring(L, (const char *)entry->p, entry->n));
    w->entry = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static bool keep_files(struct world *w, const struct packed *files)
{
    struct packer p = packer_of(&w->source);

    pack_value(&p, files);
    return !p.bad && unpack_new(buf_span(&w->source), &w->files) == 0;
}

struct world *world_new(struct span entry, const struct packed *files, const struct world_ops *ops, void *arg,
    char error[LUAHOST_ERROR_MAX])
{
    struct world *w = NEW(struct world);
    bool ok;

    w->ops = ops;
    w->arg = arg;
    buf_init(&w->source, LUAHOST_MESSAGE_MAX);
    buf_init(&w->scratch, LUAHOST_MESSAGE_MAX);
    w->L = lua_newstate(allocate, w);
    snprintf(error, LUAHOST_ERROR_MAX, "out of memory");
    if (!w->L || !keep_files(w, files)) {
        world_free(w);
        return NULL;
    }
    memcpy(lua_getextraspace(w->L), &w, sizeof(struct world *));
    lua_sethook(w->L, on_count, LUA_MASKCOUNT, HOOK_STEPS);
    begin_stretch(w, NULL);
    ok = protect(w, open_script, &entry, error);
    end_stretch(w);
    if (ok) return w;
    world_free(w);
    return NULL;
}

void world_free(struct world *w)
{
    if (!w) return;
    if (w->L) lua_close(w->L);
    unpack_done(w->files);
    buf_done(&w->source);
    buf_done(&w->scratch);
    mem_free(w);
}

size_t world_calls(const struct world *w)
{
    return w->n_calls;
}

size_t world_memory(const struct world *w)
{
    return w->memory;
}

/* --- a call --- */

struct given {
    struct world_call *c;
    const struct packed *value;
    bool start, ok;
};

/* Makes the coroutine, or gives it what it has waited for. */
static int give(lua_State *L)
{
    struct given *g = lua_touserdata(L, 1);
    struct world_call *c = g->c;

    if (g->start) {
        c->L = lua_newthread(L);
        c->ref = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_rawgeti(L, LUA_REGISTRYINDEX, c->w->entry);
    } else if (!g->ok) {
        lua_pushnil(L);
    }
    value_push(L, g->value);
    if (!lua_checkstack(c->L, LUA_MINSTACK)) luaL_error(L, "out of memory");
    lua_xmove(L, c->L, g->start || !g->ok ? 2 : 1);
    return 0;
}

struct taken {
    struct world_call *c;
    int n; /* values that it returned */
    struct buf *to;
};

static int take(lua_State *L)
{
    struct taken *t = lua_touserdata(L, 1);
    struct packer p = packer_of(t->to);

    lua_settop(t->c->L, lua_gettop(t->c->L) - t->n + MIN(t->n, 1));
    if (t->n == 0)
        lua_pushnil(L);
    else
        lua_xmove(t->c->L, L, 1);
    value_pack(L, lua_gettop(L), &p);
    if (p.bad) luaL_error(L, "what the script returns is too large");
    return 0;
}

static int trace(lua_State *L)
{
    struct world_call *c = lua_touserdata(L, 1);
    const char *text;

    lua_xmove(c->L, L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) return lua_error(L);
    text = lua_tostring(L, -1);
    luaL_traceback(L, c->L, text, 0);
    return lua_error(L);
}

static void free_call(struct world_call *c)
{
    struct world *w = c->w;

    /* Its variables are not closed (__close): an error raised by the hook leaves a thread without hooks. */
    luaL_unref(w->L, LUA_REGISTRYINDEX, c->ref);
    w->n_calls--;
    mem_free(c);
}

static enum world_state asks(struct world *w, struct world_result *to)
{
    if (w->ask[0] == '\0') {
        snprintf(to->error, sizeof(to->error), "a handler waits by ms.call alone, not by coroutine.yield");
        return WORLD_FAILED;
    }
    snprintf(to->name, sizeof(to->name), "%s", w->ask);
    if (buf_put(&to->value, buf_span(&w->scratch))) return WORLD_ASKS;
    snprintf(to->error, sizeof(to->error), "out of memory");
    return WORLD_FAILED;
}

static enum world_state run(struct world_call *c, struct given *g, struct world_result *to)
{
    enum world_state state = WORLD_FAILED;
    struct world *w = c->w;
    int n = 0, status;

    buf_clear(&to->value);
    begin_stretch(w, c);
    if (protect(w, give, g, to->error)) {
        status = lua_resume(c->L, w->L, g->start || g->ok ? 1 : 2, &n);
        if (status == LUA_YIELD)
            state = asks(w, to);
        else if (status != LUA_OK)
            (void)protect(w, trace, c, to->error);
        else if (protect(w, take, &(struct taken){c, n, &to->value}, to->error))
            state = WORLD_DONE;
    }
    end_stretch(w);
    if (state != WORLD_ASKS) free_call(c);
    return state;
}

enum world_state world_start(
    struct world *w, const struct packed *value, struct world_call **ret, struct world_result *to)
{
    struct world_call *c = NEW(struct world_call);
    enum world_state state;

    c->w = w;
    c->ref = LUA_NOREF;
    w->n_calls++;
    state = run(c, &(struct given){.c = c, .value = value, .start = true}, to);
    *ret = state == WORLD_ASKS ? c : NULL;
    return state;
}

enum world_state world_go_on(
    struct world_call *c, bool ok, const struct packed *value, struct world_result *to)
{
    return run(c, &(struct given){.c = c, .value = value, .ok = ok}, to);
}

void world_drop(struct world_call *c)
{
    free_call(c);
}
