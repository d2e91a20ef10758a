#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/timeline.h"

#define WALL0 (1700000000 * US_PER_S)
#define MONO0 (5000 * US_PER_S)

/* A stream under test: feeds units at given times of arrival and checks what always holds. */
struct bed {
    struct timeline *t;
    struct timeline_out out, before[TRACK_MAX];
    bool any[TRACK_MAX];
    usec_t wall_error; /* of our own clock */
};

static struct bed bed(void)
{
    struct bed b = {.t = timeline_new()};

    timeline_track(b.t, 0, TRACK_VIDEO, 90000);
    timeline_track(b.t, 1, TRACK_AUDIO, 8000);
    return b;
}

static struct timeline_out unit(struct bed *b, struct timeline_in in, usec_t at_us)
{
    unsigned k = in.track;

    in.mono_us = MONO0 + at_us;
    in.wall_us = WALL0 + at_us + b->wall_error;
    timeline_unit(b->t, &in, &b->out);
    if (b->any[k]) assert_true(b->out.dts > b->before[k].dts);
    b->any[k] = true;
    b->before[k] = b->out;
    return b->out;
}

static struct timeline_out video(struct bed *b, uint32_t ts, usec_t at_us)
{
    return unit(b, (struct timeline_in){.timestamp = ts}, at_us);
}

static struct timeline_out audio(struct bed *b, uint32_t ts, uint32_t dur, usec_t at_us)
{
    return unit(b, (struct timeline_in){.track = 1, .timestamp = ts, .dur = dur}, at_us);
}

static const struct timeline_counters *counters(const struct bed *b)
{
    return timeline_counters(b->t);
}

/* 25 frames a second, 40 ms apart, from ts on; returns the next timestamp. */
static uint32_t play(struct bed *b, uint32_t ts, unsigned n, usec_t *at)
{
    for (unsigned i = 0; i < n; i++, ts += 3600, *at += 40000) video(b, ts, *at);
    return ts;
}

static void test_anchor(void **state)
{
    struct bed b = bed();
    usec_t at = 0;

    (void)state;
    video(&b, 123456, at);
    assert_int_equal(b.out.dts, WALL0 / 100 * 9);
    assert_int_equal(b.out.cts, 0);
    assert_int_equal(b.out.wall_us, WALL0);
    assert_int_equal(b.out.flags, 0);
    at = 40000;
    play(&b, 123456 + 3600, 100, &at);
    assert_int_equal(b.out.dts, WALL0 / 100 * 9 + 100 * 3600);
    assert_int_equal(b.out.wall_us, WALL0 + 100 * 40000);
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* T1: the timestamp wraps. */
static void test_t1_wrap(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    int64_t first;

    (void)state;
    first = video(&b, UINT32_MAX - 3600 * 10, at).dts;
    at = 40000;
    play(&b, UINT32_MAX - 3600 * 9, 50, &at);
    assert_int_equal(b.out.dts - first, 50 * 3600);
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* T5: single frames far off are stamped behind the last one; the others keep their time. */
static void test_t5_strays(void **state)
{
    static const int32_t off_s[] = {-9800, 37600, 6, -6, -2};
    struct bed b = bed();
    usec_t at = 0;
    uint32_t ts = 1000;
    int64_t first;

    (void)state;
    first = video(&b, ts, at).dts;
    for (int i = 1; i < 500; i++) {
        bool stray = i % 50 == 0;

        at += 40000;
        ts += 3600;
        video(&b, stray ? ts + (uint32_t)off_s[i / 50 % 5] * 90000 : ts, at);
        assert_int_equal((b.out.flags & FRAME_REPAIRED) != 0, stray);
        assert_in_range(b.out.dts - first, i * 3600 - 40, i * 3600 + 40);
        if (!stray) assert_int_equal(b.out.dts - first, i * 3600);
    }
    assert_int_equal(counters(&b)->strays, 9);
    assert_int_equal(counters(&b)->jumps, 0);
    timeline_free(b.t);
}

/* T5: a step that lasts becomes the new run without a hole: hours on, hours back, back to zero. */
static void test_t5_jumps(void **state)
{
    static const uint32_t to[] = {90000u * 3600 * 3, 90000u * 60, 0, 90000u * 3600 * 5};
    struct bed b = bed();
    usec_t at = 0;
    uint32_t ts = 90000u * 1000;
    int64_t first = video(&b, ts, at).dts;
    int frames = 0;

    (void)state;
    at += 40000;
    play(&b, ts + 3600, 99, &at);
    frames = 99;
    for (size_t i = 0; i < ARRAY_N(to); i++) {
        play(&b, to[i], 100, &at);
        frames += 100;
        assert_in_range(b.out.dts - first, frames * 3600 - 3600, frames * 3600 + 3600);
        assert_in_range(b.out.wall_us, WALL0 + frames * 40000 - 40000, WALL0 + frames * 40000 + 40000);
    }
    assert_int_equal(counters(&b)->jumps, 4);
    assert_int_equal(counters(&b)->strays, 0);
    timeline_free(b.t);
}

/* T5: a hole that arrival bears out is no jump, whatever its length. */
static void test_real_gap(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    uint32_t ts = play(&b, 0, 50, &at);
    int64_t before = b.out.dts;

    (void)state;
    at += 3600 * US_PER_S;
    video(&b, ts + 3600u * 90000, at);
    assert_int_equal(b.out.dts - before, 3600 + 3600ll * 90000);
    assert_int_equal(counters(&b)->repairs, 0);
    /* One frame a minute is a rate like any other. */
    for (int i = 0; i < 20; i++) {
        ts += 60 * 90000;
        at += 60 * US_PER_S;
        video(&b, ts + 3600u * 90000, at);
    }
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* T5 with a hole: the encoder was away for 20 s and came back with a timestamp of its own: joined at arrival.
 */
static void test_t5_jump_with_hole(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    int64_t before;

    (void)state;
    play(&b, 90000u * 500, 100, &at);
    before = b.out.dts;
    at += 20 * US_PER_S;
    play(&b, 77, 10, &at);
    assert_in_range(b.out.dts - before, 20 * 90000 + 3600 * 9, 20 * 90000 + 3600 * 11);
    timeline_free(b.t);
}

/* T11: two units with one timestamp. */
static void test_t11_equal(void **state)
{
    struct bed b = bed();
    int64_t first;

    (void)state;
    first = video(&b, 1000, 0).dts;
    video(&b, 1000, 1000);
    assert_int_equal(b.out.dts, first + 1);
    assert_true(b.out.flags & FRAME_REPAIRED);
    video(&b, 4600, 40000);
    assert_int_equal(b.out.dts, first + 3600);
    assert_int_equal(counters(&b)->nudges, 1);
    timeline_free(b.t);
}

/* T6: another run of one track goes on where arrival says, with the mark of a join. */
static void test_t6_new_run(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    int64_t before;

    (void)state;
    play(&b, 0, 100, &at);
    before = b.out.dts;
    at += 2 * US_PER_S;
    unit(&b, (struct timeline_in){.timestamp = 999999, .new_run = true}, at);
    assert_true(b.out.flags & FRAME_DISCONT);
    assert_in_range(b.out.dts - before, 3600 + 2 * 90000 - 90, 3600 + 2 * 90000 + 90);
    at += 40000;
    video(&b, 999999 + 3600, at);
    assert_int_equal(b.out.flags, 0);
    timeline_free(b.t);
}

/* A reconnect is anchored at the clock; never before what was. K12: the camera's own clock plays no part. */
static void test_restart(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    int64_t before;

    (void)state;
    play(&b, 0, 50, &at);
    before = b.out.dts;
    timeline_restart(b.t);
    at += 30 * US_PER_S;
    video(&b, 5, at);
    assert_true(b.out.flags & FRAME_DISCONT);
    assert_int_equal(b.out.dts, before + 3600 + 30 * 90000);
    assert_int_equal(b.out.wall_us, WALL0 + at);
    /* Our own clock was put back an hour meanwhile. */
    timeline_restart(b.t);
    b.wall_error = -3600 * US_PER_S;
    before = b.out.dts;
    at += US_PER_S;
    video(&b, 5, at);
    assert_in_range(b.out.dts - before, 1, 90000);
    assert_int_equal(b.out.wall_us, WALL0 + at - 3600 * US_PER_S);
    timeline_free(b.t);
}

/* A new process behind the frames of one that died: its first unit is joined there, the later ones are not.
 */
static void test_restart_before_the_first_track(void **state)
{
    struct timeline *t = timeline_new();
    struct timeline_in in = {.timestamp = 5, .mono_us = US_PER_S, .wall_us = WALL0};
    struct timeline_out out;

    (void)state;
    timeline_restart(t);
    timeline_track(t, 0, TRACK_VIDEO, 90000);
    timeline_unit(t, &in, &out);
    assert_int_equal(out.flags, FRAME_DISCONT);
    in.timestamp += 3600;
    in.mono_us += 40000;
    in.wall_us += 40000;
    timeline_unit(t, &in, &out);
    assert_int_equal(out.flags, 0);
    timeline_free(t);
}

/* Another codec after a reconnect is behind a gap as well. */
static void test_restart_with_another_codec(void **state)
{
    struct bed b = bed();
    usec_t at = 0;

    (void)state;
    play(&b, 0, 50, &at);
    timeline_restart(b.t);
    timeline_track(b.t, 0, TRACK_VIDEO, 48000);
    b.any[0] = false; /* in ticks of 48 kHz from here on */
    video(&b, 5, at + 30 * US_PER_S);
    assert_true(b.out.flags & FRAME_DISCONT);
    timeline_free(b.t);
}

/* T10: the camera begins with two seconds of old frames at once. */
static void test_t10_burst(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    int64_t first = 0;
    uint32_t ts = 0;

    (void)state;
    for (int i = 0; i < 50; i++, ts += 3600) {
        video(&b, ts, 0);
        if (i == 0) first = b.out.dts;
    }
    for (int i = 0; i < 100; i++, ts += 3600) video(&b, ts, at += 40000);
    assert_int_equal(b.out.dts - first, 149 * 3600);
    /* The newest frame came without delay: its wall time is its arrival. */
    assert_in_range(b.out.wall_us, WALL0 + at - 1000, WALL0 + at + 1000);
    timeline_free(b.t);
}

/* T8: delay that comes and goes does not pull wall time about. */
static void test_t8_jitter(void **state)
{
    struct bed b = bed();
    uint32_t seed = 1;
    usec_t last = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        usec_t late = (seed = seed * 1664525 + 1013904223) >> 12 & 0x3ffff; /* to 262 ms */
        usec_t true_us = (usec_t)i * 40000;

        video(&b, (uint32_t)i * 3600, i % 97 == 0 ? true_us : true_us + late);
        if (i > 1000) assert_in_range(b.out.wall_us - WALL0 - true_us, 0, 1000);
        assert_true(b.out.wall_us >= last);
        last = b.out.wall_us;
    }
    timeline_free(b.t);
}

/* T9: a camera clock 200 ppm fast for two hours: wall time follows arrival, media time follows the camera. */
static void test_t9_drift(void **state)
{
    struct bed b = bed();
    int64_t first = 0;
    usec_t at = 0;
    int n = 25 * 7200;

    (void)state;
    for (int i = 0; i < n; i++) {
        at = (usec_t)i * 40000 - (usec_t)i * 8; /* 8 us of 40 ms */
        video(&b, (uint32_t)i * 3600, at);
        if (i == 0) first = b.out.dts;
    }
    assert_int_equal(b.out.dts - first, (int64_t)(n - 1) * 3600);
    assert_in_range(b.out.wall_us, WALL0 + at - 60000, WALL0 + at + 60000);
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* Our own clock is stepped: wall time follows, media time does not. */
static void test_own_clock_steps(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    uint32_t ts = play(&b, 0, 100, &at);
    int64_t before = b.out.dts;

    (void)state;
    b.wall_error = 100 * US_PER_S;
    video(&b, ts, at);
    assert_int_equal(b.out.dts, before + 3600);
    assert_int_equal(b.out.wall_us, WALL0 + at + 100 * US_PER_S);
    b.wall_error = -100 * US_PER_S;
    video(&b, ts + 3600, at + 40000);
    assert_int_equal(b.out.wall_us, WALL0 + at + 40000 - 100 * US_PER_S);
    assert_int_equal(counters(&b)->clock_steps, 2);
    timeline_free(b.t);
}

/* --- V15 --- */

/* Decode order of I P B B P B B with its depth; ts of unit i in frames. */
static int shown(int i)
{
    static const int of3[] = {3, 1, 2};

    return i == 0 ? 0 : (i - 1) / 3 * 3 + of3[(i - 1) % 3];
}

/* The depth is stated: dts is even and never behind the presentation. */
static void test_v15_stated(void **state)
{
    struct bed b = bed();
    int64_t first = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        bool backward = i > 0 && (i - 1) % 3 != 0;

        unit(&b,
            (struct timeline_in){.timestamp = (uint32_t)shown(i) * 3600, .reorder = 1, .backward = backward},
            i * 40000);
        if (i == 0) first = b.out.dts + b.out.cts;
        assert_int_equal(b.out.dts + b.out.cts - first, shown(i) * 3600);
        assert_true(b.out.cts >= 0 && b.out.cts <= 3 * 3600);
        if (i > 1) assert_int_equal(b.out.dts - first, (i - 1) * 3600);
    }
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* The SPS does not say: the picture order count tells, the depth is learnt, presentation is right from the
 * start. */
static void test_v15_learnt(void **state)
{
    for (int stated = -1; stated <= 0; stated++) {
        struct bed b = bed();
        int64_t first = 0;

        (void)state;
        for (int i = 0; i < 300; i++) {
            bool backward = i > 0 && (i - 1) % 3 != 0;

            unit(&b,
                (struct timeline_in){
                    .timestamp = (uint32_t)shown(i) * 3600, .reorder = (int8_t)stated, .backward = backward},
                i * 40000);
            if (i == 0) first = b.out.dts + b.out.cts;
            assert_int_equal(b.out.dts + b.out.cts - first, shown(i) * 3600);
            if (i > 6) assert_true(b.out.cts >= 0);
        }
        assert_int_equal(counters(&b)->repairs, 0);
        assert_true(counters(&b)->reorder_learnt > 0);
        timeline_free(b.t);
    }
}

/* A pyramid of depth 2: I P B b b, twice a second an I. */
static void test_v15_pyramid(void **state)
{
    static const int order[] = {4, 2, 1, 3};
    struct bed b = bed();
    int64_t first = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        int at = i == 0 ? 0 : (i - 1) / 4 * 4 + order[(i - 1) % 4];

        unit(&b,
            (struct timeline_in){
                .timestamp = (uint32_t)at * 3600, .reorder = 2, .backward = i > 0 && (i - 1) % 4 > 0},
            i * 40000);
        if (i == 0) first = b.out.dts + b.out.cts;
        assert_int_equal(b.out.dts + b.out.cts - first, at * 3600);
        assert_true(b.out.cts >= 0);
        if (i > 2) assert_int_equal(b.out.dts - first, (i - 2) * 3600);
    }
    timeline_free(b.t);
}

/* A step back that is no reordering (the picture order count goes on) is repaired. */
static void test_rewind(void **state)
{
    struct bed b = bed();
    usec_t at = 0;
    uint32_t ts = play(&b, 90000, 100, &at);
    int64_t before = b.out.dts;

    (void)state;
    play(&b, ts - 45000, 50, &at);
    assert_in_range(b.out.dts - before, 49 * 3600, 51 * 3600);
    assert_int_equal(counters(&b)->jumps, 1);
    assert_int_equal(counters(&b)->backwards, 3);
    timeline_free(b.t);
}

/* --- T12 --- */

static void test_t12_counts(void **state)
{
    struct bed b = bed();
    int64_t first = 0;
    uint32_t seed = 7;

    (void)state;
    /* Timestamps that are up to 30 ms off: the count of samples is followed. */
    for (int i = 0; i < 1000; i++) {
        uint32_t off = (seed = seed * 1664525 + 1013904223) >> 20 & 127;

        audio(&b, (uint32_t)i * 320 + off, 320, i * 40000);
        if (i == 0) first = b.out.dts;
        assert_int_equal(b.out.dts - first, i * 320);
        assert_int_equal(b.out.cts, 0);
    }
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* Reolink's doorbell: all timestamps zero. A wrong step: 90 kHz steps on an 8 kHz clock. */
static void test_t12_lies(void **state)
{
    static const uint32_t steps[] = {0, 1, 160, 400, 3600, 7200000};

    (void)state;
    for (size_t k = 0; k < ARRAY_N(steps); k++) {
        struct bed b = bed();
        int64_t first = 0;

        for (int i = 0; i < 1500; i++) {
            audio(&b, (uint32_t)i * steps[k], 320, i * 40000);
            if (i == 0) first = b.out.dts;
            assert_in_range(b.out.dts - first + 1000000, i * 320 - 800 + 1000000, i * 320 + 800 + 1000000);
        }
        assert_true(counters(&b)->ignored > 0);
        timeline_free(b.t);
    }
}

/* The session description names half the true sample rate: the count runs twice as fast as the clock,
 * timestamps do not. */
static void test_t12_count_runs_away(void **state)
{
    struct bed b = bed();
    int64_t first = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        audio(&b, (uint32_t)i * 320, 640, i * 40000);
        if (i == 0) first = b.out.dts;
    }
    assert_in_range(b.out.dts - first, 4999 * 320, 4999 * 320 + 6 * 8000);
    timeline_free(b.t);
}

/* Silence suppressed: the timestamp goes on and arrival agrees. */
static void test_t12_gap(void **state)
{
    struct bed b = bed();
    int64_t before;

    (void)state;
    for (int i = 0; i < 100; i++) audio(&b, (uint32_t)i * 320, 320, i * 40000);
    before = b.out.dts;
    audio(&b, 99 * 320 + 8000 * 3, 320, 99 * 40000 + 3 * US_PER_S);
    assert_int_equal(b.out.dts - before, 3 * 8000);
    assert_int_equal(counters(&b)->resyncs, 1);
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* Blocks of one packet come with an offset and keep their distance. */
static void test_t12_blocks(void **state)
{
    struct bed b = bed();
    int64_t first = 0;

    (void)state;
    for (int i = 0; i < 400; i++) {
        unit(&b,
            (struct timeline_in){.track = 1,
                .timestamp = (uint32_t)(i / 4) * 4096,
                .offset = (uint32_t)(i % 4) * 1024,
                .dur = 1024},
            i / 4 * 512000);
        if (i == 0) first = b.out.dts;
        assert_int_equal(b.out.dts - first, i * 1024);
    }
    timeline_free(b.t);
}

/* --- tracks together --- */

static uint64_t ntp(usec_t wall_us)
{
    return (uint64_t)(wall_us / US_PER_S + 2208988800) << 32 |
        (uint64_t)(wall_us % US_PER_S) * 4294967296 / 1000000;
}

static usec_t apart(const struct bed *b)
{
    return ticks_us((struct ticks){b->before[1].dts, 8000}) -
        ticks_us((struct ticks){b->before[0].dts, 90000});
}

/* Video and audio of one instant; audio is `late_us` late on its way. Returns how far audio is ahead at the
 * end. */
static usec_t both(struct bed *b, unsigned seconds, usec_t late_us, bool reports)
{
    for (usec_t i = 0; i < seconds * 25; i++) {
        usec_t now = i * 40000;

        video(b, (uint32_t)i * 3600 + 77, now);
        audio(b, (uint32_t)i * 320 + 99, 320, now + late_us);
        if (reports && i % 125 == 5) {
            timeline_sr(b->t, 0, ntp(WALL0 + now), (uint32_t)i * 3600 + 77, WALL0 + now);
            timeline_sr(b->t, 1, ntp(WALL0 + now), (uint32_t)i * 320 + 99, WALL0 + now);
        }
    }
    return apart(b);
}

/* Without reports arrival aligns the tracks; what it cannot know stays within a fifth of a second. */
static void test_align_arrival(void **state)
{
    struct bed b = bed();

    (void)state;
    assert_in_range(both(&b, 10, 100000, false) + 1000000, 1000000, 1200000);
    assert_int_equal(counters(&b)->repairs, 0);
    timeline_free(b.t);
}

/* T9: sender reports that agree align them, slowly and for good. */
static void test_align_reports(void **state)
{
    struct bed b = bed();

    (void)state;
    assert_in_range(both(&b, 120, 300000, true) + 1000000, 1000000 - 15000, 1000000 + 15000);
    timeline_free(b.t);
}

/* T8: reports that cannot be believed change nothing: no time, 1970, local time as UTC, jumping about. */
static void test_t8_bad_reports(void **state)
{
    struct bed b = bed();
    usec_t camera;

    (void)state;
    video(&b, 0, 0);
    audio(&b, 0, 320, 0);
    assert_false(timeline_camera_clock(b.t, &camera));
    timeline_sr(b.t, 0, 0, 0, WALL0);
    assert_false(timeline_camera_clock(b.t, &camera));
    timeline_sr(b.t, 0, ntp(3 * US_PER_S), 0, WALL0);
    timeline_sr(b.t, 0, ntp(WALL0 + 3600 * US_PER_S), 0, WALL0);
    assert_int_equal(counters(&b)->sr_bad, 3);
    for (int i = 1; i < 500; i++) {
        video(&b, (uint32_t)i * 3600, i * 40000);
        audio(&b, (uint32_t)i * 320, 320, i * 40000);
        timeline_sr(b.t, 0, ntp(WALL0 + i * 40000), (uint32_t)i * 3600, WALL0 + i * 40000);
        timeline_sr(b.t, 1, ntp(WALL0 + i * 40000 + i % 2 * US_PER_S), (uint32_t)i * 320, WALL0 + i * 40000);
    }
    assert_in_range(apart(&b) + 1000, 999, 1001);
    timeline_free(b.t);
}

/* Reports come late, or while the worker sleeps: the camera's clock is compared with the wall time of the
 * same picture. A timestamp that cannot be one of them leaves arrival. */
static void test_camera_clock(void **state)
{
    struct bed b = bed();
    usec_t camera, at = 0;

    (void)state;
    timeline_sr(b.t, 0, ntp(3 * US_PER_S), 1000 + 20 * 3600, WALL0); /* P11: before all else */
    play(&b, 1000, 20, &at);
    assert_false(timeline_camera_clock(b.t, &camera)); /* too early */
    play(&b, 1000 + 20 * 3600, 80, &at);
    assert_true(timeline_camera_clock(b.t, &camera)); /* 1970 */
    assert_in_range(-camera, WALL0 + 20 * 40000 - 3 * US_PER_S - 30, WALL0 + 20 * 40000 - 3 * US_PER_S + 30);
    timeline_sr(b.t, 0, ntp(WALL0 + 50 * 40000 - 1234567), 1000 + 50 * 3600, WALL0 + at + 200000);
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(-camera, 1234567 - 30, 1234567 + 30);
    timeline_camera_time(b.t, 0, WALL0 + 99 * 40000 + 3600 * US_PER_S, 1000 + 99 * 3600, WALL0 + at + 100000);
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(camera, 3600 * US_PER_S - 30, 3600 * US_PER_S + 30);
    timeline_sr(b.t, 0, ntp(WALL0 + at), 0xf0000000, WALL0 + at + 7000);
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(-camera, 7000 - 30, 7000 + 30);
    /* Our own clock is set back: the camera is ahead by that. */
    b.wall_error = -60 * US_PER_S;
    play(&b, 1000 + 100 * 3600, 10, &at);
    timeline_sr(b.t, 0, ntp(WALL0 + at), 1000 + 110 * 3600, WALL0 + at + b.wall_error);
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(camera, 60 * US_PER_S - 30, 60 * US_PER_S + 30);
    /* And back again: the report still counts. */
    b.wall_error = 0;
    play(&b, 1000 + 110 * 3600, 10, &at);
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(camera + 1000, 970, 1030);
    timeline_sr(b.t, 1, ntp(WALL0 + 99 * US_PER_S), 0, WALL0 + at); /* of a track without units */
    assert_true(timeline_camera_clock(b.t, &camera));
    assert_in_range(camera + 1000, 970, 1030);
    timeline_restart(b.t);
    assert_false(timeline_camera_clock(b.t, &camera));
    timeline_free(b.t);
}

/* Audio that comes in later is put where its arrival says. */
static void test_late_track(void **state)
{
    struct bed b = bed();
    usec_t at = 0;

    (void)state;
    play(&b, 0, 50, &at);
    audio(&b, 4000000, 320, at - 40000);
    assert_in_range(apart(&b) + 1000, 999, 1001);
    assert_int_equal(b.out.flags, 0);
    timeline_free(b.t);
}

/* Whatever timestamps come: dts rises (bed checks), and media time keeps to arrival within a minute. */
static void test_garbage(void **state)
{
    struct bed b = bed();
    uint32_t seed = 99;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint32_t r = seed = seed * 1664525 + 1013904223;
        struct timeline_in in = {.track = r >> 8 & 1,
            .timestamp = r ^ r << 16,
            .reorder = (int8_t)((int)(r >> 10 & 3) - 1),
            .backward = r >> 12 & 1,
            .new_run = (r >> 13 & 255) == 0,
            .dur = r >> 21 & 511};

        unit(&b, in, i * 20000);
        if ((r >> 3 & 1023) == 0) timeline_restart(b.t);
        if ((r >> 5 & 63) == 0) timeline_sr(b.t, r & 1, r * 77777777777u, r, WALL0 + i * 20000);
    }
    timeline_free(b.t);
    timeline_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anchor),
        cmocka_unit_test(test_t1_wrap),
        cmocka_unit_test(test_t5_strays),
        cmocka_unit_test(test_camera_clock),
        cmocka_unit_test(test_t5_jumps),
        cmocka_unit_test(test_real_gap),
        cmocka_unit_test(test_t5_jump_with_hole),
        cmocka_unit_test(test_t11_equal),
        cmocka_unit_test(test_t6_new_run),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_before_the_first_track),
        cmocka_unit_test(test_restart_with_another_codec),
        cmocka_unit_test(test_t10_burst),
        cmocka_unit_test(test_t8_jitter),
        cmocka_unit_test(test_t9_drift),
        cmocka_unit_test(test_own_clock_steps),
        cmocka_unit_test(test_v15_stated),
        cmocka_unit_test(test_v15_learnt),
        cmocka_unit_test(test_v15_pyramid),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_t12_counts),
        cmocka_unit_test(test_t12_lies),
        cmocka_unit_test(test_t12_count_runs_away),
        cmocka_unit_test(test_t12_gap),
        cmocka_unit_test(test_t12_blocks),
        cmocka_unit_test(test_align_arrival),
        cmocka_unit_test(test_align_reports),
        cmocka_unit_test(test_t8_bad_reports),
        cmocka_unit_test(test_late_track),
        cmocka_unit_test(test_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
