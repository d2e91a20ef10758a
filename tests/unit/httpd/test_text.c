#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <zlib.h>

#include "common/base/mem.h"
#include "httpd/archive.h"
#include "httpd/gzip.h"
#include "httpd/hls.h"
#include "httpd/json.h"

static void assert_text(struct text *b, const char *want)
{
    assert_int_equal(text_span(b).n, strlen(want));
    assert_memory_equal(text_span(b).p, want, strlen(want));
    buf_clear(&b->b);
}

static void test_json_text(void **state)
{
    struct text b;

    (void)state;
    text_init(&b, 4096);
    json_text(&b, SPAN_LIT("Gate \"1\" \\ <b>&\n\x7f"));
    assert_text(&b, "\"Gate \\\"1\\\" \\\\ \\u003cb\\u003e\\u0026\\u000a\\u007f\"");
    json_text(&b, SPAN_LIT("\xd0\x94\xd0\xb2\xd0\xb5\xd1\x80\xd1\x8c \xf0\x9f\x93\xb7"));
    assert_text(&b, "\"\xd0\x94\xd0\xb2\xd0\xb5\xd1\x80\xd1\x8c \xf0\x9f\x93\xb7\"");
    /* no UTF-8: overlong, surrogate, above U+10FFFF, cut */
    json_text(&b, SPAN_LIT("\xc0\xaf"));
    assert_text(&b, "\"\\ufffd\\ufffd\"");
    json_text(&b, SPAN_LIT("\xed\xa0\x80"));
    assert_text(&b, "\"\\ufffd\\ufffd\\ufffd\"");
    json_text(&b, SPAN_LIT("\xf4\x90\x80\x80"));
    assert_text(&b, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    json_text(&b, SPAN_LIT("a\xe2\x82"));
    assert_text(&b, "\"a\\ufffd\\ufffd\"");
    text_done(&b);
}

static void test_playlist_text(void **state)
{
    struct hls_head head = {.target_s = 4, .msn = 7, .discont_seq = 2, .independent = true};
    struct hls_segment s = {"live-7.m4s", 4000000, 1700000000000000, true};
    struct text b;

    (void)state;
    text_init(&b, HLS_LIVE_MAX);
    hls_begin(&b, &head);
    hls_map(&b, "i.mp4");
    hls_segment(&b, &s);
    assert_true(text_ok(&b));
    assert_text(&b,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"i.mp4\"\n"
        "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z\n"
        "#EXTINF:4.000000,\nlive-7.m4s\n");
    text_done(&b);
    assert_int_equal(hls_rounded_s(4499999), 4);
    assert_int_equal(hls_rounded_s(4500000), 5);
    assert_int_equal(hls_rounded_s(1), 1);
}

/* A list that does not fit says so, wherever its limit cuts it. */
static size_t write_vod(size_t limit, bool *ret_ok)
{
    struct hls_head head = {.target_s = 4, .type = "VOD"};
    struct hls_segment s = {"x.m4s", 4000000, 1700000000000000, false};
    struct text b;
    size_t n;

    text_init(&b, limit);
    hls_begin(&b, &head);
    hls_segment(&b, &s);
    hls_end(&b);
    *ret_ok = text_ok(&b);
    n = text_span(&b).n;
    text_done(&b);
    return n;
}

static void test_playlist_limit(void **state)
{
    bool ok;
    size_t whole = write_vod(HLS_VOD_MAX, &ok);

    (void)state;
    assert_true(ok);
    for (size_t limit = 0; limit < whole; limit++) {
        assert_true(write_vod(limit, &ok) <= limit);
        assert_false(ok);
    }
}

static void test_master(void **state)
{
    struct track_set set = {.n = 3};
    struct hls_variant v = {&set, 3, 2500000, 2000000, 25000, "video.m3u8"};
    static const uint8_t asc[] = {0x14, 0x08};
    struct text b;

    (void)state;
    set.t[0] = (struct track){.codec = CODEC_OPUS, .kind = TRACK_AUDIO, .clock_hz = 48000};
    set.t[1] =
        (struct track){.codec = CODEC_AAC, .kind = TRACK_AUDIO, .clock_hz = 16000, .config_n = sizeof(asc)};
    memcpy(set.t[1].config, asc, sizeof(asc));
    set.t[2] = (struct track){.codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000};
    text_init(&b, HLS_MASTER_MAX);
    hls_master(&b, &v, 1);
    assert_text(&b,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,"
        "CODECS=\"opus,mp4a.40.2\",FRAME-RATE=25.000\nvideo.m3u8\n");
    text_done(&b);
}

static void test_gzip(void **state)
{
    static uint8_t in[50000], back[sizeof(in)];
    z_stream z = {0};
    uint8_t *p;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++) in[i] = (uint8_t)("playlist "[i % 9]);
    assert_true(gzip_pack(span(in, sizeof(in)), GZIP_QUICK, &p, &n));
    assert_true(n < 1000);
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = p;
    z.avail_in = (uInt)n;
    z.next_out = back;
    z.avail_out = sizeof(back);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_memory_equal(in, back, sizeof(in));
    inflateEnd(&z);
    mem_free(p);
    /* what would grow stays as it is */
    assert_false(gzip_pack(SPAN_LIT("x"), GZIP_BEST, &p, &n));
    assert_false(gzip_pack(SPAN_NONE, GZIP_BEST, &p, &n));
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } good[] = {
        {"1700000000", 1700000000},
        {"2023-11-14T22:13:20Z", 1700000000},
        {"2023-11-14 22:13:20", 1700000000},
        {"2023-11-14_22:13:20", 1700000000},
        {"2023-11-15T01:13:20+03:00", 1700000000},
        {"2023-11-15T01:13:20 03:00", 1700000000},
        {"2023-11-14T18:43:20.250-0330", 1700000000},
        {"2024-02-29T00:00:00Z", 1709164800},
    };
    static const char *const bad[] = {"", "x", "-5", "2023-11-14", "2023-13-14T00:00:00Z",
        "2023-11-14T24:00:00Z", "2023-11-14T22:13:20+99:00", "2023-11-14T22:13:20Zx", "2023-11-14T22:13:20+3",
        "999999999999"};
    usec_t us;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(good); i++) {
        assert_true(archive_date(span_of(good[i].text), &us));
        assert_int_equal(us / US_PER_S, good[i].s);
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(archive_date(span_of(bad[i]), &us));
    assert_true(archive_span(SPAN_LIT("60"), 5 * US_PER_S, &us));
    assert_int_equal(us, 65 * US_PER_S);
    assert_false(archive_span(SPAN_LIT("0"), 5 * US_PER_S, &us));
    assert_false(archive_span(SPAN_LIT("now"), 5 * US_PER_S, &us));
}

static void test_numbers(void **state)
{
    struct text t;

    (void)state;
    text_init(&t, 200);
    text_dec(&t, 0, 1);
    text_put(&t, " ");
    text_dec(&t, 7, 6);
    text_put(&t, " ");
    text_dec(&t, UINT64_MAX, 1);
    text_put(&t, " ");
    text_hex(&t, 0);
    text_put(&t, " ");
    text_hex(&t, 0x18bcfe567f900);
    text_put(&t, " ");
    text_hex(&t, UINT64_MAX);
    assert_true(span_is(text_span(&t), "0 000007 18446744073709551615 0 18bcfe567f900 ffffffffffffffff"));
    text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_json_text),
        cmocka_unit_test(test_playlist_text),
        cmocka_unit_test(test_playlist_limit),
        cmocka_unit_test(test_master),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
