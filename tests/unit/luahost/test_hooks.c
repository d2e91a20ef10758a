/* httpd/luahost/hooks: a table of hooks is one function; what is wrong with it is said while it is loaded. */
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

static void refuses(const char *text, const char *why)
{
    assert_false(lua_help_start(&l, text));
    if (!strstr(l.error, why)) fail_msg("\"%s\" instead of \"%s\"", l.error, why);
}

/* Its argument is a map; the helper gives a text: what is no map has no hook. */
static enum world_state call(const char *hook, const char *json, uint64_t n)
{
    enum world_state state;
    struct packer p;
    struct unpack *u;
    struct buf b;

    buf_init(&b, 10000);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_text(&p, "hook", hook);
    pack_kv_text(&p, "json", json);
    pack_kv_u64(&p, "n", n);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    state = world_start(l.w, unpack_root(u), &l.call, &l.result);
    unpack_done(u);
    buf_done(&b);
    return state;
}

static void finds_the_hook(void **state)
{
    (void)state;
    begin("return { on_event = function(e) return e.uid .. ms.call('x', e.n) end,\n"
          "timers = { { every = 5, run = function() return 'five' end }, { at = '03:00', run = function() "
          "return 'three' end } } }");
    assert_int_equal(call("on_event", "{\"uid\":\"yard\",\"n\":1}", 0), WORLD_ASKS);
    assert_string_equal(l.result.name, "x");
    assert_int_equal(lua_help_answer(&l, true, "!"), WORLD_DONE);
    assert_true(lua_help_is(&l, "yard!"));
    assert_int_equal(call("timer", "null", 2), WORLD_DONE);
    assert_true(lua_help_is(&l, "three"));
    assert_int_equal(call("on_viewer", "{}", 0), WORLD_DONE); /* it has none */
    lua_help_stop(&l);
}

static void describes_itself(void **state)
{
    const struct packed *timers;
    struct unpack *u;

    (void)state;
    begin("return { on_event = print, on_request = print, timers = { { every = 86400, run = print }, { at = "
          "'23:59', run = print } } }");
    assert_int_equal(call("describe", "", 0), WORLD_DONE);
    assert_int_equal(unpack_new(buf_span(&l.result.value), &u), 0);
    assert_int_equal(packed_n(packed_get(unpack_root(u), "hooks")), 2);
    timers = packed_get(unpack_root(u), "timers");
    assert_int_equal(packed_n(timers), 2);
    assert_int_equal(packed_u64(packed_at(timers, 0), "every", 0), 86400);
    assert_true(span_is(packed_str(packed_at(timers, 1), "at"), "23:59"));
    unpack_done(u);
    lua_help_stop(&l);
}

static void what_is_refused(void **state)
{
    (void)state;
    refuses("return { on_events = print }", "there is no hook on_events");
    refuses("return { print }", "there is no hook 1");
    refuses("return { on_event = {} }", "on_event is no function");
    refuses("return { timers = 5 }", "timers: a table is expected");
    refuses("return { timers = { { every = 0, run = print } } }", "timers[1]");
    refuses("return { timers = { { every = 1.5, run = print } } }", "timers[1]");
    refuses("return { timers = { { every = 86401, run = print } } }", "timers[1]");
    refuses("return { timers = { { at = '24:00', run = print } } }", "timers[1]");
    refuses("return { timers = { { at = '3:00', run = print } } }", "timers[1]");
    refuses("return { timers = { { every = 5 } } }", "timers[1]");
    refuses("return { timers = { 5 } }", "timers[1]");
    refuses("local t = {} for i = 1, 17 do t[i] = { every = 1, run = print } end return { timers = t }",
        "more than 16");
    refuses("return 5", "a table of hooks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_hook),
        cmocka_unit_test(describes_itself),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
