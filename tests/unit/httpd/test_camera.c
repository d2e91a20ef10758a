/* Streams of one camera: who is offered beside whom, and how far it is said to be. First the entries alone,
 * then real hubs with real footage. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "httpd/camera.h"
#include "tests/support/live_site.h"
#include "tests/support/playlist.h"

#define FOOTAGE_S 8
#define WAIT_US   (60 * US_PER_S)
#define MASTER    "/gate/index.ll.m3u8"
#define PLAYLIST  "/gate/video.ll.m3u8"

/* --- entries --- */

static void who_is_of_a_camera(void **state)
{
    struct cameras *c = cameras_new();
    struct camera_entry *main = camera_join(c, "c1", "main", false), *sub = camera_join(c, "c1", "sub", true);
    struct camera_entry *other = camera_join(c, "c2", "other", false);
    struct camera_stream ret[2], now = {.seen_us = 5, .open = true, .mask = 3, .bandwidth = 7};
    char longer[STREAM_CAMERA_MAX + 1];

    (void)state;
    assert_null(camera_join(c, "", "alone", false));
    memset(longer, 'x', sizeof(longer));
    longer[STREAM_CAMERA_MAX] = '\0';
    assert_null(camera_join(c, longer, "alone", false));
    assert_int_equal(camera_others(NULL, ret, 2), 0);
    assert_int_equal(camera_others(other, ret, 2), 0);
    assert_int_equal(camera_others(main, ret, 2), 1);
    assert_string_equal(ret[0].uid, "sub");
    assert_true(ret[0].sub && !ret[0].open && ret[0].seen_us == 0);
    camera_put(sub, &now);
    assert_int_equal(camera_others(main, ret, 2), 1);
    assert_true(
        ret[0].sub && ret[0].open && ret[0].seen_us == 5 && ret[0].mask == 3 && ret[0].bandwidth == 7);
    assert_string_equal(ret[0].uid, "sub");
    assert_int_equal(camera_others(sub, ret, 2), 1);
    assert_string_equal(ret[0].uid, "main");
    assert_int_equal(camera_others(sub, ret, 0), 0);
    camera_leave(main);
    camera_leave(NULL);
    assert_int_equal(camera_others(sub, ret, 2), 0);
    camera_leave(sub);
    camera_leave(other);
    cameras_free(c);
}

/* --- hubs --- */

static struct media_file silent;

static int start(void **state)
{
    int err = live_start(FOOTAGE_S, 4);
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/b.mp4", live.dir);
    live.have_footage = live.have_footage && media_file_make(path, "libx264", NULL, FOOTAGE_S) &&
        media_file_load(path, &silent) == 0;
    return err;
}

static int stop(void **state)
{
    media_file_done(&silent);
    return live_stop(state);
}

static struct view view_of(const char *uid, const char *camera, bool sub)
{
    struct view v = httpd_view(uid);

    v.sub = sub;
    snprintf(v.camera, sizeof(v.camera), "%s", camera);
    return v;
}

static void change(const struct view *v)
{
    hub_post(hub_home(&live.help.server, span_of(v->uid)), stream_view, mem_dup(v, sizeof(*v)));
    httpd_help_settle(&live.help);
}

/* How often `what` is in the answer. */
static unsigned times(const char *url, const char *what)
{
    struct http_reply r;
    unsigned n;

    assert_true(httpd_help_get(&live.help, url, NULL, &r));
    assert_int_equal(r.status, 200);
    n = playlist_count(r.body, what);
    http_reply_done(&r);
    return n;
}

/* What another hub knows reaches this one a moment later. */
static bool comes(const char *url, const char *what, unsigned n)
{
    usec_t until = clock_mono_us() + WAIT_US;

    while (times(url, what) != n) {
        if (clock_mono_us() > until) return false;
        usleep(20000);
    }
    return true;
}

static void main_and_sub(void **state)
{
    struct view gate = view_of("gate", "c1", false), small = view_of("small", "c1", true);
    struct view hall = view_of("hall", "c2", false);
    struct httpd_camera c[3];

    (void)state;
    live_camera(&c[0], &gate, 3);
    live_camera(&c[1], &small, 3);
    live_camera(&c[2], &hall, 3);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 2);
    assert_int_equal(
        times(MASTER, "\nvideo.ll.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH="), 1); /* its own comes first */
    assert_int_equal(times(MASTER, "\n../small/video.ll.m3u8\n"), 1);
    assert_int_equal(times(MASTER, "CODECS=\"avc1."), 2);
    assert_int_equal(times(MASTER, "RESOLUTION="), 2);
    assert_int_equal(
        times("/gate/index.m3u8", "#EXT-X-STREAM-INF:"), 1); /* plain players see nothing of it */
    assert_int_equal(times("/small/index.ll.m3u8", "#EXT-X-STREAM-INF:"), 1);
    assert_int_equal(times("/hall/index.ll.m3u8", "#EXT-X-STREAM-INF:"), 1);
    /* Nobody watches it, so there is nothing to report. */
    assert_int_equal(times(PLAYLIST, "#EXT-X-RENDITION-REPORT"), 0);
    assert_int_equal(
        times("/small/video.ll.m3u8", "#EXT-X-RENDITION-REPORT:URI=\"../gate/video.ll.m3u8\",LAST-MSN="), 1);
    httpd_camera_until(&c[0], clock_wall_us() + 2 * US_PER_S);
    httpd_camera_until(&c[1], clock_wall_us() + 2 * US_PER_S);
    assert_true(comes(PLAYLIST, "#EXT-X-RENDITION-REPORT:URI=\"../small/video.ll.m3u8\",LAST-MSN=", 1));
    assert_true(comes(PLAYLIST, ",LAST-PART=", 1));
    assert_int_equal(times("/hall/video.ll.m3u8", "#EXT-X-RENDITION-REPORT"), 0);
    httpd_camera_stop(&live.help, &c[1], "small");
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    httpd_camera_stop(&live.help, &c[0], "gate");
    httpd_camera_stop(&live.help, &c[2], "hall");
}

/* Who may not be watched by everybody is not named, and nobody is led to one that shows nothing. */
static void who_is_not_offered(void **state)
{
    struct view gate = view_of("gate", "c3", false), small = view_of("small", "c3", true);
    struct httpd_camera c[2];

    (void)state;
    live_camera(&c[0], &gate, 3);
    live_camera(&c[1], &small, 3);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 2);
    small.rule.mode = ACCESS_PRIVATE;
    change(&small);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    small.rule.mode = ACCESS_PUBLIC;
    small.rule.roads = ACCESS_ROADS_ALL & ~(1u << ROAD_HLS);
    change(&small);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    small.rule.roads = ACCESS_ROADS_ALL;
    change(&small);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 2);
    snprintf(small.camera, sizeof(small.camera), "c4"); /* of another camera now */
    change(&small);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    snprintf(small.camera, sizeof(small.camera), "c3");
    atomic_store(&ring_writer_status(c[1].w)->state, STREAM_DOWN);
    change(&small);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    httpd_camera_stop(&live.help, &c[0], "gate");
    httpd_camera_stop(&live.help, &c[1], "small");
}

/* A player's buffers stay what they were: with sound, or without. */
static void other_kinds_of_tracks(void **state)
{
    struct view gate = view_of("gate", "c5", false), small = view_of("small", "c5", true);
    usec_t now = clock_wall_us();
    struct httpd_camera c[2];

    (void)state;
    live_camera(&c[0], &gate, 3);
    httpd_camera_start(&live.help, &c[1], &small, &silent, now - 3 * US_PER_S);
    httpd_camera_until(&c[1], now);
    assert_int_equal(times(MASTER, "#EXT-X-STREAM-INF:"), 1);
    assert_int_equal(times("/small/video.ll.m3u8", "#EXT-X-RENDITION-REPORT"), 0);
    httpd_camera_stop(&live.help, &c[0], "gate");
    httpd_camera_stop(&live.help, &c[1], "small");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_of_a_camera),
        cmocka_unit_test(main_and_sub),
        cmocka_unit_test(who_is_not_offered),
        cmocka_unit_test(other_kinds_of_tracks),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
