/* JSON (RFC 8259) for scripts: ms.json(value) and ms.parse(text), strictly. What is written is safe inside of
 * HTML too; bytes that are no UTF-8 become U+FFFD. What is read: one value, no key twice, no number that is
 * none; nil and where it is wrong otherwise. */
#include "httpd/luahost/world_impl.h"
#include "common/base/utf8.h"

#include <math.h>
#include <stdlib.h>

/* --- writing --- */

static void put(lua_State *L, struct span s)
{
    if (!buf_put(&world_of(L)->scratch, s)) luaL_error(L, "this is too large for JSON");
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && !strchr("\"\\<>&", c);
}

static void put_text(lua_State *L, struct span s)
{
    char escape[8];

    put(L, SPAN_LIT("\""));
    while (s.n > 0) {
        size_t n = utf8_len(s);

        if (n == 0) {
            put(L, SPAN_LIT("\\ufffd"));
            n = 1;
        } else if (n == 1 && !is_plain(s.p[0])) {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)s.p[0]);
            put(L, span_of(escape));
        } else {
            put(L, span_sub(s, 0, n));
        }
        s = span_from(s, n);
    }
    put(L, SPAN_LIT("\""));
}

/* The shortest of two texts that is read as the same number; there is no -0. */
static void put_float(lua_State *L, lua_Number v)
{
    char text[64];

    if (!isfinite(v)) luaL_error(L, "JSON has no such number");
    snprintf(text, sizeof(text), "%.15g", v);
    if (strtod(text, NULL) != v) snprintf(text, sizeof(text), "%.17g", v);
    put(L, v < 0 || v > 0 ? span_of(text) : SPAN_LIT("0"));
}

static void put_number(lua_State *L, int at)
{
    char text[32];

    if (!lua_isinteger(L, at)) {
        put_float(L, lua_tonumber(L, at));
        return;
    }
    snprintf(text, sizeof(text), "%lld", (long long)lua_tointeger(L, at));
    put(L, span_of(text));
}

static void put_value(lua_State *L, int at, unsigned depth);

static void put_table(lua_State *L, int at, unsigned depth)
{
    const char *separator = "";
    struct span key;
    size_t n;

    if (depth == JSON_DEPTH_MAX) luaL_error(L, "a table is too deep, or holds itself");
    if (value_is_array(L, at, &n)) {
        put(L, SPAN_LIT("["));
        for (size_t i = 1; i <= n; i++, separator = ",") {
            put(L, span_of(separator));
            lua_rawgeti(L, at, (lua_Integer)i);
            put_value(L, lua_gettop(L), depth + 1);
            lua_pop(L, 1);
        }
        put(L, SPAN_LIT("]"));
        return;
    }
    put(L, SPAN_LIT("{"));
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1), separator = ",") {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a table has keys that are neither texts nor 1 to n");
        key.p = (const uint8_t *)lua_tolstring(L, -2, &key.n);
        put(L, span_of(separator));
        put_text(L, key);
        put(L, SPAN_LIT(":"));
        put_value(L, lua_gettop(L), depth + 1);
    }
    put(L, SPAN_LIT("}"));
}

static void put_value(lua_State *L, int at, unsigned depth)
{
    struct span text;

    luaL_checkstack(L, 8, "a table is too deep");
    switch (lua_type(L, at)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: put(L, SPAN_LIT("null")); break;
    case LUA_TBOOLEAN: put(L, span_of(lua_toboolean(L, at) ? "true" : "false")); break;
    case LUA_TNUMBER: put_number(L, at); break;
    case LUA_TSTRING:
        text.p = (const uint8_t *)lua_tolstring(L, at, &text.n);
        put_text(L, text);
        break;
    case LUA_TTABLE: put_table(L, at, depth); break;
    default: luaL_error(L, "JSON has no %s", luaL_typename(L, at));
    }
}

int json_write(lua_State *L)
{
    struct buf *b = &world_of(L)->scratch;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    buf_clear(b);
    put_value(L, 1, 0);
    lua_pushlstring(L, (const char *)buf_span(b).p, buf_n(b));
    return 1;
}

/* --- reading --- */

struct reader {
    lua_State *L;
    struct span in;
    size_t at;
    const char *bad; /* NULL: all well so far */
};

static bool fail(struct reader *r, const char *why)
{
    if (!r->bad) r->bad = why;
    return false;
}

static int peek(const struct reader *r)
{
    return r->at < r->in.n ? r->in.p[r->at] : -1;
}

static void blanks(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r') r->at++;
}

static bool takes(struct reader *r, char c)
{
    blanks(r);
    if (peek(r) != c) return false;
    r->at++;
    return true;
}

static bool digits(struct reader *r)
{
    size_t from = r->at;

    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at > from;
}

static bool read_number(struct reader *r)
{
    char text[64];
    size_t from = r->at;
    bool ok;

    if (peek(r) == '-') r->at++;
    if (peek(r) == '0')
        r->at++;
    else if (!digits(r))
        return fail(r, "a value is expected");
    ok = true;
    if (peek(r) == '.') {
        r->at++;
        ok = digits(r);
    }
    if (ok && (peek(r) == 'e' || peek(r) == 'E')) {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        ok = digits(r);
    }
    if (!ok || r->at - from >= sizeof(text)) return fail(r, "this is not a number");
    span_copy(span_sub(r->in, from, r->at - from), text, sizeof(text));
    if (lua_stringtonumber(r->L, text) == 0 || !isfinite(lua_tonumber(r->L, -1)))
        return fail(r, "this number is too large");
    return true;
}

static bool read_hex(struct reader *r, uint32_t *ret)
{
    struct span s = span_sub(r->in, r->at, 4);
    uint64_t v;

    if (s.n < 4 || !span_hex64(s, &v)) return fail(r, "four hexadecimal digits are expected");
    r->at += 4;
    *ret = (uint32_t)v;
    return true;
}

/* Behind "\u". */
static bool read_rune(struct reader *r, uint32_t *ret)
{
    uint32_t low;

    if (!read_hex(r, ret)) return false;
    if (*ret >= 0xdc00 && *ret < 0xe000) return fail(r, "half a surrogate pair");
    if (*ret < 0xd800 || *ret >= 0xdc00) return true;
    if (!span_starts(span_from(r->in, r->at), SPAN_LIT("\\u"))) return fail(r, "half a surrogate pair");
    r->at += 2;
    if (!read_hex(r, &low)) return false;
    if (low < 0xdc00 || low >= 0xe000) return fail(r, "half a surrogate pair");
    *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static void put_rune(lua_State *L, uint32_t v)
{
    uint8_t out[4];
    size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
    static const uint8_t first[5] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; v >>= 6) out[i] = (uint8_t)(0x80 | (v & 0x3f));
    out[0] = (uint8_t)(first[n] | v);
    put(L, span(out, n));
}

static bool read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    uint32_t rune;

    if (c < 0) return fail(r, "the text does not end");
    r->at++;
    if (at) {
        put(r->L, span(to + (at - from), 1));
        return true;
    }
    if (c != 'u') return fail(r, "no such escape");
    if (!read_rune(r, &rune)) return false;
    put_rune(r->L, rune);
    return true;
}

static bool read_text(struct reader *r)
{
    struct buf *b = &world_of(r->L)->scratch;

    r->at++;
    buf_clear(b);
    for (;;) {
        int c = peek(r);
        size_t n;

        if (c == '"') break;
        if (c < 0x20) return fail(r, "the text does not end, or has a control in it");
        if (c == '\\') {
            r->at++;
            if (!read_escape(r)) return false;
            continue;
        }
        n = utf8_len(span_from(r->in, r->at));
        if (n == 0) return fail(r, "this is not UTF-8");
        put(r->L, span_sub(r->in, r->at, n));
        r->at += n;
    }
    r->at++;
    lua_pushlstring(r->L, (const char *)buf_span(b).p, buf_n(b));
    return true;
}

static bool read_value(struct reader *r, unsigned depth);

static bool read_array(struct reader *r, unsigned depth)
{
    lua_Integer n = 0;

    r->at++;
    lua_newtable(r->L);
    value_mark_array(r->L);
    if (takes(r, ']')) return true;
    do {
        if (!read_value(r, depth + 1)) return false;
        lua_rawseti(r->L, -2, ++n);
    } while (takes(r, ','));
    return takes(r, ']') || fail(r, "',' or ']' is expected");
}

static bool read_object(struct reader *r, unsigned depth)
{
    r->at++;
    lua_newtable(r->L);
    if (takes(r, '}')) return true;
    do {
        blanks(r);
        if (peek(r) != '"') return fail(r, "a name in quotes is expected");
        if (!read_text(r)) return false;
        lua_pushvalue(r->L, -1);
        if (lua_rawget(r->L, -3) != LUA_TNIL) return fail(r, "this name stands there twice");
        lua_pop(r->L, 1);
        if (!takes(r, ':')) return fail(r, "':' is expected");
        if (!read_value(r, depth + 1)) return false;
        lua_rawset(r->L, -3);
    } while (takes(r, ','));
    return takes(r, '}') || fail(r, "',' or '}' is expected");
}

static bool read_word(struct reader *r)
{
    struct span rest = span_from(r->in, r->at);

    if (span_starts(rest, SPAN_LIT("true")) || span_starts(rest, SPAN_LIT("false"))) {
        lua_pushboolean(r->L, rest.p[0] == 't');
        r->at += rest.p[0] == 't' ? 4 : 5;
        return true;
    }
    if (!span_starts(rest, SPAN_LIT("null"))) return fail(r, "a value is expected");
    lua_pushlightuserdata(r->L, NULL);
    r->at += 4;
    return true;
}

static bool read_value(struct reader *r, unsigned depth)
{
    int c;

    luaL_checkstack(r->L, 8, "this is too deep");
    if (depth == JSON_DEPTH_MAX) return fail(r, "this is too deep");
    blanks(r);
    c = peek(r);
    if (c == '{') return read_object(r, depth);
    if (c == '[') return read_array(r, depth);
    if (c == '"') return read_text(r);
    if (c == 't' || c == 'f' || c == 'n') return read_word(r);
    return read_number(r);
}

/* The value, or nil, what is wrong, and behind how many bytes. */
int json_parse(lua_State *L)
{
    struct reader r = {.L = L};

    r.in.p = (const uint8_t *)luaL_checklstring(L, 1, &r.in.n);
    lua_settop(L, 1);
    if (read_value(&r, 0)) {
        blanks(&r);
        if (r.at == r.in.n) return 1;
        (void)fail(&r, "something stands behind the value");
    }
    lua_pushnil(L);
    lua_pushstring(L, r.bad);
    lua_pushinteger(L, (lua_Integer)r.at);
    return 3;
}
