/* The decisions, in tables: floors, when deleting begins and ends, what is due, forecasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/retention.h"

#define MB   (1ull << 20)
#define GB   (1ull << 30)
#define TB   (1ull << 40)
#define HOUR (3600 * US_PER_S)
#define NOW  (1700000000 * US_PER_S)

static void floors(void **state)
{
    static const struct {
        struct retention_floor f;
        uint64_t total, rate, want;
    } rows[] = {
        {{.automatic = true}, 100 * 100 * GB, 0, 200 * GB},               /* 2 % */
        {{.automatic = true}, 100 * 100 * GB, 100 * MB, 3600 * 100 * MB}, /* an hour is more */
        {{.automatic = true}, 100 * 100 * GB, GB, 1000 * GB},             /* but never above 10 % */
        {{.automatic = true}, 100 * GB, UINT64_MAX, 10 * GB},             /* nor by a rate that is none */
        {{.automatic = true}, 20 * MB, 0, 8 * MB},                        /* the least there is */
        {{.percent = 5}, 100 * GB, GB, 5 * GB},                           /* as given, whatever comes in */
        {{.bytes = 7 * GB}, 100 * GB, GB, 7 * GB},
        {{.bytes = 7 * GB, .percent = 10}, 100 * GB, 0, 10 * GB},
        {{.bytes = 1}, 100 * GB, 0, 8 * MB},
        {{.percent = 100}, 100 * GB, 0, 100 * GB},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_true(retention_floor_bytes(&rows[i].f, rows[i].total, rows[i].rate) / MB == rows[i].want / MB);
}

/* Deleting begins two minutes of recording, or a quarter, above the floor, and ends higher. */
static void room_is_made_before_it_is_needed(void **state)
{
    static const struct {
        struct retention_room r;
        uint64_t begin, end;
    } rows[] = {
        {{.total = TB, .floor = 20 * GB}, 25 * GB, 27 * GB + GB / 2},
        {{.total = TB, .floor = 20 * GB, .rate = 100 * MB}, 20 * GB + 12000 * MB, 20 * GB + 18000 * MB},
        {{.total = 24 * MB, .floor = 8 * MB}, 10 * MB + 24 * MB / 60, 0}, /* a tenth is less than a quarter */
        {{.total = TB, .floor = 20 * GB, .rate = UINT64_MAX}, 20 * GB + TB / 100 * 10, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct retention_room r = rows[i].r;
        uint64_t begin = retention_begin(&r), end = retention_end(&r);

        assert_true(begin / MB >= rows[i].begin / MB - 1 && begin / MB <= rows[i].begin / MB + 1);
        if (rows[i].end > 0) assert_true(end / MB == rows[i].end / MB);
        assert_true(begin >= r.floor + 2 * MB && end >= begin + MB);
        r.free = begin;
        assert_int_equal(retention_needed(&r), 0);
        r.free = begin - 1;
        assert_true(retention_needed(&r) == end - begin + 1);
        r.leaving = 1; /* on its way out: as good as free */
        assert_int_equal(retention_needed(&r), 0);
        assert_false(retention_urgent(&r));
        r.free = r.floor;
        assert_true(retention_urgent(&r));
    }
    assert_int_equal(retention_needed(&(struct retention_room){.floor = 8 * MB}), 0); /* nothing is known */
}

static void what_is_due(void **state)
{
    static const struct keep_policy day = {.duration_us = 24 * HOUR},
                                    gigabyte = {.duration_us = 24 * HOUR, .capacity_bytes = GB},
                                    percent = {.capacity_percent = 10}, endless = {0};
    static const struct {
        const struct keep_policy *p;
        usec_t age_us;
        uint64_t has;
        enum retention_why want;
    } rows[] = {
        {&day, 24 * HOUR - 1, 5 * GB, RETENTION_KEPT}, {&day, 24 * HOUR, 5 * GB, RETENTION_AGE},
        {&day, -HOUR, 5 * GB, RETENTION_KEPT}, /* the clock was set back */
        {&gigabyte, HOUR, GB, RETENTION_KEPT}, {&gigabyte, HOUR, GB + 1, RETENTION_CAPACITY},
        {&gigabyte, 25 * HOUR, GB + 1, RETENTION_AGE}, {&percent, 9000 * HOUR, TB / 100 * 10, RETENTION_KEPT},
        {&percent, HOUR, TB / 100 * 10 + 1, RETENTION_CAPACITY}, {&endless, 9000 * HOUR, TB, RETENTION_KEPT},
        {NULL, 9000 * HOUR, TB, RETENTION_KEPT}, /* not configured: only the floor takes it */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_int_equal(retention_due(rows[i].p, NOW, NOW - rows[i].age_us, rows[i].has,
                             retention_capacity(rows[i].p, TB)),
            rows[i].want);
}

static void forecasts(void **state)
{
    const struct retention_room r = {.total = TB, .free = 125 * GB, .floor = 20 * GB};
    struct retention_sum s = {0};
    struct retention_stream st = {.oldest_us = NOW - 10 * HOUR, .rate = GB / 3600, .duration_us = 20 * HOUR};
    struct retention_forecast f;

    (void)state;
    retention_sum_add(&s, &st, 10 * GB, NOW);
    f = retention_forecast(&s, &r, NOW);
    assert_int_equal(f.full_us, 0); /* 20 GB are wanted, and fit */
    assert_true(f.keeps_us / HOUR == 110);
    assert_true(f.spare / GB == 90); /* 20 GB are to stay of the 110 that fit */
    st.duration_us = 0;
    st.oldest_us = NOW - 30 * HOUR;
    retention_sum_add(&s, &st, 30 * GB, NOW);
    f = retention_forecast(&s, &r, NOW);
    assert_true((f.full_us - NOW) / HOUR == 50); /* 100 GB at 2 GB an hour */
    assert_true(f.keeps_us / HOUR == 70);
    assert_true(s.oldest_us == NOW - 30 * HOUR);
    assert_true(f.spare / GB == 119); /* the other's footage may go, but for an hour of it */
    s.kept = 200 * GB;
    assert_int_equal(retention_forecast(&s, &r, NOW).spare, 0);
    s = (struct retention_sum){0};
    f = retention_forecast(&s, &r, NOW);
    assert_true(f.full_us == 0 && f.keeps_us == 0); /* nothing comes in */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floors),
        cmocka_unit_test(room_is_made_before_it_is_needed),
        cmocka_unit_test(what_is_due),
        cmocka_unit_test(forecasts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
