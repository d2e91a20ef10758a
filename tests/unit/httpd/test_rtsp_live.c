/* A stream's RTP packets for all who watch it: where they begin, that they are the same, how they end. Frames
 * are made up; everything of the hub is asked for in its own thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/proto/rtcp.h"
#include "common/ring/ring_layout.h"
#include "httpd/rtsp_live.h"
#include "tests/support/httpd_help.h"

#define UID     "cam-1"
#define WAIT_US (60 * US_PER_S)
#define STEP_US (5 * US_PER_MS)
#define SEEN    256

static struct httpd_help help;

/* A viewer, and what it was given. Touched in the hub's thread; read here once that has settled. */
struct watcher {
    struct rtsp_viewer v;
    unsigned n, reports, byes, ends, turns;
    struct {
        uint8_t track;
        bool entry;
        uint16_t seq;
        uint32_t ts;
        const struct chunk *c;
    } seen[SEEN];
    struct rtsp_start start;
    bool ready;
    uint64_t epoch;
    uint32_t ssrc;
};

static void on_frame(struct rtsp_viewer *v, struct rtp_frame *f)
{
    struct watcher *w = CONTAINER(v, struct watcher, v);

    assert_true(w->reports > 0); /* the clock is told first */
    if (w->n < SEEN) {
        w->seen[w->n].track = f->track;
        w->seen[w->n].entry = f->entry;
        w->seen[w->n].seq = f->seq;
        w->seen[w->n].ts = f->ts;
        w->seen[w->n].c = f->c;
    }
    w->n++;
}

static void on_report(struct rtsp_viewer *v, unsigned track, struct span compound)
{
    struct watcher *w = CONTAINER(v, struct watcher, v);
    struct rtcp_packet p;
    unsigned bad = 0;

    w->reports++;
    while (rtcp_next(&compound, &p, &bad)) {
        w->byes += p.type == RTCP_BYE;
        if (p.type == RTCP_SR && track == 0) w->ssrc = p.ssrc;
    }
    assert_int_equal(bad, 0);
}

static void on_turned(struct rtsp_viewer *v)
{
    CONTAINER(v, struct watcher, v)->turns++;
}

static void on_end(struct rtsp_viewer *v)
{
    CONTAINER(v, struct watcher, v)->ends++;
}

static struct rtsp_live *live_of(struct hub *hub)
{
    return rtsp_live_get(stream_get(hub, span_of(UID)));
}

static void in_hub(void (*fn)(struct hub *hub, void *arg), void *arg)
{
    hub_post(hub_home(&help.server, span_of(UID)), fn, arg);
    httpd_help_settle(&help);
}

static void do_look(struct hub *hub, void *arg)
{
    struct watcher *w = arg;
    struct rtsp_live *l = live_of(hub);

    w->ready = rtsp_live_ready(l);
    w->epoch = rtsp_live_epoch(l);
    rtsp_live_start(l, &w->start);
}

static void do_join(struct hub *hub, void *arg)
{
    struct watcher *w = arg;

    do_look(hub, w);
    w->v = (struct rtsp_viewer){
        .on_frame = on_frame, .on_report = on_report, .on_turned = on_turned, .on_end = on_end};
    rtsp_live_join(live_of(hub), &w->v);
}

static void do_leave(struct hub *hub, void *arg)
{
    rtsp_live_leave(live_of(hub), &((struct watcher *)arg)->v);
}

static void do_end(struct hub *hub, void *arg)
{
    (void)arg;
    rtsp_live_end(stream_get(hub, span_of(UID)));
}

static unsigned peeked;

static void do_peek(struct hub *hub, void *arg)
{
    (void)hub;
    peeked = *(const unsigned *)arg;
}

/* As the hub has it now. */
static unsigned peek(const unsigned *what)
{
    in_hub(do_peek, (void *)(uintptr_t)what);
    return peeked;
}

static void until_is(const unsigned *what, unsigned n)
{
    usec_t by = clock_mono_us() + WAIT_US;

    while (peek(what) < n && clock_mono_us() < by) usleep(STEP_US);
    assert_int_equal(peek(what), n);
}

static void until(const struct watcher *w, unsigned frames)
{
    until_is(&w->n, frames);
}

static void camera(struct httpd_camera *c)
{
    struct view v = {.uid = UID, .rule = {ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}}};

    httpd_camera_start(&help, c, &v, NULL, clock_wall_us());
}

static void pictures(struct httpd_camera *c, unsigned n, unsigned gop)
{
    for (unsigned i = 0; i < n; i++) httpd_camera_put(c, i % gop == 0 ? FRAME_KEY : 0, 1000);
}

static int start(void **state)
{
    (void)state;
    httpd_help_start(&help, 2, NULL, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    httpd_help_stop(&help);
    return 0;
}

/* From the last key frame on at once, as RTP-Info says; then what comes. */
static void begins_at_the_last_key_frame(void **state)
{
    struct httpd_camera c;
    struct watcher w = {0};

    (void)state;
    camera(&c);
    pictures(&c, 30, 20); /* key frames 0 and 20 */
    in_hub(do_join, &w);
    assert_true(w.ready && w.start.known);
    until(&w, 10);
    assert_true(w.seen[0].entry && w.seen[0].seq == w.start.seq[0] && w.seen[0].ts == w.start.ts[0]);
    httpd_camera_put(&c, 0, 5000);
    until(&w, 11);
    for (unsigned i = 1; i < 11; i++) {
        assert_false(w.seen[i].entry);
        assert_int_equal(w.seen[i].ts - w.seen[i - 1].ts, 3600);
        assert_true((uint16_t)(w.seen[i].seq - w.seen[i - 1].seq) >= 1);
    }
    in_hub(do_leave, &w);
    assert_true(w.turns > 0);
    httpd_camera_put(&c, 0, 1000);
    httpd_help_settle(&help);
    assert_int_equal(w.n, 11);
    httpd_camera_stop(&help, &c, UID);
    assert_int_equal(w.ends, 0);
}

/* The same memory for all; the stream counts who follows. */
static void all_get_the_same(void **state)
{
    struct httpd_camera c;
    struct watcher w[2] = {0};

    (void)state;
    camera(&c);
    pictures(&c, 5, 20);
    for (int i = 0; i < 2; i++) in_hub(do_join, &w[i]);
    assert_int_equal(atomic_load(&c.demand->followers), 2);
    pictures(&c, 5, 20);
    for (int i = 0; i < 2; i++) until(&w[i], 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_ptr_equal(w[0].seen[i].c, w[1].seen[i].c);
        assert_int_equal(w[0].seen[i].seq, w[1].seen[i].seq);
    }
    assert_true(w[0].ssrc != 0 && w[0].ssrc == w[1].ssrc);
    in_hub(do_leave, &w[0]);
    assert_int_equal(atomic_load(&c.demand->followers), 1);
    in_hub(do_leave, &w[1]);
    httpd_camera_stop(&help, &c, UID);
}

static void spoil(struct httpd_camera *c)
{
    struct ring_map map;

    assert_int_equal(ring_map(c->ring_fd, true, &map), 0);
    for (size_t i = 0; i < map.geom.data_bytes; i += 64) map.data[i] ^= 0xff;
    ring_unmap(&map);
}

/* What a viewer would begin with has gone from the ring: the next key frame is his first. */
static void a_start_that_has_gone(void **state)
{
    struct httpd_camera c;
    struct watcher first = {0}, late = {0};

    (void)state;
    camera(&c);
    httpd_camera_put(&c, FRAME_KEY, 1000);
    in_hub(do_join, &first);
    until(&first, 1);
    httpd_camera_put(&c, 0, 1000);
    until(&first, 2);
    spoil(&c);
    in_hub(do_join, &late);
    assert_true(late.ready && !late.start.known);
    assert_int_equal(late.n, 0);
    httpd_camera_put(&c, FRAME_KEY, 1000);
    until(&late, 1);
    until(&first, 3);
    assert_true(late.seen[0].entry);
    in_hub(do_leave, &first);
    in_hub(do_leave, &late);
    httpd_camera_stop(&help, &c, UID);
}

/* A group of pictures that the ring might not hold to its end is kept, and begun with all the same. */
static void a_long_start_is_kept(void **state)
{
    const size_t big = 600u << 10;
    const unsigned n = RTSP_START_LAZY / (600u << 10) + 3;
    struct httpd_camera c;
    struct watcher first = {0}, late = {0};

    (void)state;
    camera(&c);
    httpd_camera_put(&c, FRAME_KEY, big);
    in_hub(do_join, &first);
    for (unsigned i = 1; i < n; i++) httpd_camera_put(&c, 0, big);
    until(&first, n);
    spoil(&c);
    in_hub(do_join, &late);
    assert_true(late.start.known);
    until(&late, n);
    for (unsigned i = 0; i < n; i++) assert_int_equal(late.seen[i].seq, first.seen[i].seq);
    in_hub(do_leave, &first);
    in_hub(do_leave, &late);
    httpd_camera_stop(&help, &c, UID);
}

/* Nothing behind a hole in the footage until a key frame. */
static void a_hole_is_passed_over(void **state)
{
    struct httpd_camera c;
    struct watcher w = {0};

    (void)state;
    camera(&c);
    pictures(&c, 5, 20);
    in_hub(do_join, &w);
    httpd_camera_put(&c, FRAME_DISCONT, 1000);
    httpd_camera_put(&c, 0, 1000);
    httpd_camera_put(&c, FRAME_KEY, 1000);
    until(&w, 6);
    assert_true(w.seen[5].entry);
    /* Sequence numbers have no hole: nothing was lost on the way. */
    assert_int_equal((uint16_t)(w.seen[5].seq - w.seen[4].seq), 1);
    in_hub(do_leave, &w);
    httpd_camera_stop(&help, &c, UID);
}

/* Other tracks: who watches is told that this is the end, and whoever comes sees another epoch. */
static void other_tracks_end_it(void **state)
{
    struct httpd_camera c;
    struct watcher w = {0}, next = {0};

    (void)state;
    camera(&c);
    pictures(&c, 5, 20);
    in_hub(do_join, &w);
    until(&w, 5);
    c.tracks.t[0].codec = CODEC_H265;
    ring_set_tracks(c.w, &c.tracks);
    pictures(&c, 5, 20);
    until_is(&w.ends, 1);
    assert_int_equal(w.byes, 2); /* one a track */
    assert_int_equal(w.n, 5);
    in_hub(do_look, &next);
    assert_true(next.epoch > w.epoch);
    httpd_camera_stop(&help, &c, UID);
}

/* Switched off: the same; and who waits is woken. */
static struct {
    struct rtsp_wait w;
    unsigned woken;
} waiter;

static void woken(struct rtsp_wait *w)
{
    (void)w;
    waiter.woken++;
}

static void do_wait(struct hub *hub, void *arg)
{
    (void)arg;
    waiter.w = (struct rtsp_wait){.woken = woken};
    rtsp_live_wait(live_of(hub), &waiter.w);
}

static void its_end(void **state)
{
    struct httpd_camera c;
    struct watcher w = {0};

    (void)state;
    camera(&c);
    in_hub(do_look, &w);
    assert_false(w.ready); /* no picture yet */
    in_hub(do_wait, NULL);
    pictures(&c, 5, 20);
    until_is(&waiter.woken, 1);
    in_hub(do_join, &w);
    in_hub(do_wait, NULL);
    in_hub(do_end, NULL);
    assert_true(w.ends == 1 && w.byes == 2 && waiter.woken == 2);
    assert_int_equal(atomic_load(&c.demand->followers), 0);
    httpd_camera_stop(&help, &c, UID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_at_the_last_key_frame),
        cmocka_unit_test(all_get_the_same),
        cmocka_unit_test(a_start_that_has_gone),
        cmocka_unit_test(a_long_start_is_kept),
        cmocka_unit_test(a_hole_is_passed_over),
        cmocka_unit_test(other_tracks_end_it),
        cmocka_unit_test(its_end),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
