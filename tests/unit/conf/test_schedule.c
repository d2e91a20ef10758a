/* common/conf/schedule: reading, windows over midnight, days on which clocks change. */
#include "common/conf/schedule.h"
#include "common/conf/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Berlin's rule of today, without the machine's tables. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void zone(const char *tz)
{
    assert_int_equal(setenv("TZ", tz, 1), 0);
    tzset();
}

static int64_t utc(const char *text)
{
    int64_t s;

    assert_true(value_time(span_of(text), &s));
    return s;
}

static void test_reads(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {{"mon", "days and times"}, {"funday 08:00-10:00", "a day is"},
        {"mon- 08:00-10:00", "a day is"}, {"mon 8:00-10:00", "HH:MM"}, {"mon 08:00", "HH:MM"},
        {"mon 08:00-24:01", "HH:MM"}, {"mon 08:60-10:00", "HH:MM"}, {"mon 24:00-10:00", "HH:MM"},
        {"mon 08:00-08:00", "ends when it begins"}};
    struct conf_schedule s;
    const char *why;
    struct span at;

    (void)state;
    assert_true(
        schedule_parse(span_of("mon-fri 08:00-18:00, sat+wed 22:00-06:00,daily 00:00-24:00"), &s, &why, &at));
    assert_int_equal(s.n, 3);
    assert_true(s.v[0].days == 0x1f && s.v[0].from_min == 480 && s.v[0].to_min == 1080);
    assert_true(s.v[1].days == 0x24 && s.v[1].from_min == 1320 && s.v[1].to_min == 360);
    assert_true(s.v[2].days == 0x7f && s.v[2].to_min == 1440);
    assert_true(schedule_parse(span_of("FRI-Mon 01:00-02:00"), &s, &why, &at) && s.v[0].days == 0x71);
    assert_true(schedule_parse(span_of(""), &s, &why, &at) && s.n == 0);
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        if (schedule_parse(span_of(bad[i].text), &s, &why, &at)) fail_msg("%s", bad[i].text);
        if (!strstr(why, bad[i].why)) fail_msg("%s: %s", bad[i].text, why);
    }
}

static void test_windows_max(void **state)
{
    char text[34 * 20] = "";
    struct conf_schedule s;
    const char *why;
    struct span at;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < SCHEDULE_WINDOWS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%smon 00:%02d-00:%02d", i ? ", " : "", i, i + 1);
    assert_true(schedule_parse(span_of(text), &s, &why, &at) && s.n == SCHEDULE_WINDOWS_MAX);
    snprintf(text + n, sizeof(text) - n, ", tue 00:00-01:00");
    assert_false(schedule_parse(span_of(text), &s, &why, &at));
}

static void test_times(void **state)
{
    static const struct {
        const char *tz, *schedule, *now, *from, *to;
    } rows[] = {
        /* 2026-03-02 is a Monday */
        {"UTC0", "mon-fri 08:00-18:00", "2026-03-02T07:00:00Z", "2026-03-02T08:00:00Z",
            "2026-03-02T18:00:00Z"},
        {"UTC0", "mon-fri 08:00-18:00", "2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z",
            "2026-03-02T18:00:00Z"},
        {"UTC0", "mon-fri 08:00-18:00", "2026-03-02T18:00:00Z", "2026-03-03T08:00:00Z",
            "2026-03-03T18:00:00Z"},
        {"UTC0", "mon-fri 08:00-18:00", "2026-03-06T18:00:00Z", "2026-03-09T08:00:00Z",
            "2026-03-09T18:00:00Z"},
        {BERLIN, "mon 08:00-18:00", "2026-03-02T06:00:00Z", "2026-03-02T07:00:00Z", "2026-03-02T17:00:00Z"},
        /* over midnight, asked behind it; Sunday's into Monday */
        {"UTC0", "sun 22:00-06:00", "2026-03-02T05:00:00Z", "2026-03-01T22:00:00Z", "2026-03-02T06:00:00Z"},
        {"UTC0", "sun 22:00-06:00", "2026-03-02T06:00:00Z", "2026-03-08T22:00:00Z", "2026-03-09T06:00:00Z"},
        /* windows that touch and overlap are one */
        {"UTC0", "mon 08:00-24:00, tue 00:00-09:00, tue 08:30-10:00", "2026-03-02T09:00:00Z",
            "2026-03-02T08:00:00Z", "2026-03-03T10:00:00Z"},
        {"UTC0", "daily 00:00-24:00", "2026-03-02T09:00:00Z", "2026-03-02T00:00:00Z", "2026-03-10T00:00:00Z"},
        /* the night of 2026-03-29: 02:00 to 03:00 is not there, a window over it is an hour shorter */
        {BERLIN, "sun 01:00-04:00", "2026-03-29T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"},
        /* edges in the hour that is not there: the longer reading */
        {BERLIN, "sun 02:30-04:00", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T02:00:00Z"},
        {BERLIN, "sun 01:00-02:30", "2026-03-29T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"},
        /* the night of 2026-10-25: 02:00 to 03:00 is there twice, from the first to the second */
        {BERLIN, "sun 02:15-02:45", "2026-10-25T00:00:00Z", "2026-10-25T00:15:00Z", "2026-10-25T01:45:00Z"},
        {BERLIN, "sat 22:00-06:00", "2026-10-25T03:00:00Z", "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"},
        {BERLIN, "daily 08:00-18:00", "2026-10-25T16:30:00Z", "2026-10-25T07:00:00Z", "2026-10-25T17:00:00Z"},
        /* south of the equator, by half an hour */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "daily 08:00-09:00", "2026-07-01T00:00:00Z",
            "2026-07-01T21:30:00Z", "2026-07-01T22:30:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct conf_schedule s;
        const char *why;
        struct span at;
        int64_t from, to;

        zone(rows[i].tz);
        assert_true(schedule_parse(span_of(rows[i].schedule), &s, &why, &at));
        assert_true(schedule_at(&s, utc(rows[i].now), &from, &to));
        if (from != utc(rows[i].from) || to != utc(rows[i].to))
            fail_msg("row %zu: from %+lld to %+lld", i, (long long)(from - utc(rows[i].from)),
                (long long)(to - utc(rows[i].to)));
    }
}

static void test_none(void **state)
{
    struct conf_schedule s = {.n = 0};
    int64_t from, to;

    (void)state;
    zone("UTC0");
    assert_false(schedule_at(&s, utc("2026-03-02"), &from, &to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads), cmocka_unit_test(test_windows_max),
        cmocka_unit_test(test_times), cmocka_unit_test(test_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
