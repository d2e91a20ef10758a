/* httpd/rates: how fast the API may be called, by who calls, in bounded memory. */
#include "httpd/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define PER_S 100
#define T0    (1000 * US_PER_S)

static void a_burst_and_then_the_rate(void **state)
{
    struct rates *r = rates_new();
    usec_t now = T0, wait;
    unsigned n = 0;

    (void)state;
    while (rates_take(r, SPAN_LIT("anna"), PER_S, now) == 0) n++;
    assert_in_range(n, PER_S * RATES_BURST_S - 1, PER_S * RATES_BURST_S);
    wait = rates_take(r, SPAN_LIT("anna"), PER_S, now);
    assert_in_range(wait, 1, US_PER_S / PER_S);
    assert_int_equal(rates_take(r, SPAN_LIT("bert"), PER_S, now), 0); /* each has his own */
    for (n = 0; now < T0 + 60 * US_PER_S; now += US_PER_MS)
        n += rates_take(r, SPAN_LIT("anna"), PER_S, now) == 0;
    assert_in_range(n, 60 * PER_S - 2, 60 * PER_S + 2); /* who is refused pays nothing for it */
    rates_free(r);
}

/* What a panel with many tabs asks, and a site's scripts at the rate, never waits. */
static void the_usual_never_waits(void **state)
{
    struct rates *r = rates_new();
    usec_t now = T0;

    (void)state;
    for (int i = 0; i < 30 * PER_S; i++, now += US_PER_S / PER_S)
        assert_int_equal(rates_take(r, SPAN_LIT("anna"), PER_S, now), 0);
    for (int tab = 0; tab < 40; tab++)
        for (int i = 0; i < 20; i++) assert_int_equal(rates_take(r, SPAN_LIT("tabs"), PER_S, now), 0);
    rates_free(r);
}

static void another_rate_counts_at_once(void **state)
{
    struct rates *r = rates_new();

    (void)state;
    while (rates_take(r, SPAN_LIT("anna"), 1, T0) == 0) continue;
    assert_int_equal(rates_take(r, SPAN_LIT("anna"), 1000, T0 + US_PER_MS), 0); /* and not in a second */
    rates_free(r);
}

static void memory_is_bounded(void **state)
{
    struct rates *r = rates_new();
    char name[32];

    (void)state;
    while (rates_take(r, SPAN_LIT("anna"), 1, T0) == 0) continue;
    for (int i = 0; i < 3 * RATES_MAX; i++) {
        snprintf(name, sizeof(name), "10.%d.%d", i / 256, i % 256);
        assert_int_equal(rates_take(r, span_of(name), 1, T0), 0);
        if (i % 1000 == 0) assert_true(rates_take(r, SPAN_LIT("anna"), 1, T0) > 0); /* who calls is kept */
    }
    assert_int_equal(rates_n(r), RATES_MAX);
    assert_int_equal(rates_take(r, SPAN_LIT("10.0.0"), 1, T0), 0); /* forgotten: full again */
    rates_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(the_usual_never_waits),
        cmocka_unit_test(another_rate_counts_at_once),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
