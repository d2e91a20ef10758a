/* The roads of the archive: segments written by the segment writer, indexed, asked for over sockets; ffprobe
 * judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/archive_site.h"
#include "tests/support/playlist.h"
#include "tests/support/tool.h"

#define UID SITE_UID
#define T0  SITE_T0

static void map_of(char *dst, size_t cap)
{
    struct span mark = SPAN_LIT("#EXT-X-MAP:URI=\""), text = span_of(site.text);
    ssize_t at = span_find_span(text, mark);

    assert_true(at >= 0);
    text = span_from(text, (size_t)at + mark.n);
    assert_true(span_copy(span_sub(text, 0, (size_t)span_find(text, '"')), dst, cap));
}

static void test_playlist(void **state)
{
    struct http_reply r;
    struct span text;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-3600.m3u8", NULL, &r), 200);
    text = r.body;
    assert_int_equal(playlist_count(text, "#EXT-X-DISCONTINUITY\n"), 1); /* the gap */
    assert_int_equal(playlist_count(text, "#EXT-X-MAP:"), 1);            /* the same tracks all along */
    assert_int_equal(playlist_count(text, "#EXTINF:4.0"), 2 * 4);
    assert_int_equal(playlist_count(text, "#EXT-X-TARGETDURATION:4\n"), 1);
    assert_true(span_ends(text, SPAN_LIT("#EXT-X-ENDLIST\n")));
    assert_true(span_find_span(text, SPAN_LIT("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:2")) > 0);
    http_reply_done(&r);
    /* one second of it: the group of pictures that holds it */
    assert_int_equal(site_get("/dvr/" UID "/playlist.m3u8?timestamp=1700000005&duration=1", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 1);
    http_reply_done(&r);
    assert_int_equal(
        site_get("/dvr/" UID "/playlist_ios.m3u8?time=2023-11-14T22:13:25Z&duration=6", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 2);
    http_reply_done(&r);
}

/* Closed, but the keeper has not put it into the index yet. */
static void test_closed_a_moment_ago(void **state)
{
    struct ring_status *st;
    struct seg_info *info = NEW(struct seg_info);
    struct http_reply r;
    char name[128];

    (void)state;
    site_need_footage();
    st = ring_writer_status(site.camera.w);
    must(segw_close(site.open, info) == 0);
    site_publish_open(T0 + 132 * US_PER_S);
    assert_int_equal(site_get("archive-1700000116-60.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 2 + 2 + 2);
    assert_int_equal(playlist_count(r.body, "#EXT-X-DISCONTINUITY\n"), 0);
    for (unsigned i = 0; i < 5; i++) {
        struct http_reply part;
        char url[160];

        assert_true(site_uri(i, name, sizeof(name)));
        snprintf(url, sizeof(url), "/" UID "/%s", name);
        assert_true(httpd_help_get(&site.help, url, NULL, &part));
        assert_int_equal(part.status, 200);
        http_reply_done(&part);
    }
    http_reply_done(&r);
    assert_int_equal(site_get("recording_status.json?from=1700000100&to=1700001000", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "\"from\""), 1);
    http_reply_done(&r);
    assert_int_equal(atomic_load(&st->rec_segment), segw_id(site.open));
    mem_free(info);
}

static void test_master_names_the_media(void **state)
{
    struct http_reply r;
    char uri[128];

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("index-1700000000-3600.m3u8", NULL, &r), 200);
    assert_true(span_find_span(r.body, SPAN_LIT("CODECS=\"avc1.")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("RESOLUTION=")) > 0);
    assert_true(site_uri(0, uri, sizeof(uri)));
    assert_string_equal(uri, "archive-1700000000-3600.m3u8");
    http_reply_done(&r);
}

static void put_bytes(struct buf *whole, const char *name)
{
    struct http_reply r;
    char url[256];

    snprintf(url, sizeof(url), "/" UID "/%s", name);
    assert_true(httpd_help_get(&site.help, url, NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(buf_put(whole, r.body));
    http_reply_done(&r);
}

/* Frames that ffprobe decodes from the file `site.out`. */
static unsigned frames_of(const char *stream)
{
    const char *argv[] = {"ffprobe", "-v", "error", "-count_frames", "-select_streams", stream,
        "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", site.out, NULL};
    struct buf b;
    struct span text;
    uint64_t n = 0;

    buf_init(&b, 1 << 20);
    assert_int_equal(tool_run(argv, &b), 0);
    text = span_trim(buf_span(&b));
    if (text.n > 0 && text.p[text.n - 1] == ',') text.n--;
    assert_true(span_u64(text, 100000, &n));
    buf_done(&b);
    return (unsigned)n;
}

/* Every piece of two neighbouring segments, one behind the other, is all of their site.footage, and nothing
 * twice.
 */
static void test_pieces_are_the_footage(void **state)
{
    struct http_reply r;
    struct buf whole;
    char name[128];
    int fd;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-16.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(playlist_count(span_of(site.text), "#EXTINF"), 4);
    buf_init(&whole, 64 << 20);
    map_of(name, sizeof(name));
    put_bytes(&whole, name);
    for (unsigned i = 0; site_uri(i, name, sizeof(name)); i++) put_bytes(&whole, name);
    fd = open(site.out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0 && fd_write_all(fd, buf_span(&whole)) == 0);
    fd_close(&fd);
    buf_done(&whole);
    assert_int_equal(frames_of("v"), 2 * SITE_FOOTAGE_S * 25);
    assert_true(frames_of("a") > 2 * SITE_FOOTAGE_S * 40);
}

/* Ranges of a segment are the bytes that the whole has there, on both sides of the border of head and media.
 */
static void test_segment_ranges(void **state)
{
    struct http_reply whole, part;
    char name[128], fields[96];
    static const size_t at[] = {0, 1, 100, 1500, 2500, 60000};

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-1.m3u8", NULL, &part), 200);
    http_reply_done(&part);
    assert_true(site_uri(0, name, sizeof(name)));
    assert_int_equal(site_get(name, NULL, &whole), 200);
    for (size_t i = 0; i < ARRAY_N(at); i++) {
        size_t from = MIN(at[i], whole.body.n - 1), n = MIN(5000, whole.body.n - from);

        snprintf(fields, sizeof(fields), "Range: bytes=%zu-%zu\r\n", from, from + n - 1);
        assert_int_equal(site_get(name, fields, &part), 206);
        assert_int_equal(part.body.n, n);
        assert_memory_equal(part.body.p, whole.body.p + from, n);
        http_reply_done(&part);
    }
    snprintf(fields, sizeof(fields), "If-None-Match: %.*s\r\n", SPAN_FMT(http_reply_field(&whole, "ETag")));
    assert_int_equal(site_get(name, fields, &part), 304);
    http_reply_done(&part);
    http_reply_done(&whole);
}

/* HEAD, then several segments on one connection, the socket lent and taken back in between. */
static void test_segments_on_one_connection(void **state)
{
    char name[128], text[256];
    struct http_reply r;
    int fd = httpd_help_connect(&site.help);
    size_t want = 0;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    for (unsigned i = 0; i < 5; i++) {
        int n = snprintf(
            text, sizeof(text), "%s /" UID "/%s HTTP/1.1\r\nHost: t\r\n\r\n", i == 0 ? "HEAD" : "GET", name);
        uint64_t length;

        assert_true(http_help_ask(fd, span(text, (size_t)n), SIZE_MAX, &r));
        assert_int_equal(r.status, 200);
        assert_true(span_u64(http_reply_field(&r, "Content-Length"), UINT32_MAX, &length));
        if (i == 0) want = length;
        assert_int_equal(length, want);
        assert_int_equal(r.body.n, i == 0 ? 0 : want);
        http_reply_done(&r);
    }
    close(fd);
}

static void test_outside_of_the_archive(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000030-10.m3u8", NULL, &r), 404);
    assert_true(span_is(http_reply_field(&r, "X-Nearest-Recorded"), "1700000015"));
    assert_int_equal(playlist_count(r.body, "1700000015"), 1);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000100-10.m3u8", NULL, &r), 404);
    assert_true(span_is(http_reply_field(&r, "X-Nearest-Recorded"), "1700000116") ||
        span_is(http_reply_field(&r, "X-Nearest-Recorded"), "1700000117"));
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1600000000-10.m3u8", NULL, &r), 404);
    assert_true(http_reply_field(&r, "X-Nearest-Recorded").n > 0);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1900000000-10.m3u8", NULL, &r), 404);
    http_reply_done(&r);
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {"archive-x-10.m3u8", "archive-1700000000-x.m3u8",
        "archive-1700000000-0.m3u8", "rewind-x.m3u8", "rewind-0.m3u8", "timeshift_rel-1-x.m3u8",
        "/dvr/" UID "/playlist.m3u8", "/dvr/" UID "/playlist.m3u8?timestamp=x",
        "/dvr/" UID "/playlist.m3u8?time=yesterday",
        "/dvr/" UID "/playlist.m3u8?timestamp=1700000000&duration=-1", "recording_status.json?from=x",
        "recording_status.json?from=5&to=4", "dvr-00000000-x-0-1.m4s", "dvr-00000000-1-1-1.m4s",
        "dvr-00000000-1-2-1.m4s", "dvr-init-00000000-x.mp4"};
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        unsigned status = site_get(bad[i], NULL, &r);

        if (status != 400) print_message("%s: %u\n", bad[i], status);
        assert_int_equal(status, 400);
        http_reply_done(&r);
    }
}

/* Longer than a playlist may be: the limit is named. */
static void test_too_long(void **state)
{
    static const char *const long_ones[] = {"archive-1700000000-604861.m3u8", "archive-1700000000-now.m3u8",
        "rewind-700000.m3u8", "/dvr/" UID "/playlist.m3u8?timestamp=1700000000&duration=99999999"};
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(long_ones); i++) {
        assert_int_equal(site_get(long_ones[i], NULL, &r), 413);
        assert_int_equal(playlist_count(r.body, "7 days"), 1);
        http_reply_done(&r);
    }
}

/* Live as it was then: the media playlist's name holds how late it is, and it slides over the gap. */
static void test_timeshift(void **state)
{
    struct http_reply r;
    char uri[128];

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("timeshift_abs-1700000000.m3u8", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "CODECS=\"avc1."), 1);
    assert_true(site_uri(0, uri, sizeof(uri)));
    assert_true(span_starts(span_of(uri), SPAN_LIT("timeshift_abs-1700000000-")));
    http_reply_done(&r);
    assert_int_equal(site_get(uri, NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 4);
    assert_int_equal(playlist_count(r.body, "#EXT-X-START:TIME-OFFSET=0"), 1);
    assert_int_equal(playlist_count(r.body, "#EXT-X-ENDLIST"), 0);
    assert_int_equal(playlist_count(r.body, "#EXT-X-PLAYLIST-TYPE"), 0);
    http_reply_done(&r);
    /* later: what follows the gap, entries for the gap by request */
    snprintf(uri, sizeof(uri), "timeshift_abs-1700000000-%lld.m3u8",
        (long long)(clock_wall_us() / US_PER_S - 1700000200));
    assert_int_equal(site_get(uri, NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXTINF"), 3 + 2);
    assert_int_equal(playlist_count(r.body, "#EXT-X-MEDIA-SEQUENCE:2\n"), 1);
    assert_int_equal(playlist_count(r.body, "#EXT-X-DISCONTINUITY\n"), 1);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000000-3600.m3u8?gap=1", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "#EXT-X-GAP\n"), 10);
    assert_int_equal(playlist_count(r.body, "#EXT-X-VERSION:8\n"), 1);
    http_reply_done(&r);
    assert_int_equal(site_get("index-1700000000-3600.m3u8?gap=1", NULL, &r), 200);
    assert_int_equal(playlist_count(r.body, "archive-1700000000-3600.m3u8?gap=1\n"), 1);
    http_reply_done(&r);
    /* nothing was recorded so early */
    assert_int_equal(site_get("timeshift_abs-1600000000.m3u8", NULL, &r), 404);
    http_reply_done(&r);
}

static void test_segments_nobody_recorded(void **state)
{
    char name[128], other[128];
    struct http_reply r;
    struct span tag;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("dvr-00000000-1-0-1.m4s", NULL, &r), 404);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    tag = span_sub(span_of(name), 4, 8);
    snprintf(other, sizeof(other), "dvr-%.*s-1-0-1.m4s", SPAN_FMT(tag)); /* no such segment */
    assert_int_equal(site_get(other, NULL, &r), 404);
    http_reply_done(&r);
    /* sample numbers that are no key frames */
    snprintf(other, sizeof(other), "%.*s-3-5.m4s", (int)(strrchr(name, '-') - name - 2), name);
    assert_int_equal(site_get(other, NULL, &r), 404);
    http_reply_done(&r);
}

/* What locks keep: joined where they overlap, cut to what is asked for; neither a released one's nor another
 * stream's. */
static void test_locks(void **state)
{
    struct index_lock list[200] = {
        {UID, 1, SITE_T0, SITE_T0 + 5 * US_PER_S, 1, 0, "", ""},
        {UID, 2, SITE_T0 + 3 * US_PER_S, SITE_T0 + 8 * US_PER_S, 1, 0, "", ""},
        {UID, 3, SITE_T0 + 10 * US_PER_S, SITE_T0 + 12 * US_PER_S, 2, 2, "", ""},
        {"another", 4, SITE_T0 + 10 * US_PER_S, SITE_T0 + 12 * US_PER_S, 1, 0, "", ""},
        {UID, 5, SITE_T0 + 200 * US_PER_S, SITE_T0 + 300 * US_PER_S, 1, 0, "", ""},
    };
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (size_t i = 5; i < ARRAY_N(list); i++) { /* more than a page, before the time that is asked for */
        list[i] = list[0];
        list[i].id = 100 + i;
        list[i].start_us = SITE_T0 - (usec_t)i * 10 * US_PER_S;
        list[i].end_us = list[i].start_us + US_PER_S;
    }
    assert_int_equal(index_locks_put(site.ix, list, ARRAY_N(list)), INDEX_OK);
    assert_int_equal(
        site_get("recording_status.json?from=1700000001&to=1700000250&request=locks", NULL, &r), 200);
    assert_string_equal(site.text,
        "[{\"stream\":\"" UID
        "\",\"locks\":[{\"from\":1700000001,\"duration\":7},{\"from\":1700000200,\"duration\":50}]}]\n");
    http_reply_done(&r);
    assert_int_equal(
        site_get("recording_status.json?from=1700000008&to=1700000200&request=locks", NULL, &r), 200);
    assert_string_equal(site.text, "[{\"stream\":\"" UID "\",\"locks\":[]}]\n");
    http_reply_done(&r);
}

static void test_recording_status(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(
        site_get("recording_status.json?from=1699999000&to=1700001000&request=ranges,locks", NULL, &r), 200);
    assert_true(span_starts(r.body, SPAN_LIT("[{\"stream\":\"" UID "\",\"ranges\":[{\"from\":1")));
    assert_int_equal(playlist_count(r.body, "\"from\""), 2);
    assert_true(span_ends(r.body, SPAN_LIT("],\"locks\":[]}]\n")));
    /* 8 s from the index and 8 s that only the ring knows, as one */
    assert_true(span_find_span(r.body, SPAN_LIT("\"duration\":16}],")) > 0 ||
        span_find_span(r.body, SPAN_LIT("\"duration\":17}],")) > 0);
    http_reply_done(&r);
    assert_int_equal(site_get("recording_status.json?from=1700000004&to=1700000006", NULL, &r), 200);
    assert_string_equal(
        site.text, "[{\"stream\":\"" UID "\",\"ranges\":[{\"from\":1700000004,\"duration\":2}]}]\n");
    http_reply_done(&r);
    assert_int_equal(site_get("recording_status.json?from=1600000000&to=1600000006", NULL, &r), 200);
    assert_string_equal(site.text, "[{\"stream\":\"" UID "\",\"ranges\":[]}]\n");
    http_reply_done(&r);
}

/* docs/reference/http.md, "Everywhere". */
static void test_packed_and_tagged(void **state)
{
    static const char *const asked[] = {"archive-1700000000-16.m3u8", "index-1700000000-16.m3u8",
        "recording_status.json?from=1700000000&to=1700000016"};
    struct http_reply plain, packed, again;
    char fields[160];

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(asked); i++) {
        assert_int_equal(site_get(asked[i], NULL, &plain), 200);
        assert_int_equal(site_get(asked[i], "Accept-Encoding: gzip\r\n", &packed), 200);
        assert_true(span_find_span(http_reply_field(&plain, "Access-Control-Expose-Headers"),
                        SPAN_LIT("X-Nearest-Recorded")) > 0);
        assert_true(span_is(http_reply_field(&plain, "Vary"), "Accept-Encoding"));
        assert_true(http_reply_field(&plain, "ETag").n > 0);
        if (i == 0) {
            assert_true(span_is(http_reply_field(&packed, "Content-Encoding"), "gzip"));
            assert_true(packed.body.n < plain.body.n);
            assert_false(span_eq(http_reply_field(&plain, "ETag"), http_reply_field(&packed, "ETag")));
        }
        snprintf(fields, sizeof(fields), "Accept-Encoding: gzip\r\nIf-None-Match: %.*s\r\n",
            SPAN_FMT(http_reply_field(&packed, "ETag")));
        assert_int_equal(site_get(asked[i], fields, &again), 304);
        http_reply_done(&plain);
        http_reply_done(&packed);
        http_reply_done(&again);
    }
}

/* A viewer who stops reading a segment and goes away gives the socket and the thread back. */
static void test_viewers_who_leave(void **state)
{
    char name[128], text[256];
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-1.m3u8", NULL, &r), 200);
    http_reply_done(&r);
    assert_true(site_uri(0, name, sizeof(name)));
    for (unsigned i = 0; i < 20; i++) {
        int fd = httpd_help_connect(&site.help), small = 2048;
        int n = snprintf(text, sizeof(text), "GET /" UID "/%s HTTP/1.1\r\nHost: t\r\n\r\n", name);

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
        if (i % 2 == 0) assert_int_equal(recv(fd, text, 10, 0), 10);
        close(fd);
    }
    assert_int_equal(site_get(name, NULL, &r), 200);
    http_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_playlist),
        cmocka_unit_test(test_master_names_the_media),
        cmocka_unit_test(test_pieces_are_the_footage),
        cmocka_unit_test(test_segment_ranges),
        cmocka_unit_test(test_segments_on_one_connection),
        cmocka_unit_test(test_outside_of_the_archive),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_timeshift),
        cmocka_unit_test(test_segments_nobody_recorded),
        cmocka_unit_test(test_recording_status),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_viewers_who_leave),
        cmocka_unit_test(test_packed_and_tagged),
        cmocka_unit_test(test_closed_a_moment_ago),
    };

    return cmocka_run_group_tests(tests, site_start, site_stop);
}
