/* Values between msgpack and Lua. A map is a table by text keys, an array a table that is marked as one: an
 * empty one stays an array on its way back. nil inside of an array is ms.null, inside of a map nothing. */
#include "httpd/luahost/world_impl.h"

static const char array_mark; /* its address is the name of the metatable */

void value_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_mark);
}

void value_mark_array(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mark);
    lua_setmetatable(L, -2);
}

static void push_array(lua_State *L, const struct packed *v)
{
    size_t n = packed_n(v);

    lua_createtable(L, (int)n, 0);
    value_mark_array(L);
    for (size_t i = 0; i < n; i++) {
        if (packed_kind(packed_at(v, i)) == PACKED_NIL)
            lua_pushlightuserdata(L, NULL);
        else
            value_push(L, packed_at(v, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_map(lua_State *L, const struct packed *v)
{
    const struct packed *item;
    struct span key;

    lua_createtable(L, 0, (int)packed_n(v));
    for (size_t i = 0; packed_pair(v, i, &key, &item); i++) {
        if (!key.p) continue; /* not a text: nobody of ours says that */
        lua_pushlstring(L, (const char *)key.p, key.n);
        value_push(L, item);
        lua_rawset(L, -3);
    }
}

void value_push(lua_State *L, const struct packed *v)
{
    struct span text = packed_as_str(v);

    luaL_checkstack(L, 8, "a value is too deep");
    switch (packed_kind(v)) {
    case PACKED_BOOL: lua_pushboolean(L, packed_as_bool(v, false)); break;
    case PACKED_INT: lua_pushinteger(L, packed_as_i64(v, 0)); break;
    case PACKED_FLOAT: lua_pushnumber(L, packed_as_f64(v, 0)); break;
    case PACKED_TEXT: lua_pushlstring(L, (const char *)text.p, text.n); break;
    case PACKED_ARRAY: push_array(L, v); break;
    case PACKED_MAP: push_map(L, v); break;
    case PACKED_NIL:
    default: lua_pushnil(L); break;
    }
}

static bool is_marked(lua_State *L, int at)
{
    bool same;

    if (!lua_getmetatable(L, at)) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mark);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

bool value_is_array(lua_State *L, int at, size_t *ret_n)
{
    size_t n = 0, items = (size_t)lua_rawlen(L, at);
    bool marked = is_marked(L, at), whole = true;

    for (lua_pushnil(L); lua_next(L, at) != 0; n++) {
        lua_pop(L, 1);
        whole = whole && lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 &&
            (lua_Unsigned)lua_tointeger(L, -1) <= items;
    }
    *ret_n = n;
    if (n == 0) return marked;
    if (whole && n == items) return true;
    if (marked) luaL_error(L, "an array has keys that are not 1 to n");
    return false;
}

struct packing {
    struct packer *to;
    unsigned items; /* its reader takes so many */
};

static void pack_table(lua_State *L, int at, struct packing *p, unsigned depth);

static void pack_one(lua_State *L, int at, struct packing *p, unsigned depth)
{
    size_t n;
    const char *text;

    luaL_checkstack(L, 8, "a value is too deep");
    switch (lua_type(L, at)) {
    case LUA_TNIL: pack_nil(p->to); break;
    case LUA_TBOOLEAN: pack_bool(p->to, lua_toboolean(L, at)); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, at))
            pack_i64(p->to, lua_tointeger(L, at));
        else
            pack_f64(p->to, lua_tonumber(L, at));
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, at, &n);
        pack_str(p->to, span(text, n));
        break;
    case LUA_TTABLE: pack_table(L, at, p, depth); break;
    case LUA_TLIGHTUSERDATA: pack_nil(p->to); break; /* ms.null: there is no other */
    default: luaL_error(L, "a %s cannot be sent", luaL_typename(L, at));
    }
    if (p->to->bad || ++p->items > VALUE_ITEMS_MAX) luaL_error(L, "a value is too large");
}

static void pack_table(lua_State *L, int at, struct packing *p, unsigned depth)
{
    size_t n;

    if (depth == VALUE_DEPTH_MAX) luaL_error(L, "a table is too deep, or holds itself");
    if (value_is_array(L, at, &n)) {
        pack_array(p->to, (uint32_t)n);
        for (size_t i = 1; i <= n; i++) {
            lua_rawgeti(L, at, (lua_Integer)i);
            pack_one(L, lua_gettop(L), p, depth + 1);
            lua_pop(L, 1);
        }
        return;
    }
    pack_map(p->to, (uint32_t)n);
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a table has keys that are neither texts nor 1 to n");
        pack_one(L, lua_gettop(L) - 1, p, depth + 1);
        pack_one(L, lua_gettop(L), p, depth + 1);
    }
}

void value_pack(lua_State *L, int at, struct packer *to)
{
    pack_one(L, lua_absindex(L, at), &(struct packing){.to = to}, 0);
}
