/* What a script may use. The libraries are opened and everything that does not stand in a list here is taken
 * out: nothing that reads a file, runs a program, loads code, or reaches behind a closure. What lets a script
 * outlive its limits is ours: pcall and xpcall pass the end on, setmetatable takes no __gc (a finalizer runs
 * without hooks). */
#include "httpd/luahost/world_impl.h"
#include "common/base/clock.h"

#include <stdlib.h>

/* --- calls that replace Lua's --- */

/* Around pcall and xpcall (upvalue 1): what a limit has ended is not caught. */
static int caught(lua_State *L, int status, lua_KContext unused)
{
    (void)status;
    (void)unused;
    if (!lua_toboolean(L, 1) && world_of(L)->over) {
        lua_settop(L, 2);
        return lua_error(L);
    }
    return lua_gettop(L);
}

static int catching(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, caught);
    return caught(L, LUA_OK, 0);
}

/* The handler of an xpcall (upvalue 1). Lua calls it for errors of its own too: one that does not end would
 * be called again and again for the limit's. */
static int handle(lua_State *L)
{
    if (world_of(L)->over) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int catching_with(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
    return catching(L);
}

static int guarded_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        luaL_argcheck(L, lua_rawget(L, 2) == LUA_TNIL, 2, "there are no finalizers");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* --- ms --- */

static int ms_call(lua_State *L)
{
    struct world *w = world_of(L);
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    struct packer p;

    luaL_argcheck(L, n > 0 && n <= LUAHOST_NAME_MAX && strlen(name) == n, 1, "not a name");
    if (!w->running || w->running->L != L)
        return luaL_error(
            L, "ms.call is for a request's handler: not while loading, and in no coroutine of its own");
    lua_settop(L, 2);
    buf_clear(&w->scratch);
    p = packer_of(&w->scratch);
    value_pack(L, 2, &p);
    if (p.bad) return luaL_error(L, "the arguments are too large");
    snprintf(w->ask, sizeof(w->ask), "%s", name);
    return lua_yield(L, 0);
}

static int ms_log(lua_State *L)
{
    struct world *w = world_of(L);
    size_t n;
    const char *text = luaL_tolstring(L, 1, &n);

    if (w->logs++ < WORLD_LOGS_MAX) w->ops->log(w->arg, span(text, MIN(n, (size_t)LUAHOST_LOG_MAX)));
    return 0;
}

static int ms_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    value_mark_array(L);
    return 1;
}

static int ms_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_wall_us() / (lua_Number)US_PER_S);
    return 1;
}

static const luaL_Reg ms_calls[] = {{"call", ms_call}, {"log", ms_log}, {"json", json_write},
    {"parse", json_parse}, {"array", ms_array}, {"time", ms_time}, {NULL, NULL}};

/* --- require --- */

static struct span file_text(const struct world *w, struct span path)
{
    const struct packed *files = unpack_root(w->files);

    for (size_t i = 0; i < packed_n(files); i++)
        if (span_eq(packed_as_str(packed_at(packed_at(files, i), 0)), path))
            return packed_as_str(packed_at(packed_at(files, i), 1));
    return SPAN_NONE;
}

void sandbox_load(lua_State *L, struct span path)
{
    struct span text = file_text(world_of(L), path);
    const char *name = lua_pushfstring(L, "@%s", lua_pushlstring(L, (const char *)path.p, path.n));

    if (!text.p) luaL_error(L, "%s: there is no such script", name + 1);
    if (luaL_loadbufferx(L, (const char *)text.p, text.n, name, "t") != LUA_OK) lua_error(L);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* require("modules.site.hours") is modules/site/hours.lua of the overlay, or else what is shipped; it runs
 * once, and what it returns is kept. Upvalue 1: what has been required. */
static int require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *path;

    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        if (lua_islightuserdata(L, -1)) return luaL_error(L, "%s requires itself", name);
        return 1;
    }
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, NULL);
    lua_rawset(L, lua_upvalueindex(1));
    path = lua_pushfstring(L, "%s.lua", luaL_gsub(L, name, ".", "/"));
    sandbox_load(L, span_of(path));
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

/* --- what is left of Lua's libraries --- */

struct allowed {
    const char *library;
    lua_CFunction open;
    const char *names; /* between blanks */
};
static const struct allowed libraries[] = {
    {LUA_GNAME, luaopen_base,
        " _G _VERSION assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset select "
        "tonumber tostring type xpcall "},
    {LUA_STRLIBNAME, luaopen_string,
        " byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper "},
    {LUA_TABLIBNAME, luaopen_table, " concat insert move pack remove sort unpack "},
    {LUA_MATHLIBNAME, luaopen_math,
        " abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi rad "
        "random sin sqrt tan tointeger type ult "},
    {LUA_UTF8LIBNAME, luaopen_utf8, " char charpattern codepoint codes len offset "},
    {LUA_COLIBNAME, luaopen_coroutine, " close create isyieldable resume running status wrap yield "},
    {LUA_OSLIBNAME, luaopen_os, " clock date difftime time "},
};

static bool is_named(const char *names, const char *name)
{
    struct span rest = span_of(names), one;

    while (span_split(&rest, ' ', &one))
        if (one.n > 0 && span_is(one, name)) return true;
    return false;
}

/* Of the table on top. */
static void keep_only(lua_State *L, const char *names)
{
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && is_named(names, lua_tostring(L, -1))) continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
}

static void guard(lua_State *L, const char *name, lua_CFunction by)
{
    lua_getglobal(L, name);
    lua_pushcclosure(L, by, 1);
    lua_setglobal(L, name);
}

static void set_global(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_pushcfunction(L, fn);
    lua_setglobal(L, name);
}

/* A script may ask what the metatable of a text is, and is told nothing. */
static void shut_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    if (lua_getmetatable(L, -1)) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void sandbox_open(lua_State *L)
{
    for (size_t i = 0; i < ARRAY_N(libraries); i++) {
        luaL_requiref(L, libraries[i].library, libraries[i].open, 0);
        keep_only(L, libraries[i].names);
        lua_pop(L, 1);
    }
    for (size_t i = 1; i < ARRAY_N(libraries); i++) {
        luaL_requiref(L, libraries[i].library, libraries[i].open, 1);
        lua_pop(L, 1);
    }
    shut_strings(L);
    guard(L, "pcall", catching);
    guard(L, "xpcall", catching_with);
    set_global(L, "setmetatable", guarded_setmetatable);
    set_global(L, "print", ms_log);
    lua_newtable(L);
    lua_pushcclosure(L, require, 1);
    lua_setglobal(L, "require");
    value_open(L);
    luaL_newlib(L, ms_calls);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_setglobal(L, "ms");
}
