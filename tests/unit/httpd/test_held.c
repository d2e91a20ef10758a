/* httpd/held: a text is given once, to who knows its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "httpd/held.h"

static uint64_t put(const char *text)
{
    struct buf b;
    uint64_t name;

    buf_init(&b, 1024);
    assert_true(buf_text(&b, text));
    name = held_put(&b);
    assert_null(b.mem);
    assert_int_not_equal(name, 0);
    return name;
}

static void once(void **state)
{
    uint64_t a = put("one"), b = put("two");
    struct buf got;

    (void)state;
    assert_int_not_equal(a, b);
    assert_false(held_take(0, &got));
    assert_false(held_take(a ^ b, &got));
    assert_true(held_take(a, &got));
    assert_true(span_is(buf_span(&got), "one"));
    buf_done(&got);
    assert_false(held_take(a, &got));
    assert_true(held_take(b, &got));
    buf_done(&got);
}

static void the_oldest_goes(void **state)
{
    uint64_t names[HELD_MOST + 1];
    struct buf got;

    (void)state;
    for (unsigned i = 0; i <= HELD_MOST; i++) names[i] = put("x");
    assert_false(held_take(names[0], &got));
    for (unsigned i = 1; i <= HELD_MOST; i++) {
        assert_true(held_take(names[i], &got));
        buf_done(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(once), cmocka_unit_test(the_oldest_goes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
