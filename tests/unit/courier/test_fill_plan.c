/* courier/fill_plan: what is missing of what another node has. */
#include "courier/fill_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define S    US_PER_S
#define MOST 16

/* "0-10 20-30", seconds. */
static struct fill_spans spans(const char *text)
{
    struct fill_spans s = {.n = 0};
    struct span rest = span_of(text), word, from;
    uint64_t a, b;

    while (span_split(&rest, ' ', &word)) {
        if (!span_split(&word, '-', &from)) continue;
        if (span_u64(from, UINT32_MAX, &a) && span_u64(word, UINT32_MAX, &b))
            fill_spans_add(&s, (usec_t)a * S, (usec_t)b * S);
    }
    fill_spans_settle(&s);
    return s;
}

static void gaps_with(const char *ours, const char *theirs, size_t max, const char *want)
{
    struct fill_spans a = spans(ours), b = spans(theirs);
    struct index_range out[MOST];
    size_t n = fill_gaps(&a, &b, out, max), at = 0;
    char text[256] = "";

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lld-%lld", i ? " " : "",
            (long long)(out[i].start_us / S), (long long)(out[i].end_us / S));
    assert_string_equal(text, want);
    fill_spans_done(&a);
    fill_spans_done(&b);
}

static void gaps(const char *ours, const char *theirs, const char *want)
{
    gaps_with(ours, theirs, MOST, want);
}

static void settled(void **state)
{
    struct fill_spans s = spans("20-30 0-10 10-15 25-40 5-5");

    (void)state;
    assert_int_equal(s.n, 2);
    assert_int_equal(s.v[0].end_us, 15 * S);
    assert_int_equal(s.v[1].end_us, 40 * S);
    fill_spans_done(&s);
    fill_spans_done(&s);
}

static void what_is_missing(void **state)
{
    (void)state;
    gaps("", "", "");
    gaps("0-100", "", "");
    gaps("", "10-20", "10-20");
    gaps("0-100", "10-20", "");
    gaps("10-20", "10-20", "");
    gaps("0-10 50-100", "5-60", "10-50");
    gaps("10-20 30-40", "0-50", "40-50 20-30 0-10");
    gaps("10-20", "0-5 30-40 60-70", "60-70 30-40 0-5");
    gaps("0-15 20-100", "10-12 14-22", "15-20");
}

static void the_newest_first_and_no_more(void **state)
{
    (void)state;
    gaps_with("10-20 30-40", "0-50 60-70", 2, "60-70 40-50");
    gaps_with("10-20 30-40", "0-50 60-70", 0, "");
}

/* Ends that touch are not told apart by less than a second. */
static void a_little_is_nothing(void **state)
{
    struct fill_spans a = {.n = 0}, b = {.n = 0};
    struct index_range out[MOST];

    (void)state;
    fill_spans_add(&a, 0, 10 * S);
    fill_spans_add(&b, 0, 10 * S + FILL_SLACK_US - 1);
    assert_int_equal(fill_gaps(&a, &b, out, MOST), 0);
    b.v[0].end_us++;
    assert_int_equal(fill_gaps(&a, &b, out, MOST), 1);
    fill_spans_done(&a);
    fill_spans_done(&b);
}

static void wanted(void **state)
{
    const struct index_range gap = {10 * S, 20 * S};

    (void)state;
    assert_true(fill_wanted(&gap, 10 * S, 20 * S));
    assert_true(fill_wanted(&gap, 0, 11 * S));
    assert_true(fill_wanted(&gap, 12 * S, 12 * S + S / 10));
    assert_false(fill_wanted(&gap, 0, 10 * S));
    assert_true(
        fill_wanted(&gap, 0, 10 * S + FILL_FRAME_US)); /* what one node gave up and the other one began */
    assert_false(fill_wanted(&gap, 0, 10 * S + FILL_FRAME_US - 1));
    assert_false(fill_wanted(&gap, 20 * S, 30 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(the_newest_first_and_no_more),
        cmocka_unit_test(a_little_is_nothing),
        cmocka_unit_test(wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
