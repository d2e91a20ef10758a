/* master/throttle, reliability.md "Restarts". */
#include "master/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MIN_US (60 * US_PER_S)

static void at_once_when_it_had_worked(void **state)
{
    struct throttle t = {0};
    usec_t now_us = 1000 * US_PER_S;

    (void)state;
    for (int i = 0; i < 20; i++, now_us += 20 * US_PER_S)
        assert_int_equal(throttle_died(&t, now_us, 19 * US_PER_S, true, DEATH_SIGNAL), 0);
    assert_false(t.quarantined);
}

static void doubles_to_a_minute(void **state)
{
    static const usec_t want_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct throttle t = {0};
    usec_t now_us = 1000 * US_PER_S;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(want_ms); i++) {
        assert_int_equal(throttle_died(&t, now_us, US_PER_MS, false, DEATH_EXIT), want_ms[i] * US_PER_MS);
        now_us += want_ms[i] * US_PER_MS;
    }
    /* work, or a minute of health, and it begins anew */
    assert_int_equal(throttle_died(&t, now_us, US_PER_S, true, DEATH_EXIT), 0);
    assert_int_equal(throttle_died(&t, now_us, US_PER_S, false, DEATH_EXIT), THROTTLE_FIRST_US);
    assert_int_equal(throttle_died(&t, now_us, US_PER_S, false, DEATH_EXIT), 2 * THROTTLE_FIRST_US);
    assert_int_equal(throttle_died(&t, now_us, MIN_US - 1, false, DEATH_EXIT), 4 * THROTTLE_FIRST_US);
    assert_int_equal(throttle_died(&t, now_us, MIN_US, false, DEATH_EXIT), THROTTLE_FIRST_US);
}

static void at_most_twelve_in_five_minutes(void **state)
{
    struct throttle t = {0};
    usec_t now_us = 0;
    int births = 0;

    (void)state;
    while (now_us < 5 * MIN_US) {
        births++;
        now_us += throttle_died(&t, now_us, US_PER_MS, false, DEATH_SIGNAL) * 8 / 10;
    }
    assert_true(births <= 12);
}

static void five_crashes_in_a_minute_quarantine(void **state)
{
    struct throttle t = {0};
    usec_t now_us = 1000 * US_PER_S;

    (void)state;
    for (int i = 0; i < THROTTLE_CRASHES - 1; i++, now_us += 10 * US_PER_S)
        assert_int_equal(throttle_died(&t, now_us, 5 * US_PER_S, true, DEATH_SIGNAL), 0);
    assert_false(t.quarantined);
    assert_int_equal(throttle_died(&t, now_us, 5 * US_PER_S, true, DEATH_SIGNAL), THROTTLE_MOST_US);
    assert_true(t.quarantined);
    now_us += THROTTLE_MOST_US;
    /* still sick, whatever it did meanwhile */
    assert_int_equal(throttle_died(&t, now_us, 5 * US_PER_S, true, DEATH_EXIT), THROTTLE_MOST_US);
    throttle_lives(&t, THROTTLE_HEALTHY_US - 1);
    assert_true(t.quarantined);
    throttle_lives(&t, THROTTLE_HEALTHY_US);
    assert_false(t.quarantined);
    assert_int_equal(throttle_died(&t, now_us, 5 * US_PER_S, true, DEATH_SIGNAL), 0);
}

static void slow_crashes_and_hangs_do_not(void **state)
{
    struct throttle t = {0};
    usec_t now_us = 1000 * US_PER_S;

    (void)state;
    for (int i = 0; i < 20; i++, now_us += 16 * US_PER_S)
        assert_int_equal(throttle_died(&t, now_us, 15 * US_PER_S, true, DEATH_SIGNAL), 0);
    for (int i = 0; i < 20; i++, now_us += US_PER_S)
        assert_int_equal(throttle_died(&t, now_us, US_PER_S, true, DEATH_HANG), 0);
    assert_false(t.quarantined);
}

static void refused_configuration_waits(void **state)
{
    struct throttle t = {0};

    (void)state;
    assert_int_equal(throttle_died(&t, US_PER_S, US_PER_S, true, DEATH_CONFIG), THROTTLE_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_when_it_had_worked),
        cmocka_unit_test(doubles_to_a_minute),
        cmocka_unit_test(at_most_twelve_in_five_minutes),
        cmocka_unit_test(five_crashes_in_a_minute_quarantine),
        cmocka_unit_test(slow_crashes_and_hangs_do_not),
        cmocka_unit_test(refused_configuration_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
