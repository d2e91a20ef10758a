#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/support/depay_help.h"

/* 352x288, baseline, picture order count type 2. Slices of it by hand: first macroblock, type, frame_num. */
#define SPS    "67 42 00 1e da 05 82 59"
#define PPS    "68 ce 38 80"
#define IDR    "65 88 84 11 22 33"
#define IDR_2  "65 03 28 88 40 44 55" /* from macroblock 100 on */
#define P1     "41 9a 20 a1"
#define P1_2   "41 03 29 a2 a2"
#define P2     "41 9a 40 b1"
#define P2_2   "41 03 29 a4 b2"
#define P3     "41 9a 60 c1"
#define P4     "41 9a 80 d1"
#define SEI    "06 05 02 aa bb 80"
#define AUD    "09 f0"
#define FILLER "0c ff ff 80"

static struct depay_help h;

static void begin(const char *fmtp)
{
    depay_help_init(&h, CODEC_H264, 90000, fmtp);
}

static void begin_with_sets(void)
{
    begin(NULL);
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

/* A packet behind a hole. */
static void lost_hex(const char *hex, uint32_t ts, bool marker)
{
    static uint8_t mem[256];
    struct wr w = wr_of(mem, sizeof mem);
    struct span rest = span_of(hex), word;
    uint64_t byte;

    while (span_split(&rest, ' ', &word))
        if (span_hex64(word, &byte)) wr_u8(&w, (uint8_t)byte);
    depay_help_feed(&h, wr_span(&w), ts, marker, true);
}

static void test_plain(void **state)
{
    struct track t;

    (void)state;
    begin(NULL);
    assert_false(depay_track(h.d, &t));
    assert_int_equal(t.clock_hz, 90000);
    depay_help_hex(&h, SPS, 0, false);
    depay_help_hex(&h, PPS, 0, false);
    depay_help_hex(&h, IDR, 0, true);
    assert_int_equal(h.n, 0); /* markers are on trial */
    depay_help_hex(&h, P1, 3600, true);
    assert_int_equal(h.n, 2); /* they were true: the second unit is out with its marker */
    depay_help_hex(&h, P2, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 1, P1));
    assert_true(depay_help_is(&h, 2, P2));
    assert_int_equal(h.u[0].flags, FRAME_KEY);
    assert_int_equal(h.u[1].flags, 0);
    assert_int_equal(h.u[1].timestamp, 3600);
    assert_int_equal(h.u[1].reorder, 0);
    assert_int_equal(h.u[0].changes, 1);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.width, 352);
    assert_int_equal(t.height, 288);
    assert_int_equal(t.config[1], 0x42);
    assert_int_equal(end()->units, 3);
}

/* FLIR M400. */
static void test_v1_marker_never_set(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, false);
    depay_help_hex(&h, IDR_2, 0, false);
    depay_help_hex(&h, P1, 3600, false);
    assert_int_equal(h.n, 1);
    depay_help_hex(&h, P2, 7200, false);
    depay_flush(h.d);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR "|" IDR_2));
    assert_true(depay_help_is(&h, 2, P2));
    end();
}

/* V1, without timestamps that move either: slice headers tell pictures apart. */
static void test_v1_nothing_moves(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, false);
    depay_help_hex(&h, P1, 0, false);
    depay_help_hex(&h, P1_2, 0, false);
    depay_help_hex(&h, P2, 0, false);
    depay_flush(h.d);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 1, P1 "|" P1_2));
    end();
}

/* Tapo TC70, Reolink Duo 2, RLC-822A: parameter sets and SEI with marker and a timestamp of their own. */
static void test_v2_marker_on_sets(void **state)
{
    (void)state;
    begin(NULL);
    depay_help_hex(&h, AUD, 1, true);
    depay_help_hex(&h, SPS, 1, true);
    depay_help_hex(&h, PPS, 2, true);
    depay_help_hex(&h, SEI, 3, true);
    depay_help_hex(&h, IDR, 3600, true);
    depay_help_hex(&h, P1, 7200, true);
    /* Sets with the timestamp of the picture before them (RLC-822A). */
    depay_help_hex(&h, SPS, 7200, true);
    depay_help_hex(&h, PPS, 7200, true);
    depay_help_hex(&h, SEI, 7200, true);
    depay_help_hex(&h, IDR, 10800, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, SEI "|" IDR));
    assert_int_equal(h.u[0].timestamp, 3600);
    assert_true(depay_help_is(&h, 1, P1));
    assert_true(depay_help_is(&h, 2, SEI "|" IDR));
    assert_int_equal(h.u[2].timestamp, 10800);
    end();
}

/* A marker on every slice: the first picture already comes whole. */
static void test_v3_marker_on_slices(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, IDR_2, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P1_2, 3600, true);
    depay_help_hex(&h, P2, 7200, true);
    depay_help_hex(&h, P2_2, 7200, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR "|" IDR_2));
    assert_true(depay_help_is(&h, 1, P1 "|" P1_2));
    assert_true(depay_help_is(&h, 2, P2 "|" P2_2));
    assert_int_equal(end()->markers_false, 1);
}

/* Pictures begin to have several slices with markers only later: one is cut and said to be damaged, then all
 * is well. */
static void test_v3_later(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P2, 7200, true);
    depay_help_hex(&h, P2_2, 7200, true);
    depay_help_hex(&h, P3, 10800, true);
    depay_help_hex(&h, IDR, 14400, true);
    depay_help_hex(&h, IDR_2, 14400, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 5);
    assert_true(h.u[3].flags & FRAME_DAMAGED); /* refers to the picture that was cut */
    assert_true(depay_help_is(&h, 4, IDR "|" IDR_2));
    assert_int_equal(h.u[4].flags, FRAME_KEY);
    end();
}

/* Marker on every packet of a fragmented slice. */
static void test_v3_marker_on_fragments(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, "7c 85 88 84 11", 0, true);
    depay_help_hex(&h, "7c 05 22", 0, true);
    depay_help_hex(&h, "7c 45 33", 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 2);
    assert_true(depay_help_is(&h, 0, IDR));
    end();
}

/* Amcrest 9,7,8,6,28; filler, delimiters and ends of sequence do not go into frames. */
static void test_v4_what_is_kept(void **state)
{
    (void)state;
    begin(NULL);
    depay_help_hex(&h, AUD, 0, false);
    depay_help_hex(&h, SPS, 0, false);
    depay_help_hex(&h, PPS, 0, false);
    depay_help_hex(&h, SEI, 0, false);
    depay_help_hex(&h, IDR, 0, false);
    depay_help_hex(&h, FILLER, 0, false);
    depay_help_hex(&h, "0a", 0, false);
    depay_help_hex(&h, IDR_2, 0, true);
    depay_help_hex(&h, AUD, 3600, false);
    depay_help_hex(&h, P1, 3600, true);
    assert_int_equal(h.n, 2);
    assert_true(depay_help_is(&h, 0, SEI "|" IDR "|" IDR_2));
    assert_true(depay_help_is(&h, 1, P1));
    end();
}

static void test_v5_fragments(void **state)
{
    (void)state;
    begin_with_sets();
    /* Start and end in one: CostarHD, OpenIPC. */
    depay_help_hex(&h, "7c c5 88 84 11 22 33", 0, true);
    /* The type changes: Tiandy. Reserved bit set. */
    depay_help_hex(&h, "5c 81 9a 20", 3600, false);
    depay_help_hex(&h, "5c 65 a1", 3600, true);
    /* No end, closed by the marker. */
    depay_help_hex(&h, "5c 81 9a", 7200, false);
    depay_help_hex(&h, "5c 01 40", 7200, false);
    depay_help_hex(&h, "5c 01 b1", 7200, true);
    /* No end, closed by the next NAL unit, and by the timestamp. */
    depay_help_hex(&h, "5c 81 9a 60", 10800, false);
    depay_help_hex(&h, "5c 01 c1", 10800, false);
    depay_help_hex(&h, SEI, 14400, false);
    depay_help_hex(&h, "5c 81 9a 80", 14400, false);
    depay_help_hex(&h, "5c 01 d1", 14400, false);
    depay_help_hex(&h, "5c 41", 14400, true); /* an empty one at the end */
    assert_int_equal(h.n, 5);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 1, P1));
    assert_true(depay_help_is(&h, 2, P2));
    assert_true(depay_help_is(&h, 3, P3));
    assert_true(depay_help_is(&h, 4, SEI "|" P4));
    for (unsigned i = 0; i < h.n; i++) assert_false(h.u[i].flags & FRAME_DAMAGED);
    end();
}

/* V380, Amatek: start codes inside single NAL units, STAP-A and FU-A, before, between and behind. */
static void test_v6_annexb(void **state)
{
    static const char *const whole[] = {"00 00 00 01 " SPS " 00 00 00 01 " PPS " 00 00 00 01 " IDR,
        SPS " 00 00 01 " PPS " 00 00 01 " IDR " 00 00 00 01",
        "18 00 1b " SPS " 00 00 00 01 " PPS " 00 00 00 01 " IDR " 00"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(whole); i++) {
        begin(NULL);
        depay_help_hex(&h, whole[i], 0, true);
        depay_help_hex(&h, P1 " 00 00 01 " P1_2, 3600, true);
        depay_help_hex(&h, P2, 7200, true);
        assert_int_equal(h.n, 3);
        assert_true(depay_help_is(&h, 0, IDR));
        assert_true(depay_help_is(&h, 1, P1 "|" P1_2));
        assert_true(depay_help_is(&h, 2, P2));
        assert_int_equal(h.u[0].changes, 1);
        assert_true(end()->annexb >= 2);
    }
    /* In fragments of three bytes, so that start codes lie across their edges. */
    begin(NULL);
    depay_help_hex(&h, "7c 87 42 00 1e", 0, false);
    depay_help_hex(&h, "7c 07 da 05 82", 0, false);
    depay_help_hex(&h, "7c 07 59 00 00", 0, false);
    depay_help_hex(&h, "7c 07 01 68 ce", 0, false);
    depay_help_hex(&h, "7c 07 38 80 00", 0, false);
    depay_help_hex(&h, "7c 07 00 00 01", 0, false);
    depay_help_hex(&h, "7c 07 65 88 84", 0, false);
    depay_help_hex(&h, "7c 07 11 22 33", 0, false);
    depay_help_hex(&h, "7c 47 00", 0, true);
    depay_help_hex(&h, P1, 3600, true);
    assert_int_equal(h.n, 2);
    assert_true(depay_help_is(&h, 0, IDR));
    end();
}

/* V6: a picture of another time in the same payload, while its bytes are read. */
static void test_v6_two_pictures(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, "7c 85 88 84 11 22 33 00 00 01 " P1 " 00 00 01 " P2, 0, false);
    depay_help_hex(&h, "7c 45 00 00 01 " P3, 0, true);
    depay_help_hex(&h, P4, 3600, true);
    assert_int_equal(h.n, 5);
    assert_true(depay_help_is(&h, 0, IDR));
    assert_true(depay_help_is(&h, 3, P3));
    assert_true(depay_help_is(&h, 4, P4));
    end();
}

static void test_v7_stap(void **state)
{
    struct depay_media m = {.codec = CODEC_H264, .fmtp = SPAN_LIT("packetization-mode=2")};
    struct depay_out out = {0};
    struct depay *d = NULL;

    (void)state;
    begin("packetization-mode=0"); /* and FU-A and STAP-A all the same */
    depay_help_hex(&h, "18 00 08 " SPS " 00 00 00 04 " PPS " 00 00 00", 0, false);
    depay_help_hex(&h, "78 00 06 " IDR " 00 07 " IDR_2, 0, true);
    depay_help_hex(&h, "5c c1 9a 20 a1", 3600, true);
    /* An item longer than what is there; nested; types that no camera was seen to use. */
    depay_help_hex(&h, "18 00 ff 41 9a 40", 7200, false);
    depay_help_hex(&h, "18 00 03 18 00 01", 7200, false);
    depay_help_hex(&h, "19 00 00 00 04 41 9a 40 b1", 7200, false);
    depay_help_hex(&h, "1a 00 00 00 04 41 9a 40 b1", 7200, false);
    depay_help_hex(&h, "1d 81 00 00 9a 40", 7200, false);
    depay_help_hex(&h, P2, 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 0, IDR "|" IDR_2));
    assert_true(depay_help_is(&h, 1, P1));
    assert_true(depay_help_is(&h, 2, P2));
    assert_int_equal(end()->bad, 5);
    assert_int_equal(depay_new(&m, &out, &d), DEPAY_E_MODE);
    assert_null(d);
}

/* Several picture parameter sets: all are in the description from the start, using them is no change. */
static void test_v8_several_ids(void **state)
{
    struct track t;

    (void)state;
    begin_with_sets();
    depay_help_hex(&h, "68 5b 8f 20", 0, false); /* id 1 of the same SPS */
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, "41 99 11 a1", 3600, true); /* a P slice with PPS 1, frame_num 1 */
    depay_flush(h.d);
    assert_int_equal(h.n, 2);
    assert_int_equal(h.changes, 1);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.config[8 + 8], 2);
    end();
}

/* Content decides: the same again is nothing, an unused set is nothing, a used one that changes is a change.
 */
static void test_v8_content(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    for (uint32_t i = 1; i < 20; i++) {
        depay_help_hex(&h, SPS, i * 3600, false);
        depay_help_hex(
            &h, i % 2 ? "67 4d 00 1e 4a c1 60 96 40" : SPS, i * 3600, false); /* id 1, nobody uses it */
        depay_help_hex(&h, PPS, i * 3600, false);
        depay_help_hex(&h, IDR, i * 3600, true);
    }
    assert_int_equal(h.changes, 1);
    depay_help_hex(&h, "68 ce 3c 80", 90000, false);
    assert_int_equal(h.changes, 1); /* not before a picture uses it */
    depay_help_hex(&h, IDR, 90000, true);
    assert_int_equal(h.changes, 2);
    assert_int_equal(h.u[h.n - 1].changes, 2);
    assert_int_equal(h.u[h.n - 2].changes, 1);
    end();
}

/* MX#4262: sets that flip in fast succession: after a few new descriptions they travel in the frames. */
static void test_v8_flips(void **state)
{
    (void)state;
    begin_with_sets();
    for (uint32_t i = 0; i < 40; i++) {
        depay_help_hex(&h, i % 2 ? "68 ce 3c 80" : PPS, i * 3600, false);
        depay_help_hex(&h, IDR, i * 3600, true);
    }
    assert_in_range(h.changes, 2, 6);
    assert_true(depay_help_is(&h, 39, SPS "|68 ce 3c 80|" IDR));
    assert_true(depay_help_is(&h, 38, SPS "|" PPS "|" IDR));
    end();
}

/* Day and night: changes minutes apart each are a new description. */
static void test_v8_slow_changes(void **state)
{
    (void)state;
    begin_with_sets();
    h.step_us = 60 * US_PER_S;
    for (uint32_t i = 0; i < 20; i++) {
        depay_help_hex(&h, i % 2 ? "68 ce 3c 80" : PPS, i * 3600, false);
        depay_help_hex(&h, IDR, i * 3600, true);
    }
    depay_flush(h.d);
    assert_int_equal(h.changes, 20);
    assert_true(depay_help_is(&h, 19, IDR));
    end();
}

/* rpiCamera: sets only in the session description; S13: wrong there, in-band wins; with start codes and
 * zeros. */
static void test_v9_s13_sets_in_sdp(void **state)
{
    struct track t;

    (void)state;
    begin("packetization-mode=1;sprop-parameter-sets=Z0IAHtoFglk=,aM44gA==");
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    assert_int_equal(h.n, 2);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.width, 352);
    end();

    begin("sprop-parameter-sets=AAAAAWdCAB7aBYJZAAAA,aM44gA==,????,Z0Q=");
    depay_help_hex(&h, IDR, 0, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 1);
    end();

    /* Another size in the description: never told to anybody. */
    begin("sprop-parameter-sets=Z0IAHtoFAWVk,aM44gA==");
    depay_help_hex(&h, SPS, 0, false);
    depay_help_hex(&h, IDR, 0, true);
    depay_flush(h.d);
    assert_int_equal(h.changes, 1);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.width, 352);
    end();

    /* Only in-band, only once. */
    begin_with_sets();
    for (uint32_t i = 0; i < 30; i++) depay_help_hex(&h, IDR, i * 3600, true);
    assert_int_equal(h.n, 30);
    assert_int_equal(h.changes, 1);
    end();
}

/* V14: a recovery point that is exact at once is a key frame, but no IDR. */
static void test_v14_recovery_point(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, P1, 0, true);
    depay_help_hex(&h, "06 06 01 c4 80", 3600, false);
    depay_help_hex(&h, P2, 3600, true);
    depay_help_hex(&h, P3, 7200, true);
    assert_int_equal(h.n, 2);
    assert_true(depay_help_is(&h, 0, "06 06 01 c4 80|" P2));
    assert_int_equal(h.u[0].flags, FRAME_KEY | FRAME_NOT_IDR);
    assert_int_equal(h.u[1].flags, 0);
    end();
}

/* V14: gradual refresh, virtual I-frames: after ten seconds without a key frame the next best stands in. */
static void test_v14_no_key_frames(void **state)
{
    static const char *const sei = "06 06 01 28 80"; /* right in four pictures */

    (void)state;
    begin_with_sets();
    h.step_us = 100 * US_PER_MS;
    for (uint32_t i = 0; i < 240; i++) {
        if (i % 20 == 0) depay_help_hex(&h, sei, i * 9000, false);
        depay_help_hex(&h, i % 2 ? P1 : P2, i * 9000, true);
    }
    assert_in_range(h.n, 100, 140);
    assert_int_equal(h.u[0].flags, FRAME_KEY | FRAME_NOT_IDR);
    assert_int_equal(h.u[1].flags, 0);
    assert_int_equal(h.u[20].flags, FRAME_KEY | FRAME_NOT_IDR);
    /* A true one comes after all: the others are none any more. */
    depay_help_hex(&h, IDR, 240 * 9000, true);
    assert_int_equal(h.u[h.n - 1].flags, FRAME_KEY);
    depay_help_hex(&h, sei, 241 * 9000, false);
    depay_help_hex(&h, P1, 241 * 9000, true);
    assert_int_equal(h.u[h.n - 1].flags, 0);
    end();
}

static void test_v16_junk(void **state)
{
    static const char *const junk[] = {"65", "67", "80", "e5 88 84 11", "00", "20 11 22 33", "1e 11 22",
        "1f 11", "7c", "7c 85", "18", "18 00", "18 00 00"};

    (void)state;
    begin_with_sets();
    for (uint32_t i = 0; i < 40; i++) {
        depay_help_hex(&h, junk[i % ARRAY_N(junk)], i * 3600, false);
        depay_help_hex(&h, IDR, i * 3600, true);
        depay_help_feed(&h, SPAN_NONE, i * 3600, true, false);
    }
    depay_flush(h.d);
    assert_int_equal(h.n, 40);
    for (unsigned i = 0; i < h.n; i++) assert_true(depay_help_is(&h, i, IDR));
    assert_true(end()->bad >= 20);
}

static void test_v17_loss(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    /* A fragment in the middle is missing: what is whole of the picture stays, and is said to be damaged. */
    depay_help_hex(&h, P2, 7200, false);
    depay_help_hex(&h, "5c 81 03 29 a4", 7200, false);
    lost_hex("5c 41 b2", 7200, true);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 2, P2));
    assert_int_equal(h.u[2].flags, FRAME_DAMAGED);
    /* Pictures that refer to it, up to the next key frame. */
    depay_help_hex(&h, P3, 10800, true);
    assert_int_equal(h.u[3].flags, FRAME_DAMAGED);
    depay_help_hex(&h, IDR, 14400, true);
    assert_int_equal(h.u[4].flags, FRAME_KEY);
    depay_help_hex(&h, P1, 18000, true);
    assert_int_equal(h.u[5].flags, 0);
    /* The only slice is missing its middle: nothing is left of the picture. */
    depay_help_hex(&h, "5c 81 9a 40", 21600, false);
    lost_hex("5c 41 b1", 21600, true);
    assert_int_equal(h.n, 6);
    depay_help_hex(&h, P3, 25200, true);
    assert_int_equal(h.u[6].flags, FRAME_DAMAGED);
    /* Lost between two pictures, and the next one is a key frame with its first slice. */
    lost_hex(IDR, 28800, true);
    assert_int_equal(h.u[7].flags, FRAME_KEY);
    /* The head of the key frame is missing: damaged, and what follows is. */
    lost_hex(IDR_2, 32400, true);
    assert_int_equal(h.u[8].flags, FRAME_KEY | FRAME_DAMAGED);
    depay_help_hex(&h, P1, 36000, true);
    assert_int_equal(h.u[9].flags, FRAME_DAMAGED);
    assert_int_equal(end()->damaged, 5);
}

/* The end of a picture is lost together with its marker. */
static void test_v17_tail(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P2, 7200, false);
    lost_hex(P3, 10800, true);
    assert_int_equal(h.n, 4);
    assert_true(depay_help_is(&h, 2, P2));
    assert_int_equal(h.u[2].flags, FRAME_DAMAGED);
    assert_int_equal(h.u[3].flags, FRAME_DAMAGED);
    end();
}

/* The stream is joined within a GOP and within a fragmented slice. */
static void test_v18_start(void **state)
{
    (void)state;
    begin_with_sets();
    depay_help_hex(&h, "5c 01 11 22", 0, false);
    depay_help_hex(&h, "5c 41 33", 0, true);
    depay_help_hex(&h, P1, 3600, true);
    depay_help_hex(&h, P2, 7200, true);
    assert_int_equal(h.n, 0);
    depay_help_hex(&h, IDR, 10800, true);
    depay_help_hex(&h, P1, 14400, true);
    assert_int_equal(h.n, 2);
    assert_int_equal(h.u[0].flags, FRAME_KEY);
    assert_int_equal(depay_counters(h.d)->bad, 0);
    /* A new run waits for a key frame again. */
    depay_reset(h.d);
    depay_help_hex(&h, P2, 18000, true);
    depay_help_hex(&h, P3, 21600, true);
    assert_int_equal(h.n, 2);
    depay_help_hex(&h, IDR, 25200, true);
    depay_help_hex(&h, P1, 28800, true);
    assert_int_equal(h.n, 4);
    assert_int_equal(h.changes, 1); /* sets are kept */
    end();
}

/* DEPAY_UNIT_MAX, at the edge and one above; the next picture is whole again. */
static void test_unit_limit(void **state)
{
    CLEANUP(mem_freep) uint8_t *mem = mem_new(DEPAY_UNIT_MAX + 1);

    (void)state;
    memset(mem, 0xaa, DEPAY_UNIT_MAX + 1);
    memcpy(mem, "\x65\x88\x84", 3);
    for (unsigned above = 0; above < 2; above++) {
        begin_with_sets();
        depay_help_feed(&h, span(mem, DEPAY_UNIT_MAX + above), 0, true, false);
        depay_help_hex(&h, IDR, 3600, true);
        depay_flush(h.d);
        assert_int_equal(h.n, 2 - above);
        assert_true(depay_help_is(&h, h.n - 1, IDR));
        end();
    }
}

/* Bytes of fragments that never end stay within the limit. */
static void test_endless_fragments(void **state)
{
    static uint8_t part[60000] = {0x7c, 0x05};

    (void)state;
    begin_with_sets();
    depay_help_hex(&h, IDR, 0, true);
    depay_help_hex(&h, "7c 85 88 84", 3600, false);
    for (unsigned i = 0; i < 400; i++) depay_help_feed(&h, span(part, sizeof part), 3600, false, false);
    depay_help_hex(&h, IDR, 7200, true);
    depay_help_hex(&h, P1, 10800, true);
    depay_flush(h.d);
    assert_int_equal(h.n, 3);
    assert_true(depay_help_is(&h, 1, IDR));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_v1_marker_never_set),
        cmocka_unit_test(test_v1_nothing_moves),
        cmocka_unit_test(test_v2_marker_on_sets),
        cmocka_unit_test(test_v3_marker_on_slices),
        cmocka_unit_test(test_v3_later),
        cmocka_unit_test(test_v3_marker_on_fragments),
        cmocka_unit_test(test_v4_what_is_kept),
        cmocka_unit_test(test_v5_fragments),
        cmocka_unit_test(test_v6_annexb),
        cmocka_unit_test(test_v6_two_pictures),
        cmocka_unit_test(test_v7_stap),
        cmocka_unit_test(test_v8_several_ids),
        cmocka_unit_test(test_v8_content),
        cmocka_unit_test(test_v8_flips),
        cmocka_unit_test(test_v8_slow_changes),
        cmocka_unit_test(test_v9_s13_sets_in_sdp),
        cmocka_unit_test(test_v14_recovery_point),
        cmocka_unit_test(test_v14_no_key_frames),
        cmocka_unit_test(test_v16_junk),
        cmocka_unit_test(test_v17_loss),
        cmocka_unit_test(test_v17_tail),
        cmocka_unit_test(test_v18_start),
        cmocka_unit_test(test_unit_limit),
        cmocka_unit_test(test_endless_fragments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
