/* worker/rec_policy: which stretches of time events, schedules and orders make. Times in seconds. */
#include "worker/rec_policy.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define NONE -1

struct act {
    enum { EVENT, ORDER_, EXPIRE } what;
    uint64_t id;
    int64_t from, to, now;
};

static usec_t us(int64_t s)
{
    return s == INT64_MAX ? REC_OPEN : s * US_PER_S;
}

static void act(struct rec_policy *p, const struct act *a)
{
    if (a->what == EVENT) rec_policy_event(p, a->id, us(a->from), us(a->to), us(a->now));
    if (a->what == ORDER_) rec_policy_order(p, us(a->from), us(a->to), us(a->now));
    if (a->what == EXPIRE) rec_policy_expire(p, us(a->now));
}

static void test_stretches(void **state)
{
    static const struct {
        const char *what;
        struct act acts[4];
        unsigned n;
        int64_t at, from, to;
    } rows[] = {
        {"nothing", {{0}}, 0, 0, NONE, 0},
        {"one, asked before it", {{EVENT, 1, 100, 140, 110}}, 1, 0, 100, 140},
        {"asked in it", {{EVENT, 1, 100, 140, 110}}, 1, 139, 100, 140},
        {"asked at its end", {{EVENT, 1, 100, 140, 110}}, 1, 140, NONE, 0},
        {"two that overlap are one", {{EVENT, 1, 100, 140, 110}, {EVENT, 2, 130, 170, 140}}, 2, 0, 100, 170},
        {"two that touch are one", {{EVENT, 1, 100, 140, 110}, {EVENT, 2, 140, 170, 150}}, 2, 0, 100, 170},
        {"a gap parts them", {{EVENT, 1, 100, 140, 110}, {EVENT, 2, 141, 170, 150}}, 2, 0, 100, 140},
        {"and the second comes behind", {{EVENT, 1, 100, 140, 110}, {EVENT, 2, 141, 170, 150}}, 2, 140, 141,
            170},
        {"in any order, over a third",
            {{EVENT, 2, 160, 190, 1}, {EVENT, 1, 100, 140, 1}, {EVENT, 3, 130, 165, 1}}, 3, 0, 100, 190},
        {"no end yet", {{EVENT, 1, 100, INT64_MAX, 110}}, 1, 99999, 100, INT64_MAX},
        {"the end comes", {{EVENT, 1, 100, INT64_MAX, 110}, {EVENT, 1, 100, 150, 120}}, 2, 0, 100, 150},
        {"an end before the beginning", {{EVENT, 1, 100, 90, 110}}, 1, 0, NONE, 0},
        {"an order", {{ORDER_, 0, 100, 200, 100}}, 1, 0, 100, 200},
        {"is taken back: up to now", {{ORDER_, 0, 100, 200, 100}, {ORDER_, 0, 0, 0, 150}}, 2, 0, 100, 150},
        {"is taken back before it begins", {{ORDER_, 0, 100, 200, 90}, {ORDER_, 0, 0, 0, 95}}, 2, 0, NONE, 0},
        {"is made longer", {{ORDER_, 0, 100, 200, 100}, {ORDER_, 0, 100, 300, 150}}, 2, 0, 100, 300},
        {"the next window", {{ORDER_, 0, 100, 200, 100}, {ORDER_, 0, 300, 400, 205}}, 2, 200, 300, 400},
        {"the last one is not forgotten", {{ORDER_, 0, 100, 200, 100}, {ORDER_, 0, 300, 400, 205}}, 2, 0, 100,
            200},
        {"forgotten a minute behind its end", {{EVENT, 1, 100, 140, 110}, {EXPIRE, 0, 0, 0, 200}}, 2, 0, NONE,
            0},
        {"not sooner", {{EVENT, 1, 100, 140, 110}, {EXPIRE, 0, 0, 0, 199}}, 2, 0, 100, 140},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct rec_policy *p = NEW(struct rec_policy);
        usec_t from_us = 0, to_us = 0;
        bool any;

        for (unsigned k = 0; k < rows[i].n; k++) act(p, &rows[i].acts[k]);
        any = rec_policy_stretch(p, us(rows[i].at), &from_us, &to_us);
        if (any != (rows[i].from != NONE) ||
            (any && (from_us != us(rows[i].from) || to_us != us(rows[i].to))))
            fail_msg("%s: %d %lld %lld", rows[i].what, any, (long long)from_us, (long long)to_us);
        mem_free(p);
    }
}

static void test_wants(void **state)
{
    struct rec_policy p = {.all = true};

    (void)state;
    assert_true(rec_policy_wants(&p, 5));
    p.all = false;
    assert_false(rec_policy_wants(&p, 5));
    rec_policy_event(&p, 7, 10, 20, 0);
    assert_false(rec_policy_wants(&p, 9));
    assert_true(rec_policy_wants(&p, 10));
    assert_true(rec_policy_wants(&p, 19));
    assert_false(rec_policy_wants(&p, 20));
}

/* One more than there is room for: the nearest two are one, nothing that was wanted is lost. */
static void test_full(void **state)
{
    struct rec_policy p = {.n = 0};

    (void)state;
    for (int64_t i = 0; i < REC_WINDOWS_MAX; i++)
        rec_policy_event(
            &p, (uint64_t)i + 1, us(1000 + i * 100), us(1010 + i * 100 + (i == 5 ? 50 : 0)), us(1000));
    assert_int_equal(p.n, REC_WINDOWS_MAX);
    rec_policy_event(&p, 99, us(9000), us(9010), us(1000));
    assert_int_equal(p.n, REC_WINDOWS_MAX);
    assert_true(rec_policy_wants(&p, us(9005)));
    for (int64_t i = 0; i < REC_WINDOWS_MAX; i++) assert_true(rec_policy_wants(&p, us(1005 + i * 100)));
    assert_true(rec_policy_wants(&p, us(1580))); /* between the fifth and the sixth */
    assert_false(rec_policy_wants(&p, us(1680)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stretches), cmocka_unit_test(test_wants), cmocka_unit_test(test_full)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
