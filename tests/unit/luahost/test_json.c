/* httpd/luahost/json: what scripts read and write (RFC 8259). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/lua_help.h"

static struct lua_help l;

static int begin(void **state)
{
    (void)state;
    return lua_help_start(&l,
               "return function(text)\n"
               "  if text:sub(1, 4) == 'lua ' then return ms.json(values[text:sub(5)]) end\n"
               "  local v, why, at = ms.parse(text)\n"
               "  if v == nil then return at .. ': ' .. why end\n"
               "  return ms.json(v)\n"
               "end, (function() local c = {} c.c = c values = { array = ms.array(), object = {}, list = { "
               "1, 'a', "
               "true }, null = { ms.null }, inf = 1 / 0, nan = 0 / 0, circle = c, fn = print, huge = 1 << "
               "62, tenth = "
               "0.1, time = 1700000000.123456, mixed = { 1, x = 2 }, hole = { [1] = 1, [3] = 3 } } end)()")
        ? 0
        : -1;
}

static int end(void **state)
{
    (void)state;
    lua_help_stop(&l);
    return 0;
}

static void becomes(const char *text, const char *want)
{
    if (lua_help_call(&l, text) != WORLD_DONE) fail_msg("%s: %s", text, l.result.error);
    if (!lua_help_is(&l, want)) fail_msg("%s is not %s", text, want);
}

static void reads_and_writes(void **state)
{
    (void)state;
    becomes("{}", "{}");
    becomes(" [ ] ", "[]");
    becomes("[1,-2,3.5,1e2,0,-0.0]", "[1,-2,3.5,100,0,0]");
    becomes("[9223372036854775807,9223372036854775808]", "[9223372036854775807,9.2233720368547758e+18]");
    becomes("{\"a\":[true,false,null]}", "{\"a\":[true,false,null]}");
    becomes("\"\\u0041\\u00e9\\ud83d\\ude00\\/\\b\"", "\"A\xc3\xa9\xf0\x9f\x98\x80/\\u0008\"");
    becomes("\"<&>\\u0000\\u007f\"", "\"\\u003c\\u0026\\u003e\\u0000\\u007f\"");
    becomes("null", "null");
}

static void says_where_it_is_wrong(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "0: a value is expected"},
        {"nul", "0: a value is expected"},
        {"{\"a\":1,}", "7: a name in quotes is expected"},
        {"{a:1}", "1: a name in quotes is expected"},
        {"{\"a\" 1}", "5: ':' is expected"},
        {"{\"a\":1 \"b\":2}", "7: ',' or '}' is expected"},
        {"{\"a\":1,\"a\":2}", "10: this name stands there twice"},
        {"[1 2]", "3: ',' or ']' is expected"},
        {"[1,]", "3: a value is expected"},
        {"1 2", "2: something stands behind the value"},
        {"01", "1: something stands behind the value"},
        {"1.", "2: this is not a number"},
        {"1e", "2: this is not a number"},
        {"-", "1: a value is expected"},
        {"+1", "0: a value is expected"},
        {"0x10", "1: something stands behind the value"},
        {"1e999", "5: this number is too large"},
        {"\"a", "2: the text does not end, or has a control in it"},
        {"\"a\n\"", "2: the text does not end, or has a control in it"},
        {"\"\\", "2: the text does not end"},
        {"\"\\x\"", "3: no such escape"},
        {"\"\\u12g4\"", "3: four hexadecimal digits are expected"},
        {"\"\\ud800\"", "7: half a surrogate pair"},
        {"\"\\udc00\"", "7: half a surrogate pair"},
        {"\"\\ud800\\u0041\"", "13: half a surrogate pair"},
        {"\"\xff\"", "1: this is not UTF-8"},
        {"\"\xc0\x80\"", "1: this is not UTF-8"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "32: this is too deep"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) becomes(rows[i].text, rows[i].want);
}

static void values_of_scripts(void **state)
{
    static const char *const bad[] = {"lua inf", "lua nan", "lua circle", "lua fn", "lua mixed", "lua hole"};

    (void)state;
    becomes("lua array", "[]");
    becomes("lua object", "{}");
    becomes("lua list", "[1,\"a\",true]");
    becomes("lua null", "[null]");
    becomes("lua huge", "4611686018427387904");
    becomes("lua tenth", "0.1");
    becomes("lua time", "1700000000.123456");
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (lua_help_call(&l, bad[i]) != WORLD_FAILED) fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes, begin, end),
        cmocka_unit_test_setup_teardown(says_where_it_is_wrong, begin, end),
        cmocka_unit_test_setup_teardown(values_of_scripts, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
