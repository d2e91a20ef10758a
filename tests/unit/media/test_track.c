#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/track.h"

static struct track_set sample(void)
{
    static const uint8_t avcc[] = {1, 0x64, 0, 0x1f, 0xff, 0xe0, 0};
    static const uint8_t asc[] = {0x12, 0x10};
    struct track_set s = {.gen = 7, .n = 2};

    s.t[0] = (struct track){.codec = CODEC_H264,
        .kind = TRACK_VIDEO,
        .clock_hz = 90000,
        .width = 1920,
        .height = 1080,
        .sar_w = 1,
        .sar_h = 1,
        .config_n = sizeof avcc};
    memcpy(s.t[0].config, avcc, sizeof avcc);
    s.t[1] = (struct track){.codec = CODEC_AAC,
        .kind = TRACK_AUDIO,
        .clock_hz = 44100,
        .sample_rate = 44100,
        .channels = 2,
        .config_n = sizeof asc};
    memcpy(s.t[1].config, asc, sizeof asc);
    return s;
}

static void test_round_trip(void **state)
{
    struct track_set s = sample(), got;
    uint8_t mem[TRACK_SET_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof mem);
    struct rd r;

    (void)state;
    track_set_write(&w, &s);
    assert_true(wr_ok(&w));
    r = rd_of(wr_span(&w));
    assert_true(track_set_read(&r, &got));
    assert_int_equal(rd_left(&r), 0);
    assert_int_equal(got.gen, 7);
    assert_true(track_set_same(&s, &got));
    got.gen = 8;
    assert_true(track_set_same(&s, &got));
    got.t[1].config[1] ^= 1;
    assert_false(track_set_same(&s, &got));
}

static void test_largest_fits(void **state)
{
    struct track_set s = {.gen = UINT32_MAX, .n = TRACK_MAX};
    uint8_t mem[TRACK_SET_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof mem);

    (void)state;
    for (unsigned i = 0; i < TRACK_MAX; i++)
        s.t[i] = (struct track){
            .codec = CODEC_H265, .kind = TRACK_VIDEO, .clock_hz = 90000, .config_n = TRACK_CONFIG_MAX};
    track_set_write(&w, &s);
    assert_true(wr_ok(&w));
}

/* Every cut and every changed byte is read or refused, never more than that. */
static void test_damaged(void **state)
{
    struct track_set s = sample(), got;
    uint8_t mem[TRACK_SET_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof mem);

    (void)state;
    track_set_write(&w, &s);
    for (size_t n = 0; n < w.n; n++) {
        struct rd r = rd_of(span(mem, n));

        assert_false(track_set_read(&r, &got));
    }
    for (size_t i = 0; i < w.n; i++) {
        struct rd r;

        mem[i] ^= 0xff;
        r = rd_of(span(mem, w.n));
        if (track_set_read(&r, &got)) assert_true(got.n <= TRACK_MAX && got.t[0].clock_hz > 0);
        mem[i] ^= 0xff;
    }
}

static void refused(struct track_set s)
{
    uint8_t mem[TRACK_SET_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof mem);
    struct track_set got;
    struct rd r;

    track_set_write(&w, &s);
    r = rd_of(wr_span(&w));
    assert_false(track_set_read(&r, &got));
}

static void test_refused(void **state)
{
    struct track_set s = sample();

    (void)state;
    s.t[0].clock_hz = 0;
    refused(s);
    s = sample();
    s.t[0].kind = TRACK_AUDIO;
    refused(s);
    s = sample();
    s.t[1].codec = (enum codec)99;
    refused(s);
    s = sample();
    s.t[1].codec = CODEC_NONE;
    refused(s);
}

static void test_rfc6381(void **state)
{
    static const uint8_t hvcc[] = {1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93};
    struct track_set s = sample();
    struct track t = {.codec = CODEC_H265, .config_n = sizeof hvcc};
    char name[48];

    (void)state;
    assert_string_equal(codec_rfc6381(&s.t[0], name, sizeof name), "avc1.64001f");
    assert_string_equal(codec_rfc6381(&s.t[1], name, sizeof name), "mp4a.40.2");
    memcpy(t.config, hvcc, sizeof hvcc);
    assert_string_equal(codec_rfc6381(&t, name, sizeof name), "hvc1.1.6.L93.90");
    t.config_n = 5;
    assert_string_equal(codec_rfc6381(&t, name, sizeof name), "");
    t.codec = CODEC_OPUS;
    assert_string_equal(codec_rfc6381(&t, name, sizeof name), "opus");
    t.codec = CODEC_PCMA;
    assert_string_equal(codec_rfc6381(&t, name, sizeof name), "");
    t.codec = (enum codec)77;
    assert_string_equal(codec_rfc6381(&t, name, sizeof name), "");
}

static void test_names(void **state)
{
    struct track_set s = sample();

    (void)state;
    assert_string_equal(codec_name(CODEC_H265), "H265");
    assert_string_equal(codec_name((enum codec)99), "none");
    assert_int_equal(codec_kind(CODEC_ONVIF), TRACK_DATA);
    assert_int_equal(track_find(&s, TRACK_AUDIO), 1);
    assert_int_equal(track_find(&s, TRACK_DATA), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_largest_fits),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rfc6381),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
