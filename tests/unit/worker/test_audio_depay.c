#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/support/corpora.h"
#include "tests/support/depay_help.h"

#define HBR     "streamtype=5;mode=AAC-hbr;config=1408;SizeLength=13;IndexLength=3;IndexDeltaLength=3"
#define DOC_MAX DEPAY_DOCUMENT_MAX

static struct depay_help h;

static bool unit_is(unsigned i, const char *text)
{
    return i < h.n && span_is(depay_help_bytes(&h, i), text);
}

static const struct depay_counters *end(void)
{
    static struct depay_counters c;

    c = *depay_counters(h.d);
    depay_help_done(&h);
    return &c;
}

static void feed(const char *bytes, size_t n, uint32_t ts, bool marker, bool lost)
{
    depay_help_feed(&h, span(bytes, n), ts, marker, lost);
}

#define FEED(lit, ts, marker) feed(lit, sizeof(lit) - 1, ts, marker, false)

static void test_aac_units(void **state)
{
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_AAC, 16000, HBR);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.sample_rate, 16000);
    assert_int_equal(t.channels, 1);
    assert_memory_equal(t.config, "\x14\x08", 2);
    FEED("\x00\x10\x00\x20"
         "abcd",
        1000, true);
    FEED("\x00\x20\x00\x18\x00\x10"
         "abc"
         "de",
        2024, true); /* two in one packet (T12) */
    assert_int_equal(h.n, 3);
    assert_true(unit_is(0, "abcd") && unit_is(1, "abc") && unit_is(2, "de"));
    assert_int_equal(h.u[1].offset, 0);
    assert_int_equal(h.u[2].offset, 1024);
    assert_int_equal(h.u[2].timestamp, 2024);
    assert_int_equal(h.u[0].dur, 1024);
    assert_int_equal(h.u[0].flags, FRAME_KEY);
    end();
}

/* A1: one access unit over several packets; a hole in it; size beyond what comes. */
static void test_a1_fragments(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_AAC, 16000, HBR);
    FEED("\x00\x10\x00\x38"
         "abc",
        0, false);
    FEED("\x00\x10\x00\x38"
         "defg",
        0, true);
    assert_true(unit_is(0, "abcdefg"));
    FEED("\x00\x10\x00\x38"
         "abc",
        1024, false);
    feed("\x00\x10\x00\x38"
         "fg",
        6, 1024, true, true);
    FEED("\x00\x10\x00\x38"
         "abc",
        2048, true);
    FEED("\x00\x10\x00\x18"
         "xyz",
        3072, true);
    assert_int_equal(h.n, 2);
    assert_true(unit_is(1, "xyz"));
    assert_int_equal(end()->dropped, 2);
}

/* A1: ADTS inside access units, and instead of AU headers. */
static void test_a1_adts(void **state)
{
    /* AAC-LC, 16 kHz, mono, 7 + 3 bytes. */
#define ADTS "\xff\xf1\x60\x40\x01\x5f\xfc"
    (void)state;
    depay_help_init(&h, CODEC_AAC, 16000, HBR);
    FEED("\x00\x10\x00\x50" ADTS "abc", 0, true);
    FEED(ADTS "def", 1024, true);
    FEED(ADTS "ghi" ADTS "jkl", 2048, true);
    assert_int_equal(h.n, 4);
    assert_true(unit_is(0, "abc") && unit_is(1, "def") && unit_is(2, "ghi") && unit_is(3, "jkl"));
    assert_int_equal(h.u[3].offset, 1024);
    assert_int_equal(h.changes, 0); /* the configuration of the description stands */
    end();
    /* Without one the headers say it. */
    depay_help_init(&h, CODEC_AAC, 48000, NULL);
    FEED(ADTS "def", 1024, true);
    assert_int_equal(h.changes, 1);
    assert_true(unit_is(0, "def"));
    end();
}

/* A1: AU-headers-length 0, sizes of nothing, headers longer than the packet. */
static void test_a1_bad_headers(void **state)
{
    (void)state;
    depay_help_init(&h, CODEC_AAC, 16000, HBR);
    FEED("\x00\x00"
         "abc",
        0, true);
    FEED("\x00\x10\x00\x00"
         "abc",
        0, true);
    FEED("\xff\x00\x00\x18"
         "abc",
        0, true);
    FEED("\x00", 0, true);
    FEED("\x00\x10", 0, true);
    assert_int_equal(h.n, 0);
    assert_int_equal(end()->bad, 5);
}

/* A2: no fmtp at all; lengths in odd spelling; config that is no hexadecimal. S17: config wins over rtpmap.
 */
static void test_a2_defaults(void **state)
{
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_AAC, 8000, NULL);
    assert_true(depay_track(h.d, &t));
    assert_memory_equal(t.config, "\x15\x88", 2);
    FEED("\x00\x10\x00\x20"
         "abcd",
        0, true);
    assert_true(unit_is(0, "abcd"));
    end();
    depay_help_init(&h, CODEC_AAC, 16000, "CONFIG=14zz; sizeLENGTH = 13;");
    assert_true(depay_track(h.d, &t));
    assert_memory_equal(t.config, "\x14\x08", 2);
    end();
    depay_help_init(&h, CODEC_AAC, 44100, HBR);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.sample_rate, 16000);
    assert_int_equal(t.clock_hz, 44100);
    end();
    depay_help_init(&h, CODEC_AAC, 48000, "mode=AAC-hbr;config=119056E500");
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.config_n, 5); /* as sent */
    end();
}

static void test_a6_g711(void **state)
{
    static uint8_t block[1028] = {0, 1, 0, 0};
    static const size_t sizes[] = {384, 320, 1024, 1};
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_PCMA, 0, NULL);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.clock_hz, 8000);
    assert_int_equal(t.channels, 1);
    for (size_t i = 0; i < ARRAY_N(sizes); i++)
        depay_help_feed(&h, span(block, sizes[i]), (uint32_t)i, i == 0, false);
    for (unsigned i = 0; i < h.n; i++) assert_int_equal(h.u[i].dur, sizes[i]);
    block[2] = 80;
    depay_help_feed(&h, span(block, 164), 0, false, false);
    depay_help_feed(&h, SPAN_NONE, 0, false, false);
    assert_int_equal(h.n, 5);
    assert_int_equal(h.u[4].dur, 160);
    end();
}

/* A7: UniFi says 44100/1; the packets say what it is. */
static void test_a7_opus(void **state)
{
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_OPUS, 44100, NULL);
    assert_false(depay_track(h.d, &t));
    FEED("\xf8\x01\x02", 0, true);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.clock_hz, 48000);
    assert_int_equal(t.channels, 1);
    FEED("\xfc\x01\x02", 960, true);
    FEED("\xf8\x01\x02", 1920, true);
    assert_int_equal(h.changes, 2);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.channels, 2);
    assert_int_equal(h.u[0].dur, 960);
    FEED("\xff", 0, true);
    assert_int_equal(end()->bad, 1);
}

static void test_a9_documents(void **state)
{
    struct track t;

    (void)state;
    depay_help_init(&h, CODEC_ONVIF, 90000, NULL);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.kind, TRACK_DATA);
    assert_memory_equal(t.config, "vnd.onvif.metadata", 18);
    FEED("<a>", 0, false);
    FEED("</a>", 0, true);
    FEED("<b/>", 10, false); /* its marker is missing */
    FEED("<c/>", 20, true);
    assert_int_equal(h.n, 3);
    assert_true(unit_is(0, "<a></a>") && unit_is(1, "<b/>") && unit_is(2, "<c/>"));
    /* A hole in a document; a document that begins behind a hole. */
    FEED("<d>", 30, false);
    feed("</d>", 4, 30, true, true);
    assert_int_equal(h.n, 3);
    feed("<e/>", 4, 40, true, true);
    assert_true(unit_is(3, "<e/>"));
    assert_int_equal(end()->dropped, 1);
}

/* A9: longer than 64 KiB, up to DEPAY_DOCUMENT_MAX; one byte more is dropped, and the next one is whole. */
static void test_a9_limit(void **state)
{
    char *part = mem_new(DOC_MAX / 16);

    (void)state;
    memset(part, 'x', DOC_MAX / 16);
    for (unsigned above = 0; above < 2; above++) {
        depay_help_init(&h, CODEC_ONVIF, 90000, NULL);
        h.batch = 5;
        for (unsigned i = 0; i < 16; i++) feed(part, DOC_MAX / 16, 0, i == 15 && !above, false);
        if (above) FEED("y", 0, true);
        FEED("<z/>", 1, true);
        assert_int_equal(h.n, 2 - above);
        if (!above) assert_int_equal(depay_help_bytes(&h, 0).n, DOC_MAX);
        assert_true(unit_is(1 - above, "<z/>"));
        end();
    }
    mem_free(part);
}

static void test_none_of_ours(void **state)
{
    struct depay_media m = {.codec = CODEC_NONE};
    struct depay_out out = {0};
    struct depay *d = NULL;

    (void)state;
    assert_int_equal(depay_new(&m, &out, &d), DEPAY_E_CODEC);
    assert_null(d);
    depay_free(NULL);
}

/* SIPp's capture of a real G.711 call: 236 packets of 30 ms. */
static void test_corpora_g711(void **state)
{
    char dir[200], path[256];
    struct buf b;
    struct rd r;
    unsigned fed = 0;

    (void)state;
    if (!corpora_dir("audio", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(&b, 1 << 20);
    snprintf(path, sizeof path, "%s/g711a.pcap", dir);
    assert_true(corpora_read(path, &b));
    depay_help_init(&h, CODEC_PCMA, 8000, NULL);
    r = rd_of(buf_span(&b));
    rd_skip(&r, 24);
    while (rd_left(&r) > 16) {
        struct span packet;
        uint32_t captured, ts;
        struct rd p;

        rd_skip(&r, 8);
        captured = __builtin_bswap32(rd_u32(&r)); /* a pcap of a little-endian machine */
        rd_skip(&r, 4);
        packet = rd_bytes(&r, captured);
        p = rd_of(span_from(packet, 14 + 20 + 8)); /* Ethernet, IPv4, UDP */
        assert_int_equal(rd_u32(&p) >> 16 & 0xff7f, 0x8008);
        ts = rd_u32(&p);
        rd_skip(&p, 4);
        depay_help_feed(&h, rd_rest(&p), ts, false, false);
        assert_int_equal(h.u[fed].dur, 240);
        fed++;
    }
    assert_int_equal(fed, 236);
    assert_int_equal(h.n, 236);
    depay_help_done(&h);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aac_units),
        cmocka_unit_test(test_a1_fragments),
        cmocka_unit_test(test_a1_adts),
        cmocka_unit_test(test_a1_bad_headers),
        cmocka_unit_test(test_a2_defaults),
        cmocka_unit_test(test_a6_g711),
        cmocka_unit_test(test_a7_opus),
        cmocka_unit_test(test_a9_documents),
        cmocka_unit_test(test_a9_limit),
        cmocka_unit_test(test_none_of_ours),
        cmocka_unit_test(test_corpora_g711),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
