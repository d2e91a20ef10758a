#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "worker/backoff.h"

#define S(n) ((n)*US_PER_S)

static void doubles_to_15_s(void **state)
{
    static const int expected[] = {1, 2, 4, 8, 15, 15, 15};
    struct backoff b = {.first_us = S(10), .most_us = S(1800)};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(expected); i++)
        assert_int_equal(backoff_wait(&b, 0, false), S(expected[i]));
    assert_int_equal(b.tries, 7);
}

static void to_60_s_where_refused(void **state)
{
    static const int expected[] = {2, 4, 8, 16, 32, 60, 60};
    struct backoff b = {.first_us = S(10), .most_us = S(1800)};
    usec_t sum_us = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(expected); i++) {
        usec_t wait_us = backoff_wait(&b, 0, true);

        assert_true(wait_us >= S(expected[i]) / 2 && wait_us <= S(60));
        sum_us += wait_us;
        if (i == 4) assert_true(sum_us > S(45)); /* U8: five tries a minute at most, with jitter */
    }
    assert_int_equal(backoff_wait(&b, 0, true), S(60));
    assert_int_equal(backoff_wait(&b, 0, false), S(15)); /* no longer refused */
}

static void begins_anew_after_30_s_of_media(void **state)
{
    struct backoff b = {.first_us = S(10), .most_us = S(1800)};

    (void)state;
    for (int i = 0; i < 5; i++) backoff_wait(&b, 0, false);
    assert_int_equal(backoff_wait(&b, S(30) - 1, false), S(15));
    assert_int_equal(b.tries, 1);
    assert_int_equal(backoff_wait(&b, S(30), false), S(1));
}

static void the_site_bounds_it(void **state)
{
    struct backoff b = {.first_us = S(1) / 2, .most_us = S(4)};

    (void)state;
    assert_int_equal(backoff_wait(&b, 0, false), S(1) / 2);
    assert_int_equal(backoff_wait(&b, 0, false), S(1));
    for (int i = 0; i < 5; i++) backoff_wait(&b, 0, true);
    assert_int_equal(backoff_wait(&b, 0, true), S(4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_to_15_s),
        cmocka_unit_test(to_60_s_where_refused),
        cmocka_unit_test(begins_anew_after_30_s_of_media),
        cmocka_unit_test(the_site_bounds_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
