/* httpd/luahost/host: one answer for each message, in order; what breaks the rules ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "httpd/luahost/host.h"
#include "tests/support/lua_help.h"

static struct host *h;
static struct buf in, out;
static struct unpack *last;

static int begin(void **state)
{
    (void)state;
    h = host_new();
    buf_init(&in, 2 * LUAHOST_MESSAGE_MAX);
    buf_init(&out, 4 * LUAHOST_MESSAGE_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    host_free(h);
    unpack_done(last);
    last = NULL;
    buf_done(&in);
    buf_done(&out);
    return 0;
}

/* What is in `in`, heard as one message. */
static bool hear(struct packer *p, size_t at)
{
    struct span map;
    size_t n;
    bool ok;

    assert_true(luahost_end(p, at));
    assert_int_equal(luahost_next(buf_span(&in), &map, &n), 0);
    ok = host_hear(h, map, &out);
    buf_take(&in, n);
    return ok;
}

static const struct packed *next_answer(void)
{
    struct span map;
    size_t n;

    unpack_done(last);
    last = NULL;
    assert_int_equal(luahost_next(buf_span(&out), &map, &n), 0);
    assert_int_equal(unpack_new(map, &last), 0);
    buf_take(&out, n);
    return unpack_root(last);
}

static const struct packed *answer_is(enum luahost_op op, uint64_t id)
{
    const struct packed *m = next_answer();

    assert_int_equal(packed_u64(m, "op", 0), op);
    assert_int_equal(packed_u64(m, "id", 0), id);
    return m;
}

static const struct packed *load(enum luahost_slot slot, const char *text)
{
    const char *const files[] = {"a.lua", text, NULL};
    const struct packed *m;
    size_t at;
    struct packer p = luahost_begin(&in, LUAHOST_LOAD, 3, &at);

    pack_kv_u64(&p, "slot", slot);
    pack_kv_text(&p, "entry", "a.lua");
    pack_key(&p, "files");
    lua_help_pack(&p, files);
    assert_true(hear(&p, at));
    m = answer_is(LUAHOST_LOADED, 0);
    assert_int_equal(packed_u64(m, "slot", 9), slot);
    return m;
}

static void call(uint64_t id, const char *value)
{
    size_t at;
    struct packer p = luahost_begin(&in, LUAHOST_CALL, 3, &at);

    pack_kv_u64(&p, "id", id);
    pack_kv_u64(&p, "slot", LUAHOST_API);
    pack_kv_text(&p, "args", value);
    assert_true(hear(&p, at));
}

static bool reply(uint64_t id, const char *value)
{
    size_t at;
    struct packer p = luahost_begin(&in, LUAHOST_REPLY, 3, &at);

    pack_kv_u64(&p, "id", id);
    pack_kv_bool(&p, "ok", true);
    pack_kv_text(&p, "value", value);
    return hear(&p, at);
}

static bool bare(enum luahost_op op, uint64_t id)
{
    size_t at;
    struct packer p = luahost_begin(&in, op, 1, &at);

    pack_kv_u64(&p, "id", id);
    return hear(&p, at);
}

static void done_with(uint64_t id, const char *text)
{
    const struct packed *m = answer_is(LUAHOST_DONE, id);

    assert_true(packed_bool(m, "ok", false));
    assert_true(span_is(packed_str(m, "value"), text));
}

static void calls_answers_and_logs(void **state)
{
    const struct packed *m;

    (void)state;
    assert_true(
        packed_bool(load(LUAHOST_API, "return function(v) ms.log('in ' .. v) return v end"), "ok", false));
    call(7, "x");
    m = next_answer();
    assert_int_equal(packed_u64(m, "op", 0), LUAHOST_LOG);
    assert_true(span_is(packed_str(m, "text"), "in x"));
    assert_int_equal(packed_u64(m, "slot", 9), LUAHOST_API);
    done_with(7, "x");
    assert_true(bare(LUAHOST_PING, 0));
    answer_is(LUAHOST_PONG, 0);
    assert_int_equal(buf_n(&out), 0);
}

static void no_script(void **state)
{
    const struct packed *m;

    (void)state;
    call(1, "x");
    m = answer_is(LUAHOST_DONE, 1);
    assert_false(packed_bool(m, "ok", true));
    assert_true(span_is(packed_str(m, "error"), "there is no script"));
}

static void a_broken_one_changes_nothing(void **state)
{
    const struct packed *m;

    (void)state;
    load(LUAHOST_API, "return function(v) return 'one' end");
    m = load(LUAHOST_API, "return function(v)\nreturn = 'two' end");
    assert_false(packed_bool(m, "ok", true));
    assert_non_null(strstr((const char *)packed_str(m, "error").p, "a.lua:2:"));
    call(1, "");
    done_with(1, "one");
}

/* A call that waits ends in the script that it began in. */
static void replaced_while_it_waits(void **state)
{
    (void)state;
    load(LUAHOST_API, "return function() return 'old ' .. ms.call('x') end");
    call(1, "");
    assert_true(span_is(packed_str(answer_is(LUAHOST_ASK, 1), "name"), "x"));
    load(LUAHOST_API, "return function() return 'new' end");
    call(2, "");
    done_with(2, "new");
    assert_true(reply(1, "answer"));
    done_with(1, "old answer");
}

static void cancelled(void **state)
{
    (void)state;
    load(LUAHOST_API, "return function() ms.call('x') end");
    call(1, "");
    answer_is(LUAHOST_ASK, 1);
    assert_true(bare(LUAHOST_CANCEL, 1));
    answer_is(LUAHOST_CANCELLED, 0);
    assert_true(bare(LUAHOST_CANCEL, 1));
    answer_is(LUAHOST_CANCELLED, 0);
    assert_false(reply(1, "late"));
}

static void what_waits_at_the_end(void **state)
{
    (void)state;
    load(LUAHOST_API, "return function() ms.call('x') end");
    for (uint64_t i = 1; i < 10; i++) call(i, "");
    buf_clear(&out);
    load(LUAHOST_API, "return function() ms.call('y') end");
    for (uint64_t i = 10; i < 20; i++) call(i, "");
}

static void broken_rules(void **state)
{
    static const char *const maps[] = {"\x80", "\x81\xa2op\x63", "\x81\xa2op\x01", "\x81\xa2op\x02",
        "\x81\xa2op\x03", "\x81\xa2op\x06", "\xc0", "\x91\x01"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(maps); i++) assert_false(host_hear(h, span_of(maps[i]), &out));
    assert_false(host_hear(h, SPAN_LIT("\xdd\xff\xff\xff\xff"), &out));
    assert_int_equal(buf_n(&out), 0);
}

static void framing(void **state)
{
    struct span map;
    size_t n;

    (void)state;
    assert_int_equal(luahost_next(SPAN_NONE, &map, &n), LUAHOST_E_MORE);
    assert_int_equal(luahost_next(SPAN_LIT("\0\0\0"), &map, &n), LUAHOST_E_MORE);
    assert_int_equal(luahost_next(SPAN_LIT("\0\0\0\0"), &map, &n), LUAHOST_E_BAD);
    assert_int_equal(luahost_next(SPAN_LIT("\0\x10\0\0"), &map, &n), LUAHOST_E_MORE);
    assert_int_equal(luahost_next(SPAN_LIT("\0\x10\0\1"), &map, &n), LUAHOST_E_BAD);
    assert_int_equal(luahost_next(SPAN_LIT("\0\0\0\2ab?"), &map, &n), 0);
    assert_int_equal(n, 6);
    assert_true(span_is(map, "ab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_answers_and_logs, begin, end),
        cmocka_unit_test_setup_teardown(no_script, begin, end),
        cmocka_unit_test_setup_teardown(a_broken_one_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(replaced_while_it_waits, begin, end),
        cmocka_unit_test_setup_teardown(cancelled, begin, end),
        cmocka_unit_test_setup_teardown(what_waits_at_the_end, begin, end),
        cmocka_unit_test_setup_teardown(broken_rules, begin, end),
        cmocka_unit_test(framing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
