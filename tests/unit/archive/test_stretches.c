#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/stretches.h"

/* Sorted, joined over small gaps, never over larger ones, cut to what was asked for. */
static void test_join(void **state)
{
    struct stretches s = {0};

    (void)state;
    assert_true(stretches_add(&s, 50, 60) && stretches_add(&s, 10, 20) && stretches_add(&s, 21, 30));
    assert_true(stretches_add(&s, 12, 15) && stretches_add(&s, 90, 95) && stretches_add(&s, 32, 33));
    stretches_join(&s, 1, 15, 92);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.v[0].from_us, 15);
    assert_int_equal(s.v[0].to_us, 30);
    assert_int_equal(s.v[1].from_us, 32);
    assert_int_equal(s.v[2].to_us, 60);
    assert_int_equal(s.v[3].to_us, 92);
    stretches_done(&s);
    stretches_join(&s, 1, 0, 100);
    assert_int_equal(s.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_join)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
