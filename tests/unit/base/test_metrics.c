/* common/base/metrics: the text format, its escapes and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/metrics.h"

static struct buf out;
static struct metrics m;

static int up(void **state)
{
    (void)state;
    buf_init(&out, 4096);
    m = (struct metrics){&out, false};
    return 0;
}

static int down(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static void reads(const char *want)
{
    assert_false(m.bad);
    assert_true(buf_put(&out, SPAN_LIT("\0")));
    assert_string_equal((const char *)buf_span(&out).p, want);
    buf_clear(&out);
}

static void test_families_and_numbers(void **state)
{
    const struct metrics_label l[] = {{"stream", "gate"}, {"kind", "x"}};

    (void)state;
    metrics_family(&m, "ms_a_total", METRICS_COUNTER, "What it is.");
    metrics_u64(&m, "ms_a_total", l, 2, UINT64_MAX);
    metrics_i64(&m, "ms_b", l, 1, INT64_MIN);
    metrics_us(&m, "ms_c", NULL, 0, 1500001);
    metrics_us(&m, "ms_c", NULL, 0, -20);
    metrics_us(&m, "ms_c", NULL, 0, INT64_MIN);
    reads("# HELP ms_a_total What it is.\n# TYPE ms_a_total counter\n"
          "ms_a_total{stream=\"gate\",kind=\"x\"} 18446744073709551615\n"
          "ms_b{stream=\"gate\"} -9223372036854775808\nms_c 1.500001\nms_c -0.000020\n"
          "ms_c -9223372036854.775808\n");
}

/* A name that a site chose may hold anything. */
static void test_labels(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"\"a\\b\"", "\\\"a\\\\b\\\""}, {"a\nb", "a\\nb"}, {"\xd0\x94", "\xd0\x94"}, {"\xd0", "?"},
        {"\xc0\x80\xff", "???"}, {"\xe2\x82\xac\xf0\x9f\x93\xb7", "\xe2\x82\xac\xf0\x9f\x93\xb7"},
        {"\x1b[31m", "?[31m"}, {"", ""}};
    char want[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const struct metrics_label l = {"name", rows[i].in};

        metrics_u64(&m, "x", &l, 1, 1);
        snprintf(want, sizeof(want), "x{name=\"%s\"} 1\n", rows[i].out);
        reads(want);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    for (int i = 0; i < 4096; i++) metrics_u64(&m, "x", NULL, 0, 1);
    assert_true(m.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_families_and_numbers, up, down),
        cmocka_unit_test_setup_teardown(test_labels, up, down),
        cmocka_unit_test_setup_teardown(test_no_room, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
