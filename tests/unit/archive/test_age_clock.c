/* The time that ages are counted by: a clock that jumps ahead, one that is behind, restarts, and somebody who
 * says that it is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/age_clock.h"

#define T0   (1700000000 * US_PER_S)
#define B0   (1000 * US_PER_S) /* of the machine */
#define HOUR (3600 * US_PER_S)
#define YEAR (365 * 24 * HOUR)

static void assert_now(
    struct age_clock *c, usec_t wall_us, usec_t boot_us, usec_t want_us, usec_t want_ahead_us)
{
    usec_t ahead_us, now_us = age_clock_now(c, wall_us, boot_us, &ahead_us);

    if (now_us != want_us || ahead_us != want_ahead_us)
        fail_msg("%lld ahead %lld", (long long)(now_us - T0), (long long)ahead_us);
}

static void a_clock_that_goes_is_believed(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    assert_now(&c, T0, B0, T0, 0); /* nothing is known yet */
    age_clock_learn(&c, 0, T0, B0);
    for (int i = 0; i < 1000; i++) assert_now(&c, T0 + i * HOUR, B0 + i * HOUR, T0 + i * HOUR, 0);
}

/* By an hour a day, as bad quartz does not. */
static void one_that_drifts_is_followed(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    age_clock_learn(&c, 0, T0, B0);
    for (int i = 0; i < 1000; i++)
        assert_now(&c, T0 + i * 25 * HOUR, B0 + i * 24 * HOUR, T0 + i * 25 * HOUR, 0);
}

static void a_jump_of_a_year_is_not_believed(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    age_clock_learn(&c, 0, T0, B0);
    assert_now(&c, T0 + YEAR, B0, T0, YEAR);
    assert_now(&c, T0 + YEAR + HOUR, B0 + HOUR, T0 + HOUR, YEAR); /* ages go on */
    assert_now(&c, T0 + 2 * HOUR, B0 + 2 * HOUR, T0 + 2 * HOUR, 0);
    assert_now(&c, T0 + YEAR, B0 + 2 * HOUR, T0 + 2 * HOUR, YEAR - 2 * HOUR);
    age_clock_accept(&c, T0 + YEAR, B0 + 2 * HOUR);
    assert_now(&c, T0 + YEAR + HOUR, B0 + 3 * HOUR, T0 + YEAR + HOUR, 0);
}

static void the_edge(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    age_clock_learn(&c, T0, T0, B0);
    assert_now(&c, T0 + AGE_CLOCK_MOST_US + 1, B0, T0, AGE_CLOCK_MOST_US + 1);
    assert_now(&c, T0 + AGE_CLOCK_MOST_US, B0, T0 + AGE_CLOCK_MOST_US, 0);
}

/* A machine without a battery: 1970 until a time server answers. */
static void one_that_is_behind_is_believed_and_forgotten(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    age_clock_learn(&c, T0, HOUR, B0);
    assert_now(&c, HOUR, B0, HOUR, 0);
    assert_now(&c, T0 + HOUR, B0 + HOUR, T0 + HOUR, 0);
}

/* What stood on the storage, by an earlier life of the machine; and what is known of another storage that was
 * away meanwhile. */
static void what_is_learnt_later_counts_when_it_is_more(void **state)
{
    struct age_clock c = {.begun = false};

    (void)state;
    age_clock_learn(&c, T0, T0 + YEAR, B0);
    assert_now(&c, T0 + YEAR, B0, T0, YEAR);
    age_clock_learn(&c, T0 - YEAR, T0 + YEAR, B0 + HOUR);
    assert_now(&c, T0 + YEAR, B0 + HOUR, T0 + HOUR, YEAR - HOUR);
    age_clock_learn(&c, 0, T0 + YEAR, B0 + HOUR);
    assert_now(&c, T0 + YEAR, B0 + HOUR, T0 + HOUR, YEAR - HOUR);
    age_clock_learn(&c, T0 + YEAR - HOUR, T0 + YEAR, B0 + HOUR);
    assert_now(&c, T0 + YEAR, B0 + HOUR, T0 + YEAR, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_goes_is_believed),
        cmocka_unit_test(one_that_drifts_is_followed),
        cmocka_unit_test(a_jump_of_a_year_is_not_believed),
        cmocka_unit_test(the_edge),
        cmocka_unit_test(one_that_is_behind_is_believed_and_forgotten),
        cmocka_unit_test(what_is_learnt_later_counts_when_it_is_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
