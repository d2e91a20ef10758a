#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/archive_plan.h"
#include "httpd/hls.h"

#define T0 (1700000000 * US_PER_S)

/* A segment of 8 s with a key frame each 4 s. */
static struct seg_info *segment(uint64_t id, usec_t start_us, uint32_t flags)
{
    struct seg_info *s = NEW(struct seg_info);

    s->id = id;
    s->start_us = start_us;
    s->end_us = start_us + 8 * US_PER_S;
    s->bytes = 2000000;
    s->samples = 200;
    s->flags = flags;
    s->keys[1] = (struct seg_key){4000, 100};
    s->n_keys = 2;
    return s;
}

static bool add(struct plan *p, uint64_t id, usec_t start_us, uint32_t flags)
{
    struct seg_info *s = segment(id, start_us, flags);
    bool ok = plan_add(p, s, 0, T0, T0 + 3600 * US_PER_S);

    mem_free(s);
    return ok;
}

static unsigned count(const struct text *t, const char *what)
{
    struct span text = text_span(t);
    unsigned n = 0;
    ssize_t at;

    while ((at = span_find_span(text, span_of(what))) >= 0) {
        n++;
        text = span_from(text, (size_t)at + strlen(what));
    }
    return n;
}

static void write_sorted(struct plan *p, struct text *to)
{
    plan_sort(p);
    text_init(to, HLS_VOD_MAX);
    plan_write(p, to);
    assert_true(text_ok(to));
}

/* RFC 8216, 4.3.5.1: said of the whole playlist, so it must be true of every segment. */
static void test_independent_only_when_true(void **state)
{
    struct plan p = {0};
    struct text b;

    (void)state;
    assert_true(add(&p, 1, T0, 0) && add(&p, 2, T0 + 8 * US_PER_S, 0));
    write_sorted(&p, &b);
    assert_int_equal(count(&b, "#EXT-X-INDEPENDENT-SEGMENTS\n"), 1);
    text_done(&b);
    assert_true(add(&p, 3, T0 + 16 * US_PER_S, SEG_CONTINUES));
    write_sorted(&p, &b);
    assert_int_equal(count(&b, "#EXTINF"), 6);
    assert_int_equal(count(&b, "#EXT-X-INDEPENDENT-SEGMENTS"), 0);
    text_done(&b);
    plan_done(&p);
}

/* Only the piece that begins inside a GOP counts. */
static void test_independent_behind_the_first_key(void **state)
{
    struct seg_info *s = segment(1, T0, SEG_CONTINUES);
    struct plan p = {0};
    struct text b;

    (void)state;
    assert_true(plan_add(&p, s, 0, T0 + 5 * US_PER_S, T0 + 8 * US_PER_S));
    write_sorted(&p, &b);
    assert_int_equal(count(&b, "#EXTINF"), 1);
    assert_int_equal(count(&b, "#EXT-X-INDEPENDENT-SEGMENTS\n"), 1);
    text_done(&b);
    plan_done(&p);
    mem_free(s);
}

/* Two storages, each with a part of the time, become one playlist; what both list stands in it once. */
static void test_storages_join(void **state)
{
    struct plan all = {0}, a = {0}, b = {0};
    struct text text;

    (void)state;
    assert_true(add(&a, 1, T0, 0) && add(&a, 3, T0 + 16 * US_PER_S, 0));
    assert_true(add(&b, 2, T0 + 8 * US_PER_S, 0) && add(&b, 3, T0 + 16 * US_PER_S, 0));
    assert_true(plan_take(&all, &a) && plan_take(&all, &b));
    assert_null(a.v);
    assert_int_equal(all.bytes, 4 * 2000000);
    write_sorted(&all, &text);
    assert_int_equal(count(&text, "#EXTINF:4.000000"), 6);
    assert_int_equal(count(&text, "#EXT-X-DISCONTINUITY"), 0);
    text_done(&text);
    plan_done(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_independent_only_when_true),
        cmocka_unit_test(test_independent_behind_the_first_key),
        cmocka_unit_test(test_storages_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
