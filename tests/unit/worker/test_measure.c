#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "worker/measure.h"
#include "worker/watch.h"

#define RING_MAX (32u << 20)

/* A GOP of n frames; the first one is `key` bytes, the others `other`. */
static usec_t gop(struct measure *m, unsigned n, size_t key, size_t other, usec_t wall_us)
{
    for (unsigned i = 0; i < n; i++, wall_us += 40 * US_PER_MS)
        measure_frame(m, i == 0, true, i == 0 ? key : other, wall_us);
    return wall_us;
}

static void two_gops_of_2_mbit_fit_the_least_ring(void **state)
{
    struct measure m = {0};
    usec_t at_us = US_PER_S;

    (void)state;
    for (int i = 0; i < 10; i++) at_us = gop(&m, 50, 100000, 8160, at_us);
    assert_int_equal(measure_geom(&m, 0, RING_MAX).data_bytes, RING_DATA_MIN);
    assert_int_equal(measure_geom(&m, 0, RING_MAX).frames, 512);
    assert_false(measure_outgrown(&m, (struct ring_geom){RING_DATA_MIN, 512}, 0, RING_MAX));
    assert_int_equal(m.done_frames, 50);
    assert_int_equal(m.done_ms, 2000);
    assert_in_range(m.bitrate, 1900000, 2100000);
}

static void footage_before_an_event(void **state)
{
    struct measure m = {0};
    usec_t at_us = US_PER_S;

    (void)state;
    for (int i = 0; i < 10; i++) at_us = gop(&m, 50, 100000, 8160, at_us);
    assert_int_equal(measure_geom(&m, 10 * US_PER_S, RING_MAX).data_bytes, 4u << 20);
    assert_true(measure_outgrown(&m, (struct ring_geom){RING_DATA_MIN, 512}, 10 * US_PER_S, RING_MAX));
    /* 25 frames a second for a minute, the GOP before it and the margin: bytes alone would fit into less. */
    assert_int_equal(m.frames_s, 26);
    assert_int_equal(measure_geom(&m, 60 * US_PER_S, RING_MAX).frames, 2048);
}

static void four_of_the_largest_frames(void **state)
{
    struct measure m = {0};

    (void)state;
    gop(&m, 10, 200000, 1000, US_PER_S);
    assert_int_equal(measure_geom(&m, 0, RING_MAX).data_bytes, RING_DATA_MIN);
    measure_large(&m, 600000);
    assert_int_equal(measure_geom(&m, 0, RING_MAX).data_bytes, 4u << 20);
    measure_large(&m, 100u << 20);
    assert_int_equal(measure_geom(&m, 0, RING_MAX).data_bytes, RING_MAX);
}

/* K14: a GOP of minutes makes the ring grow as it comes, up to the site's limit. */
static void long_gops_grow_to_the_limit(void **state)
{
    struct measure m = {0};
    struct ring_geom g = {RING_DATA_MIN, 512};
    unsigned grown = 0;

    (void)state;
    measure_frame(&m, true, true, 100000, US_PER_S);
    for (int i = 1; i < 100000; i++) {
        measure_frame(&m, false, true, 10000, US_PER_S + i * 40 * US_PER_MS);
        if (!measure_outgrown(&m, g, 0, RING_MAX)) continue;
        g = measure_geom(&m, 0, RING_MAX);
        grown++;
    }
    assert_int_equal(g.data_bytes, RING_MAX);
    assert_int_equal(g.frames, 65536);
    assert_true(grown <= 12);
}

/* The only key frame of a long GOP is what previews and viewers begin with. */
static void grows_before_the_key_frame_is_overwritten(void **state)
{
    struct measure many = {0}, large = {0};
    struct ring_geom g = {RING_DATA_MIN, 512};
    uint64_t bytes = 0;
    unsigned n = 0;

    (void)state;
    for (; !measure_outgrown(&many, g, 0, RING_MAX); n++) measure_frame(&many, n == 0, true, 100, US_PER_S);
    assert_in_range(n, 400, 500);
    for (n = 0; !measure_outgrown(&large, g, 0, RING_MAX); n++, bytes += 10000)
        measure_frame(&large, n == 0, true, 10000, US_PER_S);
    assert_in_range(bytes, RING_DATA_MIN * 3 / 4, RING_DATA_MIN - 20000);
}

static void a_break_is_no_gop(void **state)
{
    struct measure m = {0};

    (void)state;
    gop(&m, 25, 1000, 1000, US_PER_S);
    measure_break(&m);
    gop(&m, 50, 1000, 1000, 100 * US_PER_S);
    assert_int_equal(m.done_ms, 0);
    measure_frame(&m, true, true, 1000, 102 * US_PER_S);
    assert_int_equal(m.done_ms, 2000);
    assert_int_equal(m.done_frames, 50);
}

static void silence_is_three_times_the_longest_gap(void **state)
{
    struct watch w = {0};

    (void)state;
    assert_int_equal(watch_due_us(&w), 0);
    watch_start(&w, US_PER_S);
    assert_int_equal(watch_due_us(&w), 11 * US_PER_S);
    watch_seen(&w, 6 * US_PER_S);
    assert_int_equal(watch_due_us(&w), 21 * US_PER_S); /* 3 x 5 s */
    watch_seen(&w, 36 * US_PER_S);                     /* was silence, not a habit */
    assert_int_equal(watch_due_us(&w), 51 * US_PER_S);
    watch_seen(&w, 50 * US_PER_S);
    watch_seen(&w, 80 * US_PER_S);
    assert_int_equal(watch_due_us(&w) - 80 * US_PER_S, WATCH_MOST_US);
    watch_stop(&w);
    assert_int_equal(watch_due_us(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_gops_of_2_mbit_fit_the_least_ring),
        cmocka_unit_test(footage_before_an_event),
        cmocka_unit_test(four_of_the_largest_frames),
        cmocka_unit_test(long_gops_grow_to_the_limit),
        cmocka_unit_test(grows_before_the_key_frame_is_overwritten),
        cmocka_unit_test(a_break_is_no_gop),
        cmocka_unit_test(silence_is_three_times_the_longest_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
