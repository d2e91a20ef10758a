#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "worker/gather.h"

static struct span text(const char *s)
{
    return span(mem_dup(s, strlen(s)), strlen(s));
}

static void gone(struct span s)
{
    mem_free((void *)(uintptr_t)s.p);
}

/* Pieces outlive the memory they came in after a detach, in any mix of detached and fresh ones. */
static void test_detach(void **state)
{
    struct gather g;
    struct span all;
    uint8_t head = 'h';

    (void)state;
    gather_init(&g, 1 << 20);
    for (unsigned i = 0; i < 300; i++) {
        struct span a = text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), b = text("bb");

        assert_true(gather_nal(&g, &head, 1, a));
        if (i % 3 == 0) assert_true(gather_detach(&g));
        assert_true(gather_more(&g, b));
        assert_int_equal(g.v[g.nal].nal_n, 35);
        assert_true(gather_detach(&g));
        gone(a);
        gone(b);
    }
    assert_int_equal(g.bytes, 300 * 35);
    assert_true(gather_join(&g, 0, &all));
    assert_int_equal(all.n, 300 * 35);
    for (size_t i = 0; i < all.n; i += 35)
        assert_memory_equal(all.p + i, "haaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabb", 35);
    gather_drop_front(&g, 2);
    gather_cut(&g, 10);
    assert_int_equal(g.n, 10);
    assert_int_equal(g.bytes, 5 * 35);
    gather_clear(&g);
    assert_int_equal(g.bytes, 0);
    gather_done(&g);
    gather_done(&g);
}

/* A sub-span of joined memory is a piece of its own and survives growth. */
static void test_join_and_split(void **state)
{
    struct gather g;
    struct span all, far;

    (void)state;
    gather_init(&g, 1 << 20);
    assert_true(gather_nal(&g, NULL, 0, SPAN_LIT("one")));
    assert_true(gather_more(&g, SPAN_LIT("two")));
    assert_true(gather_join(&g, 0, &all));
    gather_cut(&g, 0);
    assert_true(gather_nal(&g, NULL, 0, span_sub(all, 1, 3)));
    far = span(mem_new(100000), 100000);
    assert_true(gather_nal(&g, NULL, 0, far));
    assert_true(gather_detach(&g));
    gone(far);
    assert_int_equal(g.v[0].s.n, 3);
    assert_memory_equal(g.v[0].s.p, "net", 3);
    gather_done(&g);
}

static void test_limits(void **state)
{
    static uint8_t bytes[1000];
    struct gather g;

    (void)state;
    gather_init(&g, 1000);
    assert_true(gather_more(&g, span(bytes, 999)));
    assert_false(gather_more(&g, span(bytes, 2)));
    assert_true(gather_more(&g, span(bytes, 1)));
    gather_done(&g);
    gather_init(&g, 1 << 20);
    for (unsigned i = 0; i < GATHER_PIECES_MAX; i++) assert_true(gather_more(&g, span(bytes, 1)));
    assert_false(gather_more(&g, span(bytes, 1)));
    gather_done(&g);
}

/* Memory beyond a common unit is given back. */
static void test_gives_back(void **state)
{
    struct gather g;
    struct span big = span(mem_new(200000), 200000);

    (void)state;
    gather_init(&g, 1 << 20);
    assert_true(gather_more(&g, big));
    assert_true(gather_detach(&g));
    gone(big);
    assert_true(g.own_cap >= 200000);
    gather_clear(&g);
    assert_int_equal(g.own_cap, 0);
    assert_int_equal(g.cap, 0);
    gather_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_join_and_split),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_gives_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
