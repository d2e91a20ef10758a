#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/aac.h"
#include "common/media/g711.h"
#include "common/media/opus.h"
#include "tests/support/corpora.h"

static bool parse(const char *bytes, size_t n, struct aac_config *c)
{
    return aac_config_parse(span(bytes, n), c);
}

static void test_config(void **state)
{
    struct aac_config c;

    (void)state;
    assert_true(parse("\x12\x10", 2, &c));
    assert_int_equal(c.object, AAC_LC);
    assert_int_equal(c.rate, 44100);
    assert_int_equal(c.channels, 2);
    assert_int_equal(c.frame, 1024);
    assert_true(parse("\x14\x0c", 2, &c)); /* frameLengthFlag */
    assert_int_equal(c.rate, 16000);
    assert_int_equal(c.channels, 1);
    assert_int_equal(c.frame, 960);
    assert_false(parse("\x12", 1, &c));
    assert_false(parse("", 0, &c));
    assert_false(parse("\x17\x00", 2, &c)); /* reserved rate */
}

/* A1: SBR stated at the end (119056E500), or first (2B...). */
static void test_a1_sbr(void **state)
{
    struct aac_config c;

    (void)state;
    assert_true(parse("\x11\x90\x56\xe5\x00", 5, &c));
    assert_int_equal(c.object, AAC_LC);
    assert_int_equal(c.rate, 48000);
    assert_int_equal(c.out_rate, 48000);
    assert_false(c.sbr);
    assert_true(parse("\x13\x10\x56\xe5\x98", 5, &c));
    assert_true(c.sbr);
    assert_int_equal(c.rate, 24000);
    assert_int_equal(c.out_rate, 48000);
    assert_true(parse("\x2b\x11\x88\x00", 4, &c));
    assert_true(c.sbr);
    assert_int_equal(c.object, AAC_LC);
    assert_int_equal(c.rate, 24000);
    assert_int_equal(c.out_rate, 48000);
}

static void test_config_round_trip(void **state)
{
    static const uint32_t rates[] = {8000, 16000, 44100, 48000, 12345, 96000, 7350};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rates); i++)
        for (uint8_t channels = 1; channels <= AAC_CHANNELS_MAX; channels++) {
            uint8_t mem[8];
            struct wr w = wr_of(mem, sizeof mem);
            struct aac_config c;

            aac_config_write(&w, AAC_LC, rates[i], channels);
            assert_true(aac_config_parse(wr_span(&w), &c));
            assert_int_equal(c.object, AAC_LC);
            assert_int_equal(c.rate, rates[i]);
            assert_int_equal(c.channels, channels);
        }
}

static void test_adts_corpora(void **state)
{
    static const struct {
        const char *file;
        uint32_t rate;
        unsigned frames;
    } want[] = {{"sample.adts", 44100, 144}, {"bbb_1ch_8kHz_aac_lc.aac", 8000, 25}};
    char dir[200], path[256];
    struct buf b;

    (void)state;
    if (!corpora_dir("audio", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < ARRAY_N(want); i++) {
        struct span rest;
        struct aac_adts h;
        unsigned n = 0;

        snprintf(path, sizeof path, "%s/%s", dir, want[i].file);
        assert_true(corpora_read(path, &b));
        for (rest = buf_span(&b); aac_adts_parse(rest, &h); n++) {
            assert_int_equal(h.rate, want[i].rate);
            assert_int_equal(h.channels, 1);
            rest = span_from(rest, h.frame_n);
        }
        assert_int_equal(n, want[i].frames);
    }
    buf_done(&b);
}

static void test_opus(void **state)
{
    (void)state;
    assert_int_equal(opus_samples(SPAN_LIT("\x08")), 960);     /* SILK 20 ms, one frame */
    assert_int_equal(opus_samples(SPAN_LIT("\x1a")), 5760);    /* 60 ms, two frames */
    assert_int_equal(opus_samples(SPAN_LIT("\xfc")), 960);     /* CELT 20 ms, stereo */
    assert_int_equal(opus_samples(SPAN_LIT("\xe3\x05")), 600); /* CELT 2.5 ms, 5 frames */
    assert_int_equal(opus_samples(SPAN_LIT("\xfb\x07")), 0);   /* 140 ms */
    assert_int_equal(opus_samples(SPAN_LIT("\xfb")), 0);
    assert_int_equal(opus_samples(SPAN_NONE), 0);
    assert_true(opus_stereo(SPAN_LIT("\xfc")));
    assert_false(opus_stereo(SPAN_LIT("\xf8")));
}

/* A6: HiSilicon's block header goes, sound that only looks a little like it stays. */
static void test_a6_vendor_header(void **state)
{
    uint8_t block[164] = {0, 1, 80, 0, 0xd5};

    (void)state;
    assert_int_equal(g711_without_header(span(block, 164)).n, 160);
    assert_int_equal(g711_without_header(span(block, 163)).n, 163);
    block[3] = 1;
    assert_int_equal(g711_without_header(span(block, 164)).n, 164);
    assert_int_equal(g711_samples(384, 1), 384);
    assert_int_equal(g711_samples(1024, 2), 512);
    assert_int_equal(g711_samples(5, 0), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_a1_sbr),
        cmocka_unit_test(test_config_round_trip),
        cmocka_unit_test(test_adts_corpora),
        cmocka_unit_test(test_opus),
        cmocka_unit_test(test_a6_vendor_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
