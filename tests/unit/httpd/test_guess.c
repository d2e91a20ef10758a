/* Guessing is slowed down by source, in bounded memory: R21, F16. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/guess.h"

#define SECOND US_PER_S

static struct addr v4(uint32_t n)
{
    return addr_of_v4((uint8_t[4]){(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

static struct addr parsed(const char *text)
{
    struct addr a;

    assert_true(addr_parse(span_of(text), &a));
    return a;
}

static void three_wrong_ones(void **state)
{
    struct guess *g = guess_new();
    struct addr a = v4(0x0a000001), b = v4(0x0a000002);
    usec_t now = 1000 * SECOND;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_false(guess_failed(g, &a, now));
        assert_false(guess_blocked(g, &a, now));
    }
    assert_true(guess_failed(g, &a, now));
    assert_true(guess_blocked(g, &a, now));
    assert_false(guess_failed(g, &a, now)); /* it is said once */
    assert_true(guess_blocked(g, &a, now));
    now += GUESS_FAIL_US;
    assert_false(guess_blocked(g, &b, now));
    assert_true(guess_blocked(g, &a, now + GUESS_LEAST_US - 1));
    assert_false(guess_blocked(g, &a, now + GUESS_LEAST_US));
    guess_failed(g, &a, now + GUESS_LEAST_US);
    assert_false(guess_blocked(g, &a, now + GUESS_LEAST_US));
    guess_free(g);
}

static void slow_ones_go_free(void **state)
{
    struct guess *g = guess_new();
    struct addr a = v4(7);

    (void)state;
    for (usec_t now = SECOND; now < 1000 * SECOND; now += GUESS_FAIL_US + SECOND) {
        guess_failed(g, &a, now);
        assert_false(guess_blocked(g, &a, now));
    }
    guess_free(g);
}

static void cap(void **state)
{
    struct guess *g = guess_new();
    struct addr a = v4(7);

    (void)state;
    for (int i = 0; i < 10000; i++) guess_failed(g, &a, SECOND);
    assert_true(guess_blocked(g, &a, SECOND + GUESS_MOST_US - 1));
    assert_false(guess_blocked(g, &a, SECOND + GUESS_MOST_US));
    guess_free(g);
}

static void a_prefix_is_one(void **state)
{
    struct guess *g = guess_new();
    struct addr a = parsed("2001:db8:1:2::1"), b = parsed("2001:db8:1:2:ffff::9"),
                c = parsed("2001:db8:1:3::1");

    (void)state;
    for (int i = 0; i < 3; i++) guess_failed(g, i % 2 ? &a : &b, SECOND);
    assert_true(guess_blocked(g, &a, SECOND) && guess_blocked(g, &b, SECOND));
    assert_false(guess_blocked(g, &c, SECOND));
    guess_free(g);
}

/* 10^6 guesses from 70,000 addresses: the table does not grow, a clean address goes free. */
static void many(void **state)
{
    struct guess *g = guess_new();
    struct addr clean = v4(0xc0a80101);
    usec_t now = SECOND;
    size_t blocked = 0, bytes;

    (void)state;
    for (uint32_t i = 0; i < 70000; i++) {
        struct addr a = v4(0x0a000000 + i);

        guess_failed(g, &a, now);
    }
    bytes = guess_bytes(g);
    for (uint32_t i = 0; i < 1000000; i++) {
        struct addr a = v4(0x0a000000 + i % 70000);

        guess_failed(g, &a, now + i / 100);
    }
    now += 10000;
    assert_int_equal(guess_bytes(g), bytes);
    assert_false(guess_blocked(g, &clean, now));
    for (uint32_t i = 0; i < 70000; i++) {
        struct addr a = v4(0x0a000000 + i);

        blocked += guess_blocked(g, &a, now);
    }
    assert_in_range(blocked, 40000, GUESS_SOURCES_MAX);
    guess_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_wrong_ones),
        cmocka_unit_test(slow_ones_go_free),
        cmocka_unit_test(cap),
        cmocka_unit_test(a_prefix_is_one),
        cmocka_unit_test(many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
