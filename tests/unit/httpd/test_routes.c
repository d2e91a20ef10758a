#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/access.h"
#include "httpd/doors.h"
#include "httpd/handlers.h"
#include "httpd/routes.h"

static unsigned find(const char *path, enum http_method m, struct route_match *ret)
{
    return route_find(span_of(path), m, false, ret);
}

/* Every URL of compatibility.md 4 and 5 that this issue owes. */
static void test_urls_of_the_specification(void **state)
{
    static const struct {
        const char *path;
        void (*run)(struct http *);
    } rows[] = {
        {"/live/cam-1/playlist.m3u8", serve_master},
        {"/live/cam-1/playlist_ios.m3u8", serve_master},
        {"/live/cam-1/preview.mp4", serve_preview},
        {"/dvr/cam-1/playlist.m3u8", serve_dvr_playlist},
        {"/dvr/cam-1/playlist_ios.m3u8", serve_dvr_playlist},
        {"/cam-1/index.m3u8", serve_master},
        {"/cam-1/video.m3u8", serve_media_playlist},
        {"/cam-1/mono.m3u8", serve_media_playlist},
        {"/cam-1/index.ll.m3u8", serve_low_master},
        {"/cam-1/video.ll.m3u8", serve_low_playlist},
        {"/cam-1/live-1700000000.m4s", serve_live_segment},
        {"/cam-1/live-1700000000.3.m4s", serve_live_part},
        {"/cam-1/live.mp4", serve_live_mp4},
        {"/cam-1/mse_ld", serve_mse},
        {"/cam-1/mpegts.m3u8", serve_ts_playlist},
        {"/cam-1/live-17.ts", serve_ts_segment},
        {"/cam-1/mpegts", serve_live_ts},
        {"/cam-1/preview.mp4", serve_preview},
        {"/cam-1/archive-1700000000-3600.m3u8", serve_archive_playlist},
        {"/cam-1/archive-1700000000-now.m3u8", serve_archive_playlist},
        {"/cam-1/archive--1-60.m3u8", serve_archive_playlist}, /* a wrong time */
        {"/cam-1/index-1700000000-3600.m3u8", serve_archive_master},
        {"/cam-1/video-1700000000-now.m3u8", serve_archive_playlist},
        {"/cam-1/rewind-60.m3u8", serve_rewind},
        {"/cam-1/timeshift_abs-1700000000.m3u8", serve_timeshift_abs},
        {"/cam-1/timeshift_rel-10.m3u8", serve_timeshift_rel},
        {"/cam-1/video-timeshift_rel-10.m3u8", serve_timeshift_rel},
        {"/cam-1/recording_status.json", serve_recording_status},
        {"/dvr/cam-1/record.mp4", serve_dvr_mp4},
        {"/dvr/cam-1/screenshot.mp4", serve_dvr_picture},
        {"/cam-1/archive-1700000000-3600.mp4", serve_archive_mp4},
        {"/cam-1/archive-1700000000-now.mp4", serve_archive_mp4},
        {"/cam-1/1700000000-preview.mp4", serve_archive_picture},
        {"/cam-1/strip-1700000000-3600-60.mp4", serve_strip},
        {"/cam-1/strip-1700000000-3600-60.json", serve_strip_list},
        {"/cam-1/preview.jpg", serve_preview_jpeg},
        {"/cam-1/1700000000-preview.jpg", serve_archive_jpeg},
        {"/cam-1/1700000000.jpg", serve_archive_jpeg},
        {"/dvr/cam-1/screenshot.jpg", serve_screenshot_jpeg},
        {"/cam-1/embed.html", serve_embed},
        {"/cpanel/player/player.css", serve_asset},
    };
    struct route_match m;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(find(rows[i].path, HTTP_GET, &m), 0);
        assert_ptr_equal(m.route->run, rows[i].run);
        assert_int_equal(find(rows[i].path, HTTP_HEAD, &m), 0);
        assert_int_equal(find(rows[i].path, HTTP_POST, &m), 405);
    }
}

static void test_captures(void **state)
{
    struct route_match m;

    (void)state;
    assert_int_equal(find("/cam-1/archive-1700000000-3600.m3u8", HTTP_GET, &m), 0);
    assert_true(span_is(m.uid, "cam-1"));
    assert_int_equal(m.n, 2);
    assert_true(span_is(m.capture[0], "1700000000"));
    assert_true(span_is(m.capture[1], "3600"));
    assert_int_equal(find("/live/cam-1/live-12.m4s", HTTP_GET, &m), 0);
    assert_true(span_is(m.capture[0], "12"));
    assert_int_equal(find("/dvr/x/dvr-0011aabb-5f-0-7d.m4s", HTTP_GET, &m), 0);
    assert_int_equal(m.n, 4);
    assert_true(span_is(m.capture[3], "7d"));
    assert_int_equal(find("/cpanel/a/b.js", HTTP_GET, &m), 0);
    assert_true(span_is(m.capture[0], "a/b.js"));
}

static void test_what_is_nothing(void **state)
{
    static const char *const paths[] = {"/", "/cam-1", "/cam-1/", "/cam-1/index.m3u8/x", "/cam-1/index.m3u",
        "/live/index.m3u8", "/dvr/index.m3u8", "/api/index.m3u8", "/s/index.m3u8", "/healthz/index.m3u8",
        "/cam-1/archive-1.m3u8", "/cam-1/archive-1-.m3u8", "/cam-1/archive--1.m3u8", "/cam-1/live-.m4s",
        "/a b/index.m3u8", "/caf\xc3\xa9/index.m3u8", "/live/cam-1/index.m3u8",
        "/1234567890123456789012345678901234567/index.m3u8", "/live/cam-1/playlist.m3u8/"};
    struct route_match m;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(paths); i++) assert_int_equal(find(paths[i], HTTP_GET, &m), 404);
    /* 36 characters are the most */
    assert_int_equal(find("/123456789012345678901234567890123456/index.m3u8", HTTP_GET, &m), 0);
}

/* The panel shows streams: their roads are on its listener too. It is on no other. */
static void test_panel_listener(void **state)
{
    static const char *const panel[] = {"/cpanel", "/cpanel/", "/metrics", "/healthz", "/api/streams"};
    struct route_match m;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(panel); i++) {
        assert_int_equal(route_find(span_of(panel[i]), HTTP_GET, true, &m), 0);
        assert_int_equal(route_find(span_of(panel[i]), HTTP_GET, false, &m), 404);
    }
    assert_int_equal(route_find(SPAN_LIT("/cam-1/mse_ld"), HTTP_GET, true, &m), 0);
    assert_true(m.route->flags & ROUTE_STREAM);
    assert_int_equal(route_find(SPAN_LIT("/cpanel/camera/cam-1"), HTTP_GET, true, &m), 0);
    assert_true(span_is(m.capture[0], "camera/cam-1"));
    assert_int_equal(route_find(SPAN_LIT("/cpanel/player/player.js"), HTTP_GET, true, &m), 0);
    assert_int_equal(route_find(SPAN_LIT("/api/streams/cam-1"), HTTP_PUT, true, &m), 0);
    assert_ptr_equal(m.route->run, serve_api);
    assert_true(span_is(m.capture[0], "streams/cam-1"));
    assert_int_equal(route_find(SPAN_LIT("/api/v3/session"), HTTP_DELETE, true, &m), 0);
    assert_ptr_equal(m.route->run, serve_session);
    assert_int_equal(route_find(SPAN_LIT("/api/v3/session"), HTTP_PUT, true, &m), 0);
    assert_int_equal(route_find(SPAN_LIT("/api/streams"), HTTP_PATCH, true, &m), 405);
    assert_int_equal(route_find(SPAN_LIT("/api/v3/streams/cam-1"), HTTP_PATCH, true, &m), 0);
    assert_true(m.route->flags & ROUTE_V3);
    assert_int_equal(route_find(SPAN_LIT("/api/v3/openapi.json"), HTTP_GET, true, &m), 0);
    assert_ptr_equal(m.route->run, serve_openapi);
    assert_int_equal(route_find(SPAN_LIT("/api/streams"), HTTP_GET, false, &m), 404);
    assert_int_equal(route_find(SPAN_LIT("/api/v3/streams"), HTTP_GET, false, &m), 404);
}

/* Access is decided on every road that belongs to a stream, and only there. */
static void test_every_stream_road_names_one(void **state)
{
    size_t n;
    const struct route *t = route_table(&n);
    char allow[64];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        bool has_uid = strstr(t[i].pattern, ":uid") != NULL;

        assert_int_equal(has_uid, (t[i].flags & ROUTE_STREAM) != 0);
        route_allow(&t[i], allow, sizeof(allow));
        assert_int_equal(strcmp(allow, "GET, HEAD, OPTIONS") != 0, (t[i].flags & ROUTE_BODY) != 0);
    }
}

static void test_bases(void **state)
{
    char base[64];

    (void)state;
    door_base(SPAN_NONE, base, sizeof(base));
    assert_string_equal(base, "/");
    door_base(SPAN_LIT("/"), base, sizeof(base));
    assert_string_equal(base, "/");
    door_base(SPAN_LIT("media//x"), base, sizeof(base));
    assert_string_equal(base, "/media/x/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_of_the_specification),
        cmocka_unit_test(test_captures),
        cmocka_unit_test(test_what_is_nothing),
        cmocka_unit_test(test_panel_listener),
        cmocka_unit_test(test_every_stream_road_names_one),
        cmocka_unit_test(test_bases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
