#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/depay_help.h"

/* 64x64, picture order count of 8 bits; sets as x265 writes them, slices by hand. */
#define VPS "40 01 0c 01 ff ff 04 08 00 00 03 00 9e 08 00 00 03 00 00 1e 92 80 90"
#define SPS                                                                                                  \
    "42 01 01 04 08 00 00 03 00 9e 08 00 00 03 00 00 1e 90 04 10 20 b2 c9 52 49 95 e0 2d c0 80 80 01 00 00 " \
    "03 00 01 "                                                                                              \
    "00 00 03 00 19 08"
#define PPS    "44 01 c1 72 86 0c 42 24"
#define IDR    "28 01 af 1d 80 31"
#define IDR_2  "28 01 20 41 42 43"
#define CRA    "2a 01 ac 08 f5 c5"
#define P1     "02 01 d0 09 7e 10"
#define P1_2   "02 01 50 51 52 53"
#define P2     "02 01 d0 11 7e 20"
#define P3     "02 01 d0 19 7e 30"
#define P4     "02 01 d0 21 7e 40"
#define N3     "00 01 d0 19 7e 30" /* TRAIL_N */
#define SEI    "4e 01 05 02 aa bb 80"
#define SUFFIX "50 01 84 02 aa bb 80"
#define AUD    "46 01 50"

static struct depay_help h;

static void begin_with_sets(void)
{
    depay_help_init(&h, CODEC_H265, 90000, NULL);
    depay_help_hex(&h, VPS, 0, false);
    depay_help_hex(&h, SPS, 0, false);
    depay_help_hex(&h, PPS, 0, false);
}

static const struct depay_counters *end(void)
{
    static struct depay_counters c;

    c = *depay_counters(h.d);
    depay_help_done(&h);
    return &c;
}

static void test_plain(void **state)
{
    struct track t;

    (void)state;
    begin_with_sets();
    depay_help_hex(&h, AUD, 0, false);
    depay_help_hex(&h, SEI, 0, false);
    depay_help_hex(&h, IDR, 0, false);
    depay_help_hex(&h, IDR_2, 0, false);
    depay_help_hex(&h, SUFFIX, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P2, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, SEI "|" IDR "|" IDR_2 "|" SUFFIX));
    assert_int_equal(h.u[0].flags, FRAME_KEY);
    assert_true(depay_help_is(&h, 2, P2));
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.width, 64);
    assert_int_equal(t.height, 64);
    assert_int_equal(t.config[22], 3);
    end();
}

/* Aggregation packets and fragments. */
static void test_v12_packets(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_H265, 90000, NULL);
    depay_help_hex(&h, "60 01 00 17 " VPS " 00 2b " SPS " 00 00 00 08 " PPS, 0, true);
    depay_help_hex(&h, "62 01 94 af 1d", 0, false);
    depay_help_hex(&h, "62 01 14 80", 0, false);
    depay_help_hex(&h, "62 01 54 31", 0, true);
    depay_help_hex(&h, "62 01 c1 d0 09 7e 10", 3600, true); /* start and end in one (V5) */
    depay_help_hex(&h, "64 01 02 00 11 22", 7200, false);   /* PACI */
    depay_help_hex(&h, P2, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 1, P1));
    assert_true(depay_help_is(&h, 2, P2));
    assert_int_equal(end()->bad, 1);
}

/* Decoding order numbers are there only when the session description says so. */
static void test_v12_don(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_H265, 90000, "sprop-max-don-diff=2");
    depay_help_hex(&h, "60 01 00 01 00 17 " VPS " 00 00 2b " SPS " 00 00 08 " PPS, 0, false);
    depay_help_hex(&h, "62 01 94 00 02 af 1d", 0, false);
    depay_help_hex(&h, "62 01 54 80 31", 0, true);
    depay_help_hex(&h, "02 01 00 03 d0 09 7e 10", 3600, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 2);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 1, P1));
    end();
}

/* V11: type 0 is a slice like any other. */
static void test_v11_trail_n(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, N3, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 2, N3));
    assert_int_equal(end()->bad, 0);
}

/* V13: two first slices of one picture at one timestamp are one unit; other pictures are not. */
static void test_v13_two_first_slices(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, false);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P2, 7200, false);
    depay_help_hex(&h, P3, 7200, true); /* one timestamp, no marker between, another picture order count */
    depay_help_hex(&h, P4, 10800, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 5);
    assert_true(depay_help_is(&h, 1, P1 "|" P1));
    assert_true(depay_help_is(&h, 2, P2));
    assert_true(depay_help_is(&h, 3, P3));
    end();
}

/* V2, V3: markers on sets and on every slice. */
static void test_v3_marker_on_slices(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_H265, 90000, NULL);
    depay_help_hex(&h, VPS, 1, true);
    depay_help_hex(&h, SPS, 2, true);
    depay_help_hex(&h, PPS, 3, true);
    depay_help_hex(&h, IDR, 3600, true);
    depay_help_hex(&h, IDR_2, 3600, true);
    depay_help_hex(&h, P1, 7200, true);
    depay_help_hex(&h, P1_2, 7200, true);
    depay_help_hex(&h, P2, 10800, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR "|" IDR_2));
    assert_true(depay_help_is(&h, 1, P1 "|" P1_2));
    end();
}

/* V14: CRA is a place to begin, and no IDR. */
static void test_v14_cra(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, P1, 0, true);
    depay_help_hex(&h, CRA, 3600, true);
    depay_help_hex(&h, P3, 7200, true);
    assert_int_equal(h.n, 2);
    assert_int_equal(h.u[0].flags, FRAME_KEY | FRAME_NOT_IDR);
    end();
}

/* V15: the picture order count shows what is shown before its elders. */
static void test_v15_backward(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P4, 14400, true);
    depay_help_hex(&h, P2, 7200, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, N3, 10800, true);
    depay_help_hex(&h, IDR, 18000, true);
    assert_int_equal(h.n, 6);
    assert_false(h.u[1].backward);
    assert_true(h.u[2].backward && h.u[3].backward && h.u[4].backward);
    assert_false(h.u[5].backward);
    end();
}

/* S14: sets of the session description are used when all three kinds are there. */
static void test_s14_half_a_description(void **state)
{
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_H265, 90000, "sprop-pps=RAHBcoYMQiQ=");
    depay_help_hex(&h, IDR, 0, true);
    assert_false(depay_track(h.d, &t));
    depay_help_hex(&h, VPS, 3600, false);
    depay_help_hex(&h, SPS, 3600, false);
    depay_help_hex(&h, IDR, 3600, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 1);
    assert_true(depay_track(h.d, &t));
    end();
}

static void test_v16_junk(void **state)
{
    static const char *const junk[] = {"40", "28 01", "80 01 11 22", "28 00 af 1d", "62 01", "62 01 94",
        "60 01 00 00 00", "60 01 00 ff 28 01", "2a 09 ac 08"};

    (void)state;
    begin_with_sets();
    for (uint32_t i = 0; i < 36; i++) {
        depay_help_hex(&h, junk[i % ARRAY_N(junk)], i * 3600, false);
        depay_help_hex(&h, IDR, i * 3600, true);
    }
    depay_flush(h.d);
    assert_int_equal(h.n, 36);
    for (unsigned i = 0; i < h.n; i++) assert_true(depay_help_is(&h, i, IDR));
    end();
}

/* V6 and V8 hold here too. */
static void test_v6_v8(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_H265, 90000, NULL);
    depay_help_hex(&h, VPS " 00 00 00 01 " SPS " 00 00 00 01 " PPS " 00 00 01 " IDR, 0, true);
    depay_help_hex(&h, P1 " 00 00 01 " P1_2, 3600, true);
    depay_help_hex(&h, VPS, 7200, false);
    depay_help_hex(&h, SPS, 7200, false);
    depay_help_hex(&h, PPS, 7200, false);
    depay_help_hex(&h, CRA, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 1, P1 "|" P1_2));
    assert_int_equal(h.changes, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_v12_packets),
        cmocka_unit_test(test_v12_don),
        cmocka_unit_test(test_v11_trail_n),
        cmocka_unit_test(test_v13_two_first_slices),
        cmocka_unit_test(test_v3_marker_on_slices),
        cmocka_unit_test(test_v14_cra),
        cmocka_unit_test(test_v15_backward),
        cmocka_unit_test(test_s14_half_a_description),
        cmocka_unit_test(test_v16_junk),
        cmocka_unit_test(test_v6_v8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
