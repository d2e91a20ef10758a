/* The live roads with real footage: a camera of this test fills a ring, viewers ask over sockets, ffprobe
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
#include "common/base/rd.h"
#include "httpd/follow.h"
#include "httpd/hush.h"
#include "tests/support/live_site.h"
#include "tests/support/playlist.h"
#include "tests/support/tool.h"

#define FOOTAGE_S 8
#define AAC_FRAME 1024 /* samples */
#define WAIT_US   (60 * US_PER_S)

static char out[128];

static int start(void **state)
{
    int err = live_start(FOOTAGE_S, 2);

    (void)state;
    snprintf(out, sizeof(out), "%s/out.mp4", live.dir);
    return err;
}

/* A stream that has been captured for `s` seconds. */
static void camera(struct httpd_camera *c, const char *uid, unsigned s)
{
    struct view v = httpd_view(uid);

    live_camera(c, &v, s);
}

static void save(struct span bytes)
{
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    must(fd >= 0 && fd_write_all(fd, bytes) == 0);
    fd_close(&fd);
}

/* What ffprobe says of the saved file: "h264,25 aac,47 " (codec, frames that decode). */
static void probe(char *dst, size_t cap)
{
    const char *argv[] = {"ffprobe", "-v", "error", "-count_frames", "-show_entries",
        "stream=codec_name,nb_read_frames", "-of", "csv=p=0", out, NULL};
    struct buf b;

    buf_init(&b, 1 << 20);
    assert_int_equal(tool_run(argv, &b), 0);
    span_copy(buf_span(&b), dst, cap);
    buf_done(&b);
}

static unsigned frames_of(const char *said, const char *codec)
{
    struct span rest = span_of(said), line, name;
    uint64_t n;

    while (span_split(&rest, '\n', &line))
        if (span_split(&line, ',', &name) && span_is(name, codec) && span_u64(span_trim(line), 100000, &n))
            return (unsigned)n;
    return 0;
}

/* The n-th line behind `after` that is no comment. */
static bool uri_at(struct span text, unsigned n, char *dst, size_t cap)
{
    struct span line;

    while (span_split(&text, '\n', &line))
        if (line.n > 0 && line.p[0] != '#' && n-- == 0) return span_copy(line, dst, cap);
    return false;
}

static bool map_of(struct span text, char *dst, size_t cap)
{
    struct span line, mark = SPAN_LIT("#EXT-X-MAP:URI=\"");

    while (span_split(&text, '\n', &line))
        if (span_starts(line, mark)) return span_copy(span_sub(line, mark.n, line.n - mark.n - 1), dst, cap);
    return false;
}

/* Init segment and the first segment of a playlist, as one file. */
static void fetch_segment(const char *uid, struct span playlist, unsigned number)
{
    char url[256], name[128];
    struct http_reply init, seg;
    struct buf whole;

    assert_true(map_of(playlist, name, sizeof(name)));
    snprintf(url, sizeof(url), "/%s/%s", uid, name);
    assert_true(httpd_help_get(&live.help, url, NULL, &init));
    assert_int_equal(init.status, 200);
    assert_true(uri_at(playlist, number, name, sizeof(name)));
    snprintf(url, sizeof(url), "/%s/%s", uid, name);
    assert_true(httpd_help_get(&live.help, url, NULL, &seg));
    assert_int_equal(seg.status, 200);
    buf_init(&whole, 64 << 20);
    buf_put(&whole, init.body);
    buf_put(&whole, seg.body);
    save(buf_span(&whole));
    buf_done(&whole);
    http_reply_done(&init);
    http_reply_done(&seg);
}

/* How long it took until the first segment was there. */
static usec_t first_playlist(void)
{
    struct httpd_camera c;
    struct http_reply r;
    char said[256];
    usec_t before_us, took_us;

    camera(&c, "first", 5);
    before_us = clock_mono_us();
    assert_true(httpd_help_get(&live.help, "/first/index.m3u8", NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(span_find_span(r.body, SPAN_LIT("CODECS=\"avc1.")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("mp4a.40.2\"")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT(",RESOLUTION=")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("FRAME-RATE=25.000")) > 0);
    http_reply_done(&r);
    assert_true(httpd_help_get(&live.help, "/first/video.m3u8", NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(span_find_span(r.body, SPAN_LIT("#EXT-X-INDEPENDENT-SEGMENTS")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("#EXT-X-PROGRAM-DATE-TIME:")) > 0);
    assert_int_equal(playlist_tag(r.body, "#EXT-X-TARGETDURATION:"), 4);
    fetch_segment("first", r.body, 0);
    took_us = clock_mono_us() - before_us;
    probe(said, sizeof(said));
    assert_int_equal(frames_of(said, "h264"), 25); /* one group of pictures */
    assert_true(frames_of(said, "aac") > 40);
    http_reply_done(&r);
    httpd_camera_stop(&live.help, &c, "first");
    return took_us;
}

/* The promise: the first request on a captured stream is answered at once, with something that plays. In one
 * of some tries: other programs hold up this one, too. */
static void test_first_playlist_at_once(void **state)
{
    unsigned tries = 5;

    (void)state;
    live_need_footage();
    while (first_playlist() >= 2 * US_PER_S) assert_true(--tries > 0);
}

/* What docs/reference/http.md says of playlists. */
static void test_playlists_have_tags_and_are_packed(void **state)
{
    static const char *const urls[] = {"/texts/index.m3u8", "/texts/video.m3u8"};
    struct httpd_camera c;
    struct http_reply r;

    (void)state;
    live_need_footage();
    camera(&c, "texts", 5);
    for (size_t i = 0; i < ARRAY_N(urls); i++) {
        char fields[256], etag[64];

        assert_true(httpd_help_get(&live.help, urls[i], "Accept-Encoding: gzip\r\n", &r));
        assert_int_equal(r.status, 200);
        assert_true(span_is(http_reply_field(&r, "Content-Encoding"), "gzip"));
        assert_true(span_is(http_reply_field(&r, "Vary"), "Accept-Encoding"));
        assert_true(span_copy(http_reply_field(&r, "ETag"), etag, sizeof(etag)) && etag[0] != '\0');
        http_reply_done(&r);
        snprintf(fields, sizeof(fields), "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n", etag);
        assert_true(httpd_help_get(&live.help, urls[i], fields, &r));
        assert_int_equal(r.status, 304);
        http_reply_done(&r);
    }
    assert_true(httpd_help_get(&live.help, "/texts/stream.json", "", &r));
    assert_int_equal(r.status, 200);
    assert_true(span_is(http_reply_field(&r, "Cache-Control"), "no-store")); /* it tells the time */
    assert_null(http_reply_field(&r, "ETag").p);
    http_reply_done(&r);
    httpd_camera_stop(&live.help, &c, "texts");
}

static void test_follows_only_while_watched(void **state)
{
    struct httpd_camera c;
    struct http_reply r;
    usec_t until = clock_mono_us() + FOLLOW_HLS_LEAST_US + WAIT_US;

    (void)state;
    live_need_footage();
    camera(&c, "demand", 3);
    assert_int_equal(atomic_load(&c.demand->followers), 0);
    assert_true(httpd_help_get(&live.help, "/demand/preview.mp4", NULL, &r));
    assert_int_equal(atomic_load(&c.demand->followers), 0); /* a preview follows nothing */
    http_reply_done(&r);
    assert_true(httpd_help_get(&live.help, "/demand/video.m3u8", NULL, &r));
    http_reply_done(&r);
    assert_int_equal(atomic_load(&c.demand->followers), 1);
    assert_int_equal(atomic_load(&c.demand->wanted), 1);
    while (atomic_load(&c.demand->followers) > 0 && clock_mono_us() < until) usleep(20000);
    assert_int_equal(atomic_load(&c.demand->followers), 0);
    httpd_camera_stop(&live.help, &c, "demand");
}

/* Runs the camera faster than life: media of `s` seconds in steps, asking the playlist each time. */
static void test_window_rules(void **state)
{
    struct httpd_camera c;
    struct http_reply r;
    usec_t now = clock_wall_us();
    uint64_t msn = 0, target = 0;

    (void)state;
    live_need_footage();
    camera(&c, "window", 3);
    for (unsigned s = 0; s < 60; s++) {
        now += US_PER_S;
        httpd_camera_until(&c, now);
        assert_true(httpd_help_get(&live.help, "/window/video.m3u8", "Accept-Encoding: gzip;q=0\r\n", &r));
        assert_int_equal(r.status, 200);
        assert_true(playlist_tag(r.body, "#EXT-X-MEDIA-SEQUENCE:") >= msn);
        assert_true(playlist_tag(r.body, "#EXT-X-TARGETDURATION:") >= target);
        msn = playlist_tag(r.body, "#EXT-X-MEDIA-SEQUENCE:");
        target = playlist_tag(r.body, "#EXT-X-TARGETDURATION:");
        if (s == 59) {
            char said[256];

            /* steady: segments of 4 s, at least three target durations of them, and the oldest can be had */
            assert_true(span_find_span(r.body, SPAN_LIT("#EXTINF:4.000")) > 0);
            fetch_segment("window", r.body, 0);
            probe(said, sizeof(said));
            assert_int_equal(frames_of(said, "h264"), 100);
        }
        http_reply_done(&r);
    }
    assert_int_equal(target, 4);
    httpd_camera_stop(&live.help, &c, "window");
}

static void receive(int fd, struct buf *b)
{
    uint8_t *at = buf_room(b, 65536);
    ssize_t n = recv(fd, at, 65536, 0);

    if (n > 0) buf_added(b, (size_t)n);
    if (n <= 0) b->limit = 0;
}

/* From the last key frame on, and then every frame that comes; it ends with the stream. */
static void test_live_mp4(void **state)
{
    static const char request[] = "GET /mp4/live.mp4 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct httpd_camera c;
    struct http_reply r;
    usec_t now = clock_wall_us();
    struct buf file;
    char said[256];
    int fd;

    (void)state;
    live_need_footage();
    camera(&c, "mp4", 3);
    fd = httpd_help_connect(&live.help);
    assert_true(http_help_ask(fd, SPAN_LIT(request), 1, &r));
    assert_int_equal(r.status, 200);
    assert_int_equal(http_reply_field(&r, "Content-Length").n, 0);
    buf_init(&file, 64 << 20);
    buf_put(&file, span_from(buf_span(&r.all), r.head.n));
    httpd_camera_until(&c, now + 3 * US_PER_S);
    while (file.limit > 0 && playlist_count(buf_span(&file), "moof") < 75) receive(fd, &file);
    httpd_camera_stop(&live.help, &c, "mp4");
    while (file.limit > 0) receive(fd, &file);
    save(buf_span(&file));
    buf_done(&file);
    probe(said, sizeof(said));
    assert_true(frames_of(said, "h264") >= 75 && frames_of(said, "h264") <= 105);
    http_reply_done(&r);
    close(fd);
}

/* Of a file that goes on: up to the end of the last fragment that is whole. */
static struct span whole_fragments(struct span s)
{
    size_t at = 0, end = 0;

    while (s.n - at >= 8) {
        struct rd r = rd_of(span_from(s, at));
        size_t n = rd_u32(&r);
        bool media = span_is(rd_bytes(&r, 4), "mdat");

        if (n < 8 || n > s.n - at) break;
        at += n;
        if (media) end = at;
    }
    return span_sub(s, 0, end);
}

static double last_s(const struct media_file *f, enum track_kind kind)
{
    double s = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct track *t = &f->movie.tracks.t[f->s[i].track];

        if (t->kind == kind) s = MAX(s, (double)(f->s[i].dts + f->s[i].dur) / t->clock_hz);
    }
    return s;
}

/* Silence goes on where the sound has stopped, so that no player waits for it: decodable, frame behind frame,
 * as far as the picture. Then the sound comes again. */
static void test_sound_that_stops(void **state)
{
    static const char request[] = "GET /mute/live.mp4 HTTP/1.1\r\nHost: t\r\n\r\n";
    const char *decode[] = {"ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", out, "-map",
        "0:a", "-f", "null", "-", NULL};
    struct httpd_camera c;
    struct http_reply r;
    usec_t now = clock_wall_us();
    struct media_file f;
    struct buf file;
    unsigned want = 0;
    int fd;

    (void)state;
    live_need_footage();
    camera(&c, "mute", 3);
    fd = httpd_help_connect(&live.help);
    assert_true(http_help_ask(fd, SPAN_LIT(request), 1, &r));
    buf_init(&file, 64 << 20);
    buf_put(&file, span_from(buf_span(&r.all), r.head.n));
    for (unsigned i = 0; i < 3; i++) {
        c.mute = i < 2;
        now += 5 * US_PER_S;
        want += 5 * 25;
        httpd_camera_until(&c, now);
        while (file.limit > 0 && playlist_count(buf_span(&file), "moof") < want) receive(fd, &file);
        save(whole_fragments(buf_span(&file)));
        assert_int_equal(media_file_load(out, &f), MP4_OK);
        if (c.mute && last_s(&f, TRACK_VIDEO) - last_s(&f, TRACK_AUDIO) > 0.4)
            fail_msg("at %u s the sound ends %.3f s before the picture", 5 * (i + 1),
                last_s(&f, TRACK_VIDEO) - last_s(&f, TRACK_AUDIO));
        for (size_t k = 0, before = f.n; k < f.n; k++) { /* the file begins anew within a frame */
            if (f.movie.tracks.t[f.s[k].track].kind != TRACK_AUDIO) continue;
            if (before < f.n)
                assert_in_range(f.s[before].dts + f.s[before].dur + AAC_FRAME - f.s[k].dts, 0, 2 * AAC_FRAME);
            before = k;
        }
        media_file_done(&f);
    }
    assert_int_equal(tool_run(decode, NULL), 0);
    assert_int_equal(playlist_count(buf_span(&file), "moov"), 1);
    httpd_camera_stop(&live.help, &c, "mute");
    buf_done(&file);
    http_reply_done(&r);
    close(fd);
}

/* Of a file's frames of sound: all, and those that are silence of ours. */
static unsigned sounds(const struct media_file *f, unsigned *ret_silent)
{
    unsigned n = 0;

    *ret_silent = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct track *t = &f->movie.tracks.t[f->s[i].track];

        if (t->kind != TRACK_AUDIO) continue;
        n++;
        *ret_silent += span_eq(media_file_data(f, i), hush_silence(t));
    }
    return n;
}

/* A camera with a picture a second, or one in three: its sound is heard all the same. */
static void test_few_pictures(void **state)
{
    static const unsigned few[] = {1, 3};

    (void)state;
    live_need_footage();
    for (size_t i = 0; i < ARRAY_N(few); i++) {
        usec_t now = clock_wall_us();
        struct view v = httpd_view("few");
        struct httpd_camera c;
        struct http_reply r;
        struct media_file f;
        struct buf file;
        unsigned silent, n = 0;
        int fd;

        httpd_camera_start(&live.help, &c, &v, &live.footage, now);
        c.few = few[i];
        httpd_camera_until(&c, now + 9 * US_PER_S);
        fd = httpd_help_connect(&live.help);
        assert_true(http_help_ask(fd, SPAN_LIT("GET /few/live.mp4 HTTP/1.1\r\nHost: t\r\n\r\n"), 1, &r));
        buf_init(&file, 64 << 20);
        buf_put(&file, span_from(buf_span(&r.all), r.head.n));
        httpd_camera_until(&c, now + 22 * US_PER_S);
        while (n < 8 * live.footage.movie.tracks.t[1].clock_hz / AAC_FRAME) { /* behind the picture at 9 s */
            receive(fd, &file);
            assert_true(file.limit > 0);
            save(whole_fragments(buf_span(&file)));
            if (media_file_load(out, &f) != MP4_OK) continue;
            n = sounds(&f, &silent);
            media_file_done(&f);
            assert_int_equal(silent, 0);
        }
        httpd_camera_stop(&live.help, &c, "few");
        buf_done(&file);
        http_reply_done(&r);
        close(fd);
    }
}

static void test_preview(void **state)
{
    struct httpd_camera c;
    struct http_reply r;
    char said[256];

    (void)state;
    live_need_footage();
    camera(&c, "preview", 3);
    assert_true(httpd_help_get(&live.help, "/live/preview/preview.mp4", NULL, &r));
    assert_int_equal(r.status, 200);
    save(r.body);
    probe(said, sizeof(said));
    assert_int_equal(frames_of(said, "h264"), 1);
    assert_true(http_reply_field(&r, "Last-Modified").n > 0);
    http_reply_done(&r);
    httpd_camera_stop(&live.help, &c, "preview");
}

static void set_state(struct httpd_camera *c, enum stream_state state, const char *reason)
{
    struct ring_status *st = ring_writer_status(c->w);

    atomic_store(&st->state, state);
    ring_status_text(st, st->reason, sizeof(st->reason), reason);
}

static void test_no_picture_says_why(void **state)
{
    struct httpd_camera c;
    struct view v = httpd_view("down");
    struct http_reply r;

    (void)state;
    live_need_footage();
    httpd_camera_start(&live.help, &c, &v, &live.footage, clock_wall_us());
    set_state(&c, STREAM_DOWN, "no route to host");
    for (unsigned i = 0; i < 4; i++) {
        static const char *const urls[] = {
            "/down/index.m3u8", "/down/video.m3u8", "/down/live.mp4", "/down/preview.mp4"};

        assert_true(httpd_help_get(&live.help, urls[i], NULL, &r));
        assert_int_equal(r.status, 503);
        assert_true(span_find_span(r.body, SPAN_LIT("down: no route to host")) > 0);
        assert_true(http_reply_field(&r, "Retry-After").n > 0);
        http_reply_done(&r);
    }
    httpd_camera_stop(&live.help, &c, "down");
}

/* A request for a camera on demand waits for its first picture. */
static void test_on_demand_waits(void **state)
{
    static const char request[] = "GET /lazy/video.m3u8 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct httpd_camera c;
    struct view v = httpd_view("lazy");
    struct http_reply r;
    usec_t now = clock_wall_us(), until = clock_mono_us() + WAIT_US;
    int fd = httpd_help_connect(&live.help);

    (void)state;
    live_need_footage();
    v.on_demand = true;
    httpd_camera_start(&live.help, &c, &v, &live.footage, now);
    set_state(&c, STREAM_IDLE, "");
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    while (atomic_load(&c.demand->wanted) == 0 && clock_mono_us() < until) usleep(2000);
    assert_int_equal(atomic_load(&c.demand->wanted), 1);
    set_state(&c, STREAM_ACTIVE, "");
    httpd_camera_until(&c, now + 2 * US_PER_S);
    assert_true(http_help_ask(fd, SPAN_NONE, SIZE_MAX, &r));
    assert_int_equal(r.status, 200);
    http_reply_done(&r);
    close(fd);
    httpd_camera_stop(&live.help, &c, "lazy");
}

/* Frames reach the window a moment after the camera has put them. */
static ssize_t playlist_with(const char *url, struct span what, struct http_reply *r)
{
    usec_t until = clock_mono_us() + WAIT_US;
    ssize_t at;

    for (;;) {
        assert_true(httpd_help_get(&live.help, url, NULL, r));
        at = span_find_span(r->body, what);
        if (at >= 0 || clock_mono_us() > until) return at;
        http_reply_done(r);
        usleep(5000);
    }
}

static void test_other_tracks_are_a_discontinuity(void **state)
{
    struct httpd_camera c;
    struct http_reply r;
    usec_t now = clock_wall_us();
    ssize_t at;

    (void)state;
    live_need_footage();
    camera(&c, "change", 3);
    assert_true(httpd_help_get(&live.help, "/change/video.m3u8", NULL, &r));
    http_reply_done(&r);
    c.tracks.t[0].width += 2;
    ring_set_tracks(c.w, &c.tracks);
    httpd_camera_until(&c, now + 8 * US_PER_S);
    at = playlist_with("/change/video.m3u8", SPAN_LIT("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:"), &r);
    assert_true(at > 0);
    fetch_segment("change", span_from(r.body, (size_t)at), 0);
    http_reply_done(&r);
    httpd_camera_stop(&live.help, &c, "change");
}

static void test_segments_that_are_not_there(void **state)
{
    struct httpd_camera c;
    struct http_reply r;

    (void)state;
    live_need_footage();
    camera(&c, "gone", 3);
    assert_true(httpd_help_get(&live.help, "/gone/live-1.m4s", NULL, &r));
    assert_int_equal(r.status, 404);
    http_reply_done(&r);
    assert_true(httpd_help_get(&live.help, "/gone/live-x.m4s", NULL, &r));
    assert_int_equal(r.status, 400);
    http_reply_done(&r);
    assert_true(httpd_help_get(&live.help, "/gone/live-init-0.mp4", NULL, &r));
    assert_int_equal(r.status, 404);
    http_reply_done(&r);
    httpd_camera_stop(&live.help, &c, "gone");
}

/* A viewer who reads nothing costs the others nothing, and catches up at a key frame. */
static void test_slow_viewer(void **state)
{
    static const char request[] = "GET /slow/live.mp4 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct httpd_camera c;
    struct http_reply r;
    usec_t now = clock_wall_us();
    int slow = httpd_help_connect(&live.help), small = 4096;

    (void)state;
    live_need_footage();
    camera(&c, "slow", 3);
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(send(slow, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    for (unsigned i = 0; i < 30; i++) {
        now += 2 * US_PER_S;
        httpd_camera_until(&c, now);
        assert_true(httpd_help_get(&live.help, "/slow/video.m3u8", NULL, &r));
        assert_int_equal(r.status, 200);
        http_reply_done(&r);
    }
    close(slow);
    httpd_camera_stop(&live.help, &c, "slow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_playlist_at_once),
        cmocka_unit_test(test_playlists_have_tags_and_are_packed),
        cmocka_unit_test(test_window_rules),
        cmocka_unit_test(test_live_mp4),
        cmocka_unit_test(test_sound_that_stops),
        cmocka_unit_test(test_few_pictures),
        cmocka_unit_test(test_preview),
        cmocka_unit_test(test_no_picture_says_why),
        cmocka_unit_test(test_on_demand_waits),
        cmocka_unit_test(test_other_tracks_are_a_discontinuity),
        cmocka_unit_test(test_segments_that_are_not_there),
        cmocka_unit_test(test_slow_viewer),
        cmocka_unit_test(test_follows_only_while_watched),
    };

    return cmocka_run_group_tests(tests, start, live_stop);
}
