/* Following a ring: one that is spoilt, viewers who join late, who go without a word, cameras that fall
 * silent. Frames are made up: nobody here decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/ring/ring_layout.h"
#include "httpd/follow.h"
#include "tests/support/httpd_help.h"

#define WAIT_US (60 * US_PER_S)
#define GOP     25
#define BIG     (600u << 10)
#define BIG_GOP 60 /* frames of BIG: far above HTTP_QUEUE_HIGH and what sockets hold */
#define STEP_US (20 * US_PER_MS)
#define MANY    (4 * STREAM_PACE_FROM) /* on two hubs: many on each */

static struct httpd_help help;

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

static void camera(struct httpd_camera *c, const char *uid, bool on_demand)
{
    struct view v = {.rule = {ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}}, .on_demand = on_demand};

    snprintf(v.uid, sizeof(v.uid), "%s", uid);
    httpd_camera_start(&help, c, &v, NULL, clock_wall_us());
}

static void pictures(struct httpd_camera *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) httpd_camera_put(c, i % GOP == 0 ? FRAME_KEY : 0, 1000);
}

static int ask(const char *path)
{
    char text[256];
    int fd = httpd_help_connect(&help);
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);

    must(send(fd, text, (size_t)n, MSG_NOSIGNAL) == n);
    return fd;
}

/* Every byte of frame data is another one. */
static void spoil(struct httpd_camera *c)
{
    struct ring_map map;

    assert_int_equal(ring_map(c->ring_fd, true, &map), 0);
    for (size_t i = 0; i < map.geom.data_bytes; i += 64) map.data[i] ^= 0xff;
    ring_unmap(&map);
}

static void until_wanted(struct httpd_camera *c, bool wanted, usec_t most_us)
{
    usec_t until = clock_mono_us() + most_us;

    while ((atomic_load(&c->demand->wanted) > 0) != wanted && clock_mono_us() < until) usleep(STEP_US);
    assert_int_equal(atomic_load(&c->demand->wanted) > 0, wanted);
}

static void reads_as(int fd, unsigned status)
{
    struct http_reply r;

    assert_true(http_help_ask(fd, SPAN_NONE, SIZE_MAX, &r));
    assert_int_equal(r.status, status);
    http_reply_done(&r);
    close(fd);
}

/* The camera goes on until the answer comes. */
static void comes_with_pictures(int fd, struct httpd_camera *c)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    usec_t until = clock_mono_us() + WAIT_US;

    do pictures(c, GOP);
    while (poll(&p, 1, 100) == 0 && clock_mono_us() < until);
    reads_as(fd, 200);
}

/* A ring whose frames do not match their sums is left, opened again, and followed behind them. */
static void a_bad_ring_is_opened_again(void **state)
{
    struct httpd_camera c;
    int fd;

    (void)state;
    camera(&c, "bad", false);
    pictures(&c, 2 * GOP);
    spoil(&c);
    fd = ask("/bad/video.m3u8");
    until_wanted(&c, true, WAIT_US);
    comes_with_pictures(fd, &c);
    httpd_camera_stop(&help, &c, "bad");
}

/* The writer's place goes back, as one that lied about it does: what comes then is followed. */
static void a_ring_that_lied_about_its_place(void **state)
{
    struct httpd_camera c;
    struct ring_map map;
    uint64_t next;
    int fd;

    (void)state;
    camera(&c, "lied", false);
    pictures(&c, GOP);
    assert_int_equal(ring_map(c.ring_fd, true, &map), 0);
    next = ring_get(map.head->pos.next_seq);
    ring_set(map.head->pos.next_seq, next + 1000000);
    fd = ask("/lied/video.m3u8");
    until_wanted(&c, true, WAIT_US);
    httpd_help_settle(&help);
    ring_set(map.head->pos.next_seq, next);
    ring_unmap(&map);
    comes_with_pictures(fd, &c);
    httpd_camera_stop(&help, &c, "lied");
}

/* Fragments that came on this connection, until n are there or nothing comes. */
static unsigned fragments(int fd, unsigned n)
{
    static uint8_t bytes[1 << 20];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t kept = 0;
    unsigned got = 0;

    while (got < n && poll(&p, 1, (int)(WAIT_US / US_PER_MS)) == 1) {
        ssize_t more = recv(fd, bytes + kept, sizeof(bytes) - kept, 0);
        struct span rest;
        ssize_t at;

        if (more <= 0) break;
        rest = span(bytes, kept + (size_t)more);
        for (; (at = span_find_span(rest, SPAN_LIT("moof"))) >= 0; got++)
            rest = span_from(rest, (size_t)at + 4);
        kept = MIN(rest.n, 3);
        memmove(bytes, rest.p + rest.n - kept, kept);
    }
    return got;
}

/* What is given at the start, in one piece, does not count as being slow. */
static void a_long_group_is_no_slowness(void **state)
{
    struct httpd_camera c;
    int slow, other;

    (void)state;
    camera(&c, "big", false);
    pictures(&c, 2 * GOP);
    /* All of it is in the ring before anybody follows: who asks is answered when the follower has it, so that
     * nobody joins in the middle and is too slow for the rest. */
    for (unsigned i = 0; i < BIG_GOP; i++) httpd_camera_put(&c, i == 0 ? FRAME_KEY : 0, BIG);
    /* The last sample waits for the next one of its track. */
    other = ask("/big/live.mp4");
    assert_true(fragments(other, BIG_GOP - 1) >= BIG_GOP - 1);
    close(other);
    slow = ask("/big/live.mp4");
    other = ask("/big/live.mp4");
    /* The head of the answer is there, so it has joined. */
    assert_int_equal(recv(slow, (char[1]){0}, 1, MSG_PEEK), 1);
    assert_int_equal(recv(other, (char[1]){0}, 1, MSG_PEEK), 1);
    for (unsigned i = 0; i < 5; i++) httpd_camera_put(&c, 0, 1000);
    assert_int_equal(fragments(other, BIG_GOP + 4), BIG_GOP + 4);
    assert_int_equal(fragments(slow, BIG_GOP + 4), BIG_GOP + 4);
    close(slow);
    close(other);
    httpd_camera_stop(&help, &c, "big");
}

static unsigned status_of(const char *path, struct http_reply *r)
{
    assert_true(httpd_help_get(&help, path, NULL, r));
    return r->status;
}

/* With this in its body. */
static void until_answer(const char *path, unsigned status, const char *in_body, struct http_reply *r)
{
    usec_t until = clock_mono_us() + 2 * WAIT_US;
    bool good;

    for (;;) {
        good = status_of(path, r) == status && span_find_span(r->body, span_of(in_body)) >= 0;
        if (good || clock_mono_us() >= until) break;
        http_reply_done(r);
        usleep(STEP_US);
    }
    assert_true(good);
}

/* The playlist of a camera that is down is offered while its footage is fresh; new footage makes it so,
 * however long this test was held up. */
static void stands_still(const char *path, struct httpd_camera *c)
{
    struct http_reply r;
    usec_t until = clock_mono_us() + WAIT_US;

    while (status_of(path, &r) != 200 && clock_mono_us() < until) {
        http_reply_done(&r);
        pictures(c, GOP);
        usleep(STEP_US);
    }
    assert_int_equal(r.status, 200);
    assert_int_equal(span_find_span(r.body, SPAN_LIT("#EXT-X-ENDLIST")), -1);
    http_reply_done(&r);
}

/* Cameras that have fallen silent: no byte is sent that could fail. */
static void when_a_camera_is_silent(void **state)
{
    struct httpd_camera gone, mute, down;
    struct http_reply r;
    int goes, stays, playlist;
    uint8_t byte;

    (void)state;
    camera(&gone, "gone", true);
    camera(&mute, "mute", true);
    camera(&down, "down", false);
    pictures(&gone, GOP);
    pictures(&mute, GOP);
    pictures(&down, 5 * GOP);
    goes = ask("/gone/live.mp4");
    stays = ask("/mute/live.mp4");
    playlist = ask("/down/video.m3u8");
    assert_true(fragments(goes, GOP - 1) == GOP - 1 && fragments(stays, GOP - 1) == GOP - 1);
    reads_as(playlist, 200);
    atomic_store(&ring_writer_status(down.w)->state, STREAM_DOWN);
    stands_still("/down/video.m3u8", &down);

    /* The only viewer leaves: the camera is left a little later. */
    close(goes);
    until_wanted(&gone, false, FOLLOW_LINGER_US + WAIT_US);

    /* A playlist that stands still is taken away, and goes on where it was when the camera is back. */
    until_answer("/down/video.m3u8", 503, "", &r);
    assert_true(http_reply_field(&r, "Retry-After").n > 0);
    http_reply_done(&r);
    atomic_store(&ring_writer_status(down.w)->state, STREAM_ACTIVE);
    httpd_camera_put(&down, FRAME_KEY | FRAME_DISCONT, 1000);
    pictures(&down, 5 * GOP);
    /* The camera counts as back before its first new segment is whole. */
    until_answer("/down/video.m3u8", 200, "#EXT-X-DISCONTINUITY\n", &r);
    http_reply_done(&r);

    /* One who stays, and whose going nobody would notice, is ended after a time. */
    while (recv(stays, &byte, 1, 0) == 1) {
    }
    until_wanted(&mute, false, FOLLOW_LINGER_US + WAIT_US);
    close(stays);
    httpd_camera_stop(&help, &gone, "gone");
    httpd_camera_stop(&help, &mute, "mute");
    httpd_camera_stop(&help, &down, "down");
}

static unsigned pulling; /* hubs that look at all their streams together */

static void do_count(struct hub *hub, void *arg)
{
    (void)arg;
    if (loop_timer_armed(&hub->pull)) __atomic_fetch_add(&pulling, 1, __ATOMIC_RELAXED);
}

static unsigned pulling_hubs(void)
{
    pulling = 0;
    server_each(&help.server, do_count, NULL);
    httpd_help_settle(&help);
    return pulling;
}

/* A hub that follows many streams lets their frames wait, and looks at all of them at once; where few are
 * followed none waits. */
static void many_streams_share_a_pace(void **state)
{
    static struct httpd_camera c[MANY];
    char uid[16], path[40];
    int fd[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(uid, sizeof(uid), "wall-%u", i);
        snprintf(path, sizeof(path), "/wall-%u/live.mp4", i);
        camera(&c[i], uid, false);
        pictures(&c[i], GOP);
        fd[i] = ask(path);
        until_wanted(&c[i], true, WAIT_US);
        if (i == 0) assert_int_equal(atomic_load(&c[i].demand->pace_us), 0);
    }
    for (usec_t until = clock_mono_us() + WAIT_US; clock_mono_us() < until; usleep(STEP_US)) {
        unsigned paced = 0;

        for (unsigned i = 0; i < MANY; i++) paced += atomic_load(&c[i].demand->pace_us) > 0;
        if (paced == MANY) break;
    }
    assert_int_equal(pulling_hubs(), help.server.n_hubs);
    for (unsigned i = 0; i < MANY; i++) {
        assert_in_range(atomic_load(&c[i].demand->pace_us), 1, STREAM_PACE_MOST_US);
        snprintf(uid, sizeof(uid), "wall-%u", i);
        close(fd[i]);
        httpd_camera_stop(&help, &c[i], uid);
    }
    camera(&c[0], "alone", false);
    pictures(&c[0], GOP);
    fd[0] = ask("/alone/live.mp4");
    until_wanted(&c[0], true, WAIT_US);
    assert_int_equal(atomic_load(&c[0].demand->pace_us), 0);
    for (usec_t until = clock_mono_us() + WAIT_US; pulling_hubs() > 0 && clock_mono_us() < until;)
        usleep(STEP_US);
    assert_int_equal(pulling_hubs(), 0);
    close(fd[0]);
    httpd_camera_stop(&help, &c[0], "alone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_ring_is_opened_again),
        cmocka_unit_test(a_ring_that_lied_about_its_place),
        cmocka_unit_test(a_long_group_is_no_slowness),
        cmocka_unit_test(when_a_camera_is_silent),
        cmocka_unit_test(many_streams_share_a_pace),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
