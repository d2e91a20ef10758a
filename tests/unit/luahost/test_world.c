/* httpd/luahost/world: a script's limits and the way a call goes; reliability.md C20 and R30. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/lua_help.h"

static struct lua_help l;

static void begin(const char *text)
{
    if (!lua_help_start(&l, text)) fail_msg("%s", l.error);
}

static void fails_with(const char *text)
{
    if (!strstr(l.result.error, text)) fail_msg("\"%s\" instead of \"%s\"", l.result.error, text);
}

/* --- the way of a call --- */

static void returns_its_value(void **state)
{
    (void)state;
    begin("return function(v) return v .. '!' end");
    assert_int_equal(lua_help_call(&l, "hello"), WORLD_DONE);
    assert_true(lua_help_is(&l, "hello!"));
    assert_int_equal(world_calls(l.w), 0);
    lua_help_stop(&l);
}

static void the_first_of_many_values(void **state)
{
    (void)state;
    begin("return function() return 'a', print, {} end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
    assert_true(lua_help_is(&l, "a"));
    lua_help_stop(&l);
}

static void asks_and_goes_on(void **state)
{
    (void)state;
    begin("return function(v) local a = ms.call('first', v) local b, why = ms.call('second', a)\n"
          "return a .. ' ' .. tostring(b) .. ' ' .. why end");
    assert_int_equal(lua_help_call(&l, "x"), WORLD_ASKS);
    assert_string_equal(l.result.name, "first");
    assert_true(lua_help_is(&l, "x"));
    assert_int_equal(world_calls(l.w), 1);
    assert_int_equal(lua_help_answer(&l, true, "one"), WORLD_ASKS);
    assert_string_equal(l.result.name, "second");
    assert_int_equal(lua_help_answer(&l, false, "none of it"), WORLD_DONE);
    assert_true(lua_help_is(&l, "one nil none of it"));
    assert_int_equal(world_calls(l.w), 0);
    lua_help_stop(&l);
}

static void a_call_in_a_pcall(void **state)
{
    (void)state;
    begin("return function() local ok, v = pcall(function() local r = ms.call('a', {}) error(r, 0) end)\n"
          "return tostring(ok) .. v end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_ASKS);
    assert_int_equal(lua_help_answer(&l, true, "thrown"), WORLD_DONE);
    assert_true(lua_help_is(&l, "falsethrown"));
    lua_help_stop(&l);
}

static void many_at_once(void **state)
{
    enum { MANY = 10000 };
    static struct world_call *calls[MANY];
    struct world_result r = {0};

    (void)state;
    buf_init(&r.value, LUAHOST_MESSAGE_MAX);
    begin("local n = 0 return function() ms.call('wait') n = n + 1 return n end");
    for (unsigned i = 0; i < MANY; i++) assert_int_equal(world_start(l.w, NULL, &calls[i], &r), WORLD_ASKS);
    assert_int_equal(world_calls(l.w), MANY);
    for (unsigned i = 0; i < MANY; i += 2) world_drop(calls[i]);
    for (unsigned i = 1; i < MANY; i += 2)
        assert_int_equal(world_go_on(calls[i], true, NULL, &r), WORLD_DONE);
    assert_int_equal(world_calls(l.w), 0);
    buf_done(&r.value);
    lua_help_stop(&l);
}

static void calls_from_the_wrong_place(void **state)
{
    (void)state;
    assert_false(lua_help_start(&l, "ms.call('x') return function() end"));
    assert_non_null(strstr(l.error, "test.lua:1: ms.call is for a request's handler"));
    lua_help_stop(&l);
    begin("return function() return coroutine.wrap(function() return ms.call('x') end)() end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_FAILED);
    fails_with("ms.call is for a request's handler");
    lua_help_stop(&l);
    begin("return function() coroutine.yield(1) end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_FAILED);
    fails_with("waits by ms.call alone");
    assert_int_equal(world_calls(l.w), 0);
    lua_help_stop(&l);
}

static void errors_name_file_and_line(void **state)
{
    (void)state;
    begin("return function(v)\nif v == 'table' then error({}) end\nif v == 'nil' then error() end\nreturn "
          "v.x.y\nend");
    assert_int_equal(lua_help_call(&l, "v"), WORLD_FAILED);
    fails_with("test.lua:4:");
    assert_int_equal(lua_help_call(&l, "table"), WORLD_FAILED);
    fails_with("an error that is a table");
    assert_int_equal(lua_help_call(&l, "nil"), WORLD_FAILED);
    fails_with("an error that is a nil");
    lua_help_stop(&l);
}

static void scripts_that_cannot_be_loaded(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"return function( end", "test.lua:1:"},
        {"\n\nerror('no')", "test.lua:3: no"},
        {"return 5", "does not return a function"},
        {"", "does not return a function"},
        {"\x1bLuaT\0\x19\x93\r\n\x1a\n", "binary chunk"},
        {"while true do end", "takes too long"},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end", "not enough memory"},
        {"return require('modules.none')", "modules/none.lua: there is no such script"},
        {"return require('../../etc/passwd')", "there is no such script"},
        {"return require({})", "string expected"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_false(lua_help_start(&l, rows[i].text));
        if (!strstr(l.error, rows[i].why)) fail_msg("%zu: \"%s\"", i, l.error);
        lua_help_stop(&l);
    }
}

static void requires_files(void **state)
{
    static const char *const good[] = {"test.lua",
        "local a, b = require('modules.a'), require('modules.a') return function() return a.v .. tostring(a "
        "== b) end",
        "modules/a.lua", "local c = require('modules.c') return { v = 'a' .. tostring(c) }", "modules/c.lua",
        "", NULL};
    static const char *const circle[] = {
        "test.lua", "return require('modules.a')", "modules/a.lua", "return require('modules.a')", NULL};
    static const char *const broken[] = {
        "test.lua", "return require('modules.a')", "modules/a.lua", "return\n\n+", NULL};

    (void)state;
    assert_true(lua_help_files(&l, good));
    assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
    assert_true(lua_help_is(&l, "atruetrue"));
    lua_help_stop(&l);
    assert_false(lua_help_files(&l, circle));
    assert_non_null(strstr(l.error, "modules.a requires itself"));
    lua_help_stop(&l);
    assert_false(lua_help_files(&l, broken));
    assert_non_null(strstr(l.error, "modules/a.lua:3:"));
    lua_help_stop(&l);
}

/* --- limits --- */

static void what_does_not_end(void **state)
{
    static const char *const bodies[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local function f() return f() end f()",
        "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true do "
        "pcall(function() "
        "return t[1] end) end",
        "local c <close> = setmetatable({}, { __close = function() while true do end end }) while true do "
        "end",
        "table.sort({ 1, 2, 3, 4 }, function() while true do end end)",
        "for _ in function() return 1 end do end",
        "repeat local x = tostring(setmetatable({}, { __tostring = function() while true do end end })) "
        "until false",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bodies); i++) {
        char text[512];

        snprintf(text, sizeof(text), "return function(v) if v == 'ok' then return v end %s end", bodies[i]);
        begin(text);
        if (lua_help_call(&l, "") != WORLD_FAILED || !strstr(l.result.error, "takes too long"))
            fail_msg("%s: %s", bodies[i], l.result.error);
        assert_int_equal(lua_help_call(&l, "ok"), WORLD_DONE);
        assert_true(lua_help_is(&l, "ok"));
        lua_help_stop(&l);
    }
}

static void work_spread_over_asks(void **state)
{
    unsigned n = 0;

    (void)state;
    begin("return function() while true do for _ = 1, 1000000 do end ms.call('more') end end");
    for (enum world_state s = lua_help_call(&l, ""); s == WORLD_ASKS; s = lua_help_answer(&l, true, "")) n++;
    fails_with("takes too long");
    assert_in_range(n, 2, WORLD_CALL_STEPS / 1000000);
    lua_help_stop(&l);
}

static void what_wants_all_memory(void **state)
{
    static const char *const bodies[] = {
        "local s = 'x' while true do s = s .. s end",
        "return #('x'):rep(1 << 40)",
        "local t = {} for i = 1, 1e9 do t[i] = { i } end",
        "local t = table.pack(table.unpack({}, 1, 1e6))",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "local function f() local a, b, c = 1, 2, 3 f() return a + b + c end f()",
        "return string.format('%99.99f', 1):rep(1e7)",
        "return ms.json(('x'):rep(10000000))",
        "local t = ms.array() for i = 1, 30000 do t[i] = i end return t",
        "return ('x'):rep(2000000)",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bodies); i++) {
        char text[512];

        snprintf(text, sizeof(text), "return function(v) if v == 'ok' then return v end %s end", bodies[i]);
        begin(text);
        if (lua_help_call(&l, "") != WORLD_FAILED) fail_msg("%s", bodies[i]);
        assert_true(world_memory(l.w) <= WORLD_MEMORY_MAX);
        assert_int_equal(lua_help_call(&l, "ok"), WORLD_DONE);
        lua_help_stop(&l);
    }
}

static void ten_thousand_coroutines(void **state)
{
    (void)state;
    begin("return function() local t = {} for i = 1, 10000 do t[i] = coroutine.create(function() "
          "coroutine.yield() "
          "end) coroutine.resume(t[i]) end\nlocal n = 0 for i = 1, 10000 do if coroutine.status(t[i]) == "
          "'suspended' then n = n + 1 end end return tostring(n) end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
    assert_true(lua_help_is(&l, "10000"));
    lua_help_stop(&l);
    begin("local function deep(n) return coroutine.wrap(function() return deep(n + 1) end)() end\n"
          "return function() deep(1) end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_FAILED);
    lua_help_stop(&l);
}

static void few_lines_in_the_log(void **state)
{
    (void)state;
    begin("return function() for i = 1, 100 do ms.log(i) end print(('x'):rep(5000)) end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
    assert_int_equal(l.n_logs, WORLD_LOGS_MAX);
    assert_string_equal(l.logs[0], "1");
    lua_help_stop(&l);
    begin("return function() print(('x'):rep(5000)) end");
    assert_int_equal(lua_help_call(&l, ""), WORLD_DONE);
    assert_int_equal(strlen(l.logs[0]), LUAHOST_LOG_MAX);
    lua_help_stop(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_its_value),
        cmocka_unit_test(the_first_of_many_values),
        cmocka_unit_test(asks_and_goes_on),
        cmocka_unit_test(a_call_in_a_pcall),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(calls_from_the_wrong_place),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(scripts_that_cannot_be_loaded),
        cmocka_unit_test(requires_files),
        cmocka_unit_test(what_does_not_end),
        cmocka_unit_test(work_spread_over_asks),
        cmocka_unit_test(what_wants_all_memory),
        cmocka_unit_test(ten_thousand_coroutines),
        cmocka_unit_test(few_lines_in_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
