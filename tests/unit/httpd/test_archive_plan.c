#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/archive_plan.h"
#include "httpd/hls.h"
#include "tests/support/playlist.h"

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
    static const struct plan_span hour = {.from_us = T0, .to_us = T0 + 3600 * US_PER_S};
    struct seg_info *s = segment(id, start_us, flags);
    bool ok = plan_add(p, s, &hour);

    mem_free(s);
    return ok;
}

static unsigned count(const struct text *t, const char *what)
{
    return playlist_count(text_span(t), what);
}

static void write_sorted(struct plan *p, struct text *to)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};

    assert_true(plan_sort(p));
    text_init(to, HLS_VOD_MAX);
    plan_write(p, &vod, to);
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
    static const struct plan_span late = {.from_us = T0 + 5 * US_PER_S, .to_us = T0 + 8 * US_PER_S};
    struct seg_info *s = segment(1, T0, SEG_CONTINUES);
    struct plan p = {0};
    struct text b;

    (void)state;
    assert_true(plan_add(&p, s, &late));
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

static usec_t at(unsigned s)
{
    return T0 + (usec_t)s * US_PER_S;
}

/* What a playlist says, a character a line: 'd' discontinuity, 'm' map, 't' date, '1' to '9' a piece of that
 * segment, 'g' a gap. */
static void shape(const struct text *t, char *dst, size_t cap)
{
    struct span text = text_span(t), line;
    size_t n = 0;
    bool gap = false;

    while (n + 1 < cap && span_split(&text, '\n', &line)) {
        if (span_is(line, "#EXT-X-DISCONTINUITY")) dst[n++] = 'd';
        if (span_starts(line, SPAN_LIT("#EXT-X-MAP:"))) dst[n++] = 'm';
        if (span_starts(line, SPAN_LIT("#EXT-X-PROGRAM-DATE-TIME:"))) dst[n++] = 't';
        gap |= span_is(line, "#EXT-X-GAP");
        if (line.n == 0 || line.p[0] == '#') continue;
        dst[n++] = gap ? 'g' : (char)line.p[5];
        gap = false;
    }
    dst[n] = '\0';
}

static void shaped(struct plan *p, const struct plan_view *v, const char *want)
{
    char got[256];
    struct text b;

    text_init(&b, HLS_VOD_MAX);
    plan_write(p, v, &b);
    shape(&b, got, sizeof(got));
    assert_string_equal(got, want);
    text_done(&b);
}

/* The clock was set back by 12 s in the third segment: both passes are whole, one behind the other, and the
 * border says so; so it does where a fourth follows behind both. */
static void test_clock_that_went_back(void **state)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};
    struct plan p = {0};

    (void)state;
    assert_true(add(&p, 1, at(0), SEG_DISCONT) && add(&p, 2, at(8), 0) && add(&p, 3, at(16), 0));
    assert_true(add(&p, 4, at(12), SEG_DISCONT) && add(&p, 5, at(20), 0) && add(&p, 6, at(28), 0));
    assert_true(plan_sort(&p));
    shaped(&p, &vod, "mt11t22t33dt44t55t66");
    plan_done(&p);
}

static void test_gaps(void **state)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};
    struct plan p = {0};

    (void)state;
    assert_true(add(&p, 1, at(0), 0) && add(&p, 2, at(33), SEG_DISCONT) && add(&p, 3, at(41), SEG_DISCONT));
    assert_true(plan_sort(&p));
    shaped(&p, &vod, "mt11dt22dt33");
    assert_true(plan_fill_gaps(&p));
    shaped(&p, &vod, "mt11tgggdt22dt33");
    assert_int_equal(p.v[4].dur_us, 5 * US_PER_S);
    plan_done(&p);
}

/* Another resolution: another init segment, behind a discontinuity, and back again. */
static void test_tracks_that_change(void **state)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};
    struct plan p = {0};

    (void)state;
    for (unsigned i = 1; i <= 3; i++) assert_true(add(&p, i, at((i - 1) * 8), 0));
    p.s[1].tracks_hash = 77;
    assert_true(plan_sort(&p));
    shaped(&p, &vod, "mt11dmt22dmt33");
    plan_done(&p);
}

/* A playlist that slides loses at the front what it counts, and its init segment keeps its name. */
static void test_sliding(void **state)
{
    struct plan_view v = {.kind = PLAN_SLIDING, .window_us = 20 * US_PER_S};
    struct plan p = {0};
    uint64_t msn = 0;

    (void)state;
    for (unsigned i = 1; i <= 4; i++) assert_true(add(&p, i, at((i - 1) * 8), 0));
    for (unsigned i = 5; i <= 8; i++)
        assert_true(add(&p, i, at((i - 1) * 8 + 100), i == 5 ? SEG_DISCONT : 0));
    assert_true(plan_sort(&p));
    for (unsigned s = 4; s < 164; s++) {
        struct text b;
        struct span text, line;
        uint64_t now = 0;

        v.edge_us = at(s);
        text_init(&b, HLS_VOD_MAX);
        plan_write(&p, &v, &b);
        text = text_span(&b);
        assert_true(span_find_span(text, SPAN_LIT("#EXT-X-MAP:URI=\"dvr-init--1.mp4\"")) > 0);
        assert_true(span_find_span(text, SPAN_LIT("#EXT-X-TARGETDURATION:6\n")) > 0);
        assert_int_equal(count(&b, "#EXT-X-ENDLIST"), 0);
        while (span_split(&text, '\n', &line))
            if (span_starts(line, SPAN_LIT("#EXT-X-MEDIA-SEQUENCE:")))
                assert_true(span_u64(span_from(line, 22), 100, &now));
        assert_true(now >= msn && now - msn <= 1);
        msn = now;
        /* three targets of 6 s stay, as far as there is so much */
        assert_true(count(&b, "#EXTINF") == MIN(s / 4, 5u) || s >= 32);
        assert_int_equal(count(&b, "DISCONTINUITY-SEQUENCE:1\n"), msn > 8);
        text_done(&b);
    }
    assert_true(msn > 8);
    v.ended = true;
    v.edge_us = at(164);
    shaped(&p, &v, "mt6t77t88");
    v.edge_us = at(15);
    shaped(&p, &v, "mt11t2");
    plan_done(&p);
}

/* Of the segment that is written all but its last group is listed; what a hole may still be filled with is
 * waited for. */
static void test_growing(void **state)
{
    static const struct plan_span open = {.from_us = T0, .to_us = T0 + 3600 * US_PER_S, .open = true};
    static const struct plan_view v = {.kind = PLAN_GROWING};
    struct seg_info *s = segment(2, at(8), 0);
    struct plan p = {0};

    (void)state;
    assert_true(add(&p, 1, at(0), 0) && plan_add(&p, s, &open));
    assert_true(plan_sort(&p));
    plan_settle(&p, at(0));
    shaped(&p, &v, "mt11t2");
    plan_done(&p);
    s->start_us += 4 * US_PER_S;
    s->end_us += 4 * US_PER_S;
    assert_true(add(&p, 1, at(0), 0) && plan_add(&p, s, &open));
    assert_true(plan_sort(&p));
    plan_settle(&p, at(0));
    shaped(&p, &v, "mt11");
    mem_free(s);
    plan_done(&p);
}

/* The same segment from two sources, one of which has read more of it. */
static void test_twins(void **state)
{
    static const struct plan_view vod = {.kind = PLAN_VOD};
    static const struct plan_span span = {.from_us = T0, .to_us = T0 + 3600 * US_PER_S};
    struct seg_info *s = segment(1, at(0), 0);
    struct plan p = {0};

    (void)state;
    s->samples = 50;
    s->n_keys = 1;
    assert_true(plan_add(&p, s, &span) && add(&p, 1, at(0), 0) && plan_add(&p, s, &span));
    assert_true(plan_sort(&p));
    shaped(&p, &vod, "mt11");
    mem_free(s);
    plan_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_independent_only_when_true),
        cmocka_unit_test(test_independent_behind_the_first_key),
        cmocka_unit_test(test_storages_join),
        cmocka_unit_test(test_clock_that_went_back),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_tracks_that_change),
        cmocka_unit_test(test_sliding),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_twins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
