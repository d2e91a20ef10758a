/* MP4 files of the archive over sockets: films, pictures, strips. ffprobe judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "tests/support/archive_site.h"
#include "tests/support/playlist.h"
#include "tests/support/movie.h"
#include "tests/support/tool.h"

#define UID SITE_UID
#define FPS 25

static unsigned frames_of(struct span file)
{
    const char *argv[] = {"ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
        "stream=nb_read_frames", "-of", "csv=p=0", site.out, NULL};
    const char *decode[] = {"ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", site.out,
        "-f", "null", "-", NULL};
    struct buf b;
    struct span text;
    uint64_t n = 0;
    int fd = open(site.out, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    must(fd >= 0 && fd_write_all(fd, file) == 0);
    fd_close(&fd);
    assert_int_equal(tool_run(decode, NULL), 0);
    buf_init(&b, 1 << 20);
    assert_int_equal(tool_run(argv, &b), 0);
    text = span_trim(buf_span(&b));
    if (text.n > 0 && text.p[text.n - 1] == ',') text.n--;
    assert_true(span_u64(text, 100000, &n));
    buf_done(&b);
    return (unsigned)n;
}

static void test_film(void **state)
{
    struct http_reply r;
    struct movie m;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-16.mp4", NULL, &r), 200);
    assert_true(span_is(http_reply_field(&r, "Content-Type"), "video/mp4"));
    assert_true(span_is(http_reply_field(&r, "Accept-Ranges"), "bytes"));
    assert_true(span_is(http_reply_field(&r, "Content-Disposition"),
        "attachment; filename=\"cam-1_2023-11-14T22-13-20Z.mp4\""));
    assert_true(span_starts(http_reply_field(&r, "X-Archive-From"), SPAN_LIT("1700000000.0")));
    assert_true(movie_read(r.body, &m));
    assert_int_equal(m.mdat_at + m.mdat_n, r.body.n);
    assert_int_equal(m.t[0].n, 16 * FPS);
    movie_done(&m);
    assert_int_equal(frames_of(r.body), 16 * FPS);
    http_reply_done(&r);
}

/* Everything there is: over the gap, and with what is being written. */
static void test_gap_and_open_segment(void **state)
{
    struct http_reply closed, kept;
    struct movie m;

    (void)state;
    site_need_footage();
    assert_int_equal(
        site_get("/dvr/" UID "/record.mp4?timestamp=1700000000&duration=600", NULL, &closed), 200);
    assert_true(span_is(http_reply_field(&closed, "X-Archive-Gaps"), "1"));
    assert_true(movie_read(closed.body, &m));
    assert_int_equal(m.t[0].n, 32 * FPS);
    assert_in_range(m.t[0].length / m.t[0].hz, 31, 33);
    movie_done(&m);
    assert_int_equal(frames_of(closed.body), 32 * FPS);
    assert_int_equal(
        site_get("/dvr/" UID "/record.mp4?time=2023-11-14T22:13:20Z&duration=600&gaps=keep&audio=none", NULL,
            &kept),
        200);
    assert_true(movie_read(kept.body, &m));
    assert_int_equal(m.n, 1);
    assert_int_equal(m.t[0].n, 32 * FPS);
    assert_in_range(m.t[0].length / m.t[0].hz, 131, 133);
    movie_done(&m);
    http_reply_done(&closed);
    http_reply_done(&kept);
}

/* From the key frame at 5 s up to 7 s; the footage has one a second. */
static void test_part_of_a_segment(void **state)
{
    struct http_reply r;
    struct movie m;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000005-2.mp4", NULL, &r), 200);
    assert_true(movie_read(r.body, &m));
    assert_true(m.t[0].s[0].key);
    assert_in_range(m.t[0].n, 2 * FPS - 1, 2 * FPS + 1);
    movie_done(&m);
    frames_of(r.body);
    http_reply_done(&r);
}

static void test_ranges_and_conditions(void **state)
{
    struct http_reply whole, part;
    char fields[160];
    struct span etag;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("archive-1700000000-16.mp4", NULL, &whole), 200);
    etag = http_reply_field(&whole, "ETag");
    for (size_t i = 0; i < 60; i++) {
        size_t from = i < 20 ? i * 400 : (i * 7919 * 131) % whole.body.n,
               n = MIN(1 + i * 3001, whole.body.n - from);

        snprintf(fields, sizeof(fields), "Range: bytes=%zu-%zu\r\nIf-Range: %.*s\r\n", from, from + n - 1,
            SPAN_FMT(etag));
        assert_int_equal(site_get("archive-1700000000-16.mp4", fields, &part), 206);
        assert_true(span_eq(part.body, span_sub(whole.body, from, n)));
        assert_true(span_eq(http_reply_field(&part, "ETag"), etag));
        http_reply_done(&part);
    }
    assert_int_equal(site_get("archive-1700000000-16.mp4", "Range: bytes=-5000\r\n", &part), 206);
    assert_true(span_eq(part.body, span_from(whole.body, whole.body.n - 5000)));
    http_reply_done(&part);
    /* several ranges: all of it, as of every file here */
    assert_int_equal(site_get("archive-1700000000-16.mp4", "Range: bytes=0-9,20-29\r\n", &part), 200);
    assert_true(span_eq(part.body, whole.body));
    http_reply_done(&part);
    assert_int_equal(
        site_get("archive-1700000000-16.mp4", "Range: bytes=5-9\r\nIf-Range: \"other\"\r\n", &part), 200);
    http_reply_done(&part);
    snprintf(fields, sizeof(fields), "Range: bytes=%zu-\r\n", whole.body.n);
    assert_int_equal(site_get("archive-1700000000-16.mp4", fields, &part), 416);
    http_reply_done(&part);
    snprintf(fields, sizeof(fields), "If-None-Match: %.*s\r\n", SPAN_FMT(etag));
    assert_int_equal(site_get("archive-1700000000-16.mp4", fields, &part), 304);
    http_reply_done(&part);
    http_reply_done(&whole);
}

static void test_head_and_one_connection(void **state)
{
    char text[256];
    struct http_reply r;
    int fd = httpd_help_connect(&site.help);
    uint64_t want = 0, length;

    (void)state;
    site_need_footage();
    for (unsigned i = 0; i < 3; i++) {
        int n = snprintf(text, sizeof(text),
            "%s /" UID "/archive-1700000000-16.mp4 HTTP/1.1\r\nHost: t\r\n\r\n", i == 0 ? "HEAD" : "GET");

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

static void test_pictures(void **state)
{
    static const char *const at[] = {"1700000005-preview.mp4",
        "/dvr/" UID "/screenshot.mp4?timestamp=1700000005",
        "/dvr/" UID "/screenshot.mp4?time=2023-11-14T22:13:25Z"};
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(at); i++) {
        assert_int_equal(site_get(at[i], NULL, &r), 200);
        assert_true(span_starts(http_reply_field(&r, "X-Archive-From"), SPAN_LIT("1700000005.0")));
        assert_int_equal(frames_of(r.body), 1);
        http_reply_done(&r);
    }
    assert_int_equal(site_get("1700000030-preview.mp4", NULL, &r), 404);
    assert_true(http_reply_field(&r, "X-Nearest-Recorded").n > 0);
    http_reply_done(&r);
    assert_int_equal(site_get("1700000125-preview.mp4", NULL, &r), 200); /* of the open segment */
    http_reply_done(&r);
}

/* Each picture once, though more are asked for than there are key frames. */
static void test_strip(void **state)
{
    struct http_reply r;

    (void)state;
    site_need_footage();
    assert_int_equal(site_get("strip-1700000000-16-64.mp4", NULL, &r), 200);
    assert_int_equal(frames_of(r.body), 16);
    http_reply_done(&r);
    assert_int_equal(site_get("strip-1700000000-16-4.json", NULL, &r), 200);
    assert_true(span_is(http_reply_field(&r, "Content-Type"), "application/json"));
    assert_string_equal(
        site.text, "{\"show\":1,\"frames\":[1700000000.000,1700000004.000,1700000008.000,1700000012.000]}\n");
    http_reply_done(&r);
    /* over the gap; a last sound may reach over the end of its segment */
    assert_int_equal(site_get("strip-1700000000-132-33.json", NULL, &r), 200);
    assert_in_range(playlist_count(r.body, ","), 1 + 7, 1 + 8);
    http_reply_done(&r);
}

static void test_refused(void **state)
{
    static const struct {
        const char *name;
        unsigned status;
    } rows[] = {
        {"archive-x-10.mp4", 400},
        {"archive-1700000000-x.mp4", 400},
        {"archive-1700000000-0.mp4", 400},
        {"archive-4000000000-now.mp4", 400},
        {"archive-1700000000-10.mp4?gaps=maybe", 400},
        {"archive-1700000000-10.mp4?audio=mp3", 400},
        {"/dvr/" UID "/record.mp4", 400},
        {"/dvr/" UID "/record.mp4?timestamp=x", 400},
        {"/dvr/" UID "/record.mp4?timestamp=1700000000&duration=-1", 400},
        {"/dvr/" UID "/screenshot.mp4", 400},
        {"x-preview.mp4", 400},
        {"strip-1700000000-10-0.mp4", 400},
        {"strip-1700000000-10-201.mp4", 400},
        {"strip-1700000000-x-2.json", 400},
        {"archive-1700000000-86401.mp4", 413},
        {"archive-1700000000-now.mp4", 413},
        {"strip-1700000000-86401-2.mp4", 413},
        {"archive-1700000030-10.mp4", 404},
        {"strip-1700000030-10-3.json", 404},
    };
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        unsigned status = site_get(rows[i].name, NULL, &r);

        if (status != rows[i].status) print_message("%s: %u\n", rows[i].name, status);
        assert_int_equal(status, rows[i].status);
        if (status == 413) assert_true(span_find_span(r.body, SPAN_LIT("86400")) > 0);
        if (status == 404) assert_true(http_reply_field(&r, "X-Nearest-Recorded").n > 0);
        http_reply_done(&r);
    }
}

/* A viewer who stops reading and goes away gives the socket and the thread back; one who waits gets all of
 * it. */
static void test_slow_viewers(void **state)
{
    static const char ask[] = "GET /" UID "/archive-1700000000-16.mp4 HTTP/1.1\r\nHost: t\r\n\r\n";
    char text[64];
    struct http_reply r;

    (void)state;
    site_need_footage();
    for (unsigned i = 0; i < 20; i++) {
        int fd = httpd_help_connect(&site.help), small = 2048;

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        assert_int_equal(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
        if (i % 2 == 0) assert_int_equal(recv(fd, text, 10, 0), 10);
        close(fd);
    }
    assert_int_equal(site_get("archive-1700000000-16.mp4", NULL, &r), 200);
    assert_int_equal(frames_of(r.body), 16 * FPS);
    http_reply_done(&r);
}

/* A segment goes while its film is remembered: an error once, then what is left. */
static void test_segment_is_deleted(void **state)
{
    struct seg_info *info = NULL;
    struct http_reply r;
    char path[256];
    size_t n;

    (void)state;
    site_need_footage();
    info = test_calloc(1, sizeof(*info));
    assert_int_equal(site_get("archive-1700000116-8.mp4", NULL, &r), 200);
    http_reply_done(&r);
    assert_int_equal(
        index_segments(site.ix, &(struct index_query){UID, 1700000118 * US_PER_S, 1700000119 * US_PER_S, 0},
            info, 1, &n),
        INDEX_OK);
    assert_int_equal(n, 1);
    snprintf(path, sizeof(path), "%s/" UID "/records/%s", site.dir, info->path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(site_get("archive-1700000116-8.mp4", "Range: bytes=100000-\r\n", &r), 503);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000116-8.mp4", NULL, &r), 404);
    http_reply_done(&r);
    assert_int_equal(site_get("archive-1700000000-200.mp4", NULL, &r), 200);
    assert_int_equal(frames_of(r.body), 24 * FPS);
    http_reply_done(&r);
    test_free(info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_film),
        cmocka_unit_test(test_gap_and_open_segment),
        cmocka_unit_test(test_part_of_a_segment),
        cmocka_unit_test(test_ranges_and_conditions),
        cmocka_unit_test(test_head_and_one_connection),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_strip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_slow_viewers),
        cmocka_unit_test(test_segment_is_deleted),
    };

    return cmocka_run_group_tests(tests, site_start, site_stop);
}
