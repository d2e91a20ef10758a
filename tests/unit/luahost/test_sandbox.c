/* httpd/luahost/sandbox: everything a script can reach stands in this list, found by walking from the
 * globals, the registry's metatables and every upvalue; and the ways out that are known are shut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "httpd/luahost/world_impl.h"
#include "tests/support/lua_help.h"

static struct lua_help l;

/* --- the walk --- */

#define SEEN_MAX 4096

static const void *seen[SEEN_MAX];
static size_t n_seen;
static struct buf found;

static void visit(lua_State *L, const char *path);

static bool is_new(const void *p)
{
    for (size_t i = 0; i < n_seen; i++)
        if (seen[i] == p) return false;
    assert_true(n_seen < SEEN_MAX);
    seen[n_seen++] = p;
    return true;
}

static void visit_table(lua_State *L, const char *path)
{
    char name[256];

    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        if (lua_type(L, -2) == LUA_TSTRING)
            snprintf(name, sizeof(name), "%s.%s", path, lua_tostring(L, -2));
        else
            snprintf(name, sizeof(name), "%s[%s]", path, luaL_typename(L, -2));
        visit(L, name);
    }
}

/* Takes the value on top. A metatable that is shown to nobody is walked too. */
static void visit(lua_State *L, const char *path)
{
    char name[300];

    luaL_checkstack(L, 20, NULL);
    if (lua_getmetatable(L, -1)) {
        snprintf(name, sizeof(name), "%s<meta>", path);
        visit(L, name);
    }
    if (lua_istable(L, -1)) {
        if (is_new(lua_topointer(L, -1))) visit_table(L, path);
    } else if (lua_isfunction(L, -1)) {
        if (is_new(lua_topointer(L, -1))) {
            buf_fmt(&found, " %s", path);
            for (int i = 1; lua_getupvalue(L, -1, i); i++) {
                snprintf(name, sizeof(name), "%s<up>", path);
                visit(L, name);
            }
        }
    } else if (lua_isuserdata(L, -1) && !lua_islightuserdata(L, -1)) {
        assert_string_equal(path, ".math.random<up>"); /* its state */
    }
    lua_pop(L, 1);
}

static const char expected[] =
    " assert error getmetatable ipairs next pairs pcall print rawequal rawget rawlen rawset require select "
    "setmetatable tonumber tostring type xpcall pcall<up> xpcall<up>"
    " ms.array ms.call ms.json ms.log ms.parse ms.time"
    " string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower "
    "string.match string.pack string.packsize string.rep string.reverse string.sub string.unpack string.upper"
    " table.concat table.insert table.move table.pack table.remove table.sort table.unpack"
    " math.abs math.acos math.asin math.atan math.ceil math.cos math.deg math.exp math.floor math.fmod "
    "math.log "
    "math.max math.min math.modf math.rad math.random math.sin math.sqrt math.tan math.tointeger math.type "
    "math.ult"
    " utf8.char utf8.codepoint utf8.codes utf8.len utf8.offset"
    " coroutine.close coroutine.create coroutine.isyieldable coroutine.resume coroutine.running "
    "coroutine.status coroutine.wrap coroutine.yield"
    " os.clock os.date os.difftime os.time ";

/* string's metatable has arithmetic of its own: "10" + 1. */
static bool is_arithmetic(struct span name)
{
    return span_find_span(name, SPAN_LIT("<meta>.__")) >= 0;
}

static void everything_in_reach(void **state)
{
    struct span rest, one;
    char want[128];

    (void)state;
    assert_true(lua_help_start(&l, "return function() end"));
    buf_init(&found, 1 << 16);
    n_seen = 0;
    lua_pushglobaltable(l.w->L);
    visit(l.w->L, "");
    lua_pushliteral(l.w->L, "");
    visit(l.w->L, "text");
    rest = buf_span(&found);
    while (span_split(&rest, ' ', &one)) {
        if (one.n == 0 || is_arithmetic(one)) continue;
        snprintf(want, sizeof(want), " %.*s ", SPAN_FMT(span_from(one, one.p[0] == '.')));
        if (!strstr(expected, want)) fail_msg("%s can be reached", want);
    }
    buf_done(&found);
    lua_help_stop(&l);
}

/* --- ways out --- */

static void shut(void **state)
{
    static const char *const nil[] = {"io", "package", "debug", "load", "loadstring", "dofile", "loadfile",
        "collectgarbage", "os.execute", "os.remove", "os.rename", "os.getenv", "os.exit", "os.tmpname",
        "os.setlocale", "string.dump", "math.randomseed", "warn", "_G.load", "_G.io", "('').dump",
        "_ENV.debug", "require == nil and 1 or nil"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(nil); i++) {
        char text[128];

        snprintf(text, sizeof(text), "return function() return tostring(%s) end", nil[i]);
        assert_true(lua_help_start(&l, text));
        assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
        if (!lua_help_is(&l, "nil")) fail_msg("%s is there", nil[i]);
        lua_help_stop(&l);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *body, *why;
    } rows[] = {
        {"setmetatable({}, { __gc = function() end })", "no finalizers"},
        {"setmetatable({}, { __gc = false })", "no finalizers"},
        {"getmetatable('').__index = nil", "attempt to index a boolean"},
        {"setmetatable(ms.array(), {})", "protected metatable"},
        {"setmetatable(setmetatable({}, { __metatable = 1 }), nil)", "protected metatable"},
        {"setmetatable('', {})", "table expected"},
        {"setmetatable({})", "nil or table expected"},
        {"setmetatable({}, 5)", "nil or table expected"},
        {"return print", "a function cannot be sent"},
        {"return coroutine.create(print)", "a thread cannot be sent"},
        {"local t = {} t.t = t return t", "holds itself"},
        {"return { [{}] = 1 }", "neither texts nor 1 to n"},
        {"return { 1, 2, x = 3 }", "neither texts nor 1 to n"},
        {"return ms.array({ x = 1 })", "keys that are not 1 to n"},
        {"ms.call()", "string expected"},
        {"ms.call('')", "not a name"},
        {"ms.call(('x'):rep(65))", "not a name"},
        {"ms.call('a\\0b')", "not a name"},
        {"ms.call('a', print)", "a function cannot be sent"},
        {"ms.array(1)", "table expected"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[256];

        snprintf(text, sizeof(text), "return function() %s end", rows[i].body);
        assert_true(lua_help_start(&l, text));
        if (lua_help_call(&l, "") != WORLD_FAILED || !strstr(l.result.error, rows[i].why))
            fail_msg("%s: %s", rows[i].body, l.result.error);
        lua_help_stop(&l);
    }
}

/* What a script does to the libraries is its own affair, and its own world's only. */
static void worlds_are_apart(void **state)
{
    struct lua_help other;

    (void)state;
    assert_true(
        lua_help_start(&l, "string.upper = function() return 'gone' end x = 1 return function() end"));
    assert_true(lua_help_start(&other, "return function() return ('a'):upper() .. tostring(x) end"));
    assert_int_equal(lua_help_call(&other, ""), WORLD_DONE);
    assert_true(lua_help_is(&other, "Anil"));
    lua_help_stop(&other);
    lua_help_stop(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_reach),
        cmocka_unit_test(shut),
        cmocka_unit_test(refused),
        cmocka_unit_test(worlds_are_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
