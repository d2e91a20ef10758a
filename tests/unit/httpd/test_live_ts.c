/* Live as MPEG-TS with real footage: what players get is one stream to a strict reader, whoever asks for what
 * first, through changes of the tracks and for viewers who are slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/media/ts.h"
#include "tests/support/live_site.h"
#include "tests/support/playlist.h"
#include "tests/support/tool.h"
#include "tests/support/ts_read.h"

#define FOOTAGE_S 4
#define WAIT_US   (60 * US_PER_S)
#define BIG       (600u << 10)

static int start(void **state)
{
    (void)state;
    return live_start(FOOTAGE_S, 2);
}

static void camera(struct httpd_camera *c, const char *uid, unsigned s)
{
    struct view v = httpd_view(uid);

    live_camera(c, &v, s);
}

/* The footage is laid out a second of pictures, then its sound. */
static struct ts_read *reader(void)
{
    struct ts_read *r = ts_read_new();

    r->any_due = true;
    return r;
}

static void reads(struct ts_read *r, struct span packets)
{
    if (!ts_read(r, packets)) fail_msg("packet %zu: %s", r->packets, r->bad);
}

static void get(const char *uid, const char *name, unsigned status, struct http_reply *r)
{
    char url[256];

    snprintf(url, sizeof(url), "/%s/%s", uid, name);
    assert_true(httpd_help_get(&live.help, url, NULL, r));
    assert_int_equal(r->status, status);
}

/* The segment of this number in both forms; the other one first where asked. */
static void take_segment(const char *uid, uint64_t msn, bool mp4_first, struct ts_read *r)
{
    struct http_reply ts, mp4;
    char name[64];

    snprintf(name, sizeof(name), "live-%llu.m4s", (unsigned long long)msn);
    if (mp4_first) get(uid, name, 200, &mp4);
    if (mp4_first) http_reply_done(&mp4);
    snprintf(name, sizeof(name), "live-%llu.ts", (unsigned long long)msn);
    get(uid, name, 200, &ts);
    assert_true(span_is(http_reply_field(&ts, "Content-Type"), "video/mp2t"));
    assert_int_equal(ts.body.p[1] << 8 | ts.body.p[2], 0x4000); /* begins with the PAT */
    reads(r, ts.body);
    http_reply_done(&ts);
    if (mp4_first) return;
    snprintf(name, sizeof(name), "live-%llu.m4s", (unsigned long long)msn);
    get(uid, name, 200, &mp4);
    http_reply_done(&mp4);
}

/* A minute, faster than life: each segment once, in the order of their numbers, is one stream. */
static void segments_are_one_stream(void **state)
{
    struct httpd_camera c;
    struct http_reply r, mp4;
    struct ts_read *ts = reader();
    usec_t now = clock_wall_us();
    uint64_t next = 0;

    (void)state;
    camera(&c, "one", 3);
    for (unsigned s = 0; s < 60; s++) {
        uint64_t msn, n = 0;

        now += US_PER_S;
        httpd_camera_until(&c, now);
        get("one", "mpegts.m3u8", 200, &r);
        get("one", "video.m3u8", 200, &mp4);
        msn = playlist_tag(r.body, "#EXT-X-MEDIA-SEQUENCE:");
        assert_int_equal(playlist_tag(r.body, "#EXT-X-VERSION:"), 3);
        assert_int_equal(span_find_span(r.body, SPAN_LIT("EXT-X-MAP")), -1);
        assert_int_equal(
            playlist_tag(r.body, "#EXT-X-TARGETDURATION:"), playlist_tag(mp4.body, "#EXT-X-TARGETDURATION:"));
        for (struct span rest = r.body, line; span_split(&rest, '\n', &line);)
            if (span_starts(line, SPAN_LIT("live-"))) n++;
        if (next == 0) next = msn;
        assert_true(next >= msn);
        for (; next < msn + n; next++) take_segment("one", next, next & 1, ts);
        http_reply_done(&r);
        http_reply_done(&mp4);
    }
    assert_true(ts_read_end(ts));
    assert_true(ts->pcrs > 50 * 25);
    assert_int_equal(ts->n_streams, 2);
    ts_read_free(ts);
    httpd_camera_stop(&live.help, &c, "one");
}

static int ask(const char *uid)
{
    char text[256];
    int fd = httpd_help_connect(&live.help);
    int n = snprintf(text, sizeof(text), "GET /%s/mpegts HTTP/1.1\r\nHost: t\r\n\r\n", uid);

    must(send(fd, text, (size_t)n, MSG_NOSIGNAL) == n);
    return fd;
}

struct player {
    int fd;
    bool body;
    struct buf got; /* less than a packet, or the head */
    struct ts_read *ts;
};

static void player_start(struct player *p, int fd)
{
    *p = (struct player){.fd = fd, .ts = reader()};
    buf_init(&p->got, 32u << 20);
}

static void player_stop(struct player *p)
{
    ts_read_free(p->ts);
    buf_done(&p->got);
    close(p->fd);
}

/* false: nothing more comes. */
static bool play_some(struct player *p)
{
    struct pollfd poll_for = {.fd = p->fd, .events = POLLIN};
    ssize_t n, head;
    size_t whole;

    if (poll(&poll_for, 1, (int)(WAIT_US / US_PER_MS)) != 1) return false;
    n = recv(p->fd, buf_room(&p->got, 65536), 65536, 0);
    if (n <= 0) return false;
    buf_added(&p->got, (size_t)n);
    head = span_find_span(buf_span(&p->got), SPAN_LIT("\r\n\r\n"));
    if (!p->body && head < 0) return true;
    if (!p->body) {
        assert_true(span_starts(buf_span(&p->got), SPAN_LIT("HTTP/1.1 200 ")));
        buf_take(&p->got, (size_t)head + 4);
        p->body = true;
    }
    whole = buf_n(&p->got) / TS_PACKET * TS_PACKET;
    reads(p->ts, span_sub(buf_span(&p->got), 0, whole));
    buf_take(&p->got, whole);
    return true;
}

/* From the last key frame on, at once, and through a change of the tracks. */
static void without_end(void **state)
{
    struct httpd_camera c;
    struct player p;
    usec_t now = clock_wall_us();
    unsigned before;

    (void)state;
    camera(&c, "endless", 3);
    player_start(&p, ask("endless"));
    while (p.ts->n_pes == 0) assert_true(play_some(&p));
    assert_true(p.ts->pes[0].random);
    httpd_camera_until(&c, now + 3 * US_PER_S);
    while (p.ts->pcrs < 70) assert_true(play_some(&p));
    before = p.ts->said_jumps;
    c.tracks.t[1] = (struct track){
        .codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 48000, .sample_rate = 48000, .channels = 1};
    ring_set_tracks(c.w, &c.tracks);
    httpd_camera_until(&c, now + 6 * US_PER_S);
    while (p.ts->pcrs < 120) assert_true(play_some(&p));
    assert_int_equal(p.ts->version, 1);
    assert_int_equal(p.ts->n_streams, 1);
    assert_int_equal(p.ts->said_jumps, before + 1);
    httpd_camera_stop(&live.help, &c, "endless");
    while (play_some(&p)) {
    }
    player_stop(&p);
}

/* Who reads nothing for a while goes on at a key frame, and is told that there was a jump. */
static void a_slow_viewer(void **state)
{
    struct view v = httpd_view("slow");
    struct httpd_camera c;
    struct player p;
    bool jumped = false;

    (void)state;
    httpd_camera_start(&live.help, &c, &v, NULL, clock_wall_us());
    for (unsigned i = 0; i < 25; i++) httpd_camera_put(&c, i == 0 ? FRAME_KEY : 0, 1000);
    player_start(&p, ask("slow"));
    while (p.ts->pcrs < 10) assert_true(play_some(&p));
    for (unsigned i = 0; i < 90; i++) {
        httpd_camera_put(&c, i % 30 == 0 ? FRAME_KEY : 0, BIG);
        if (i % 30 == 29) httpd_help_settle(&live.help);
    }
    for (unsigned i = 0; i < 400 && !jumped; i++) {
        httpd_camera_put(&c, i % 5 == 0 ? FRAME_KEY : 0, 1000);
        assert_true(play_some(&p));
        jumped = p.ts->said_jumps >= 4; /* PAT, PMT, picture, sound */
    }
    while (!jumped && play_some(&p)) jumped = p.ts->said_jumps >= 4;
    assert_true(jumped);
    player_stop(&p);
    httpd_camera_stop(&live.help, &c, "slow");
}

static const struct track opus = {.codec = CODEC_OPUS,
    .kind = TRACK_AUDIO,
    .clock_hz = 48000,
    .sample_rate = 48000,
    .channels = 1,
    .config_n = 11};

/* 3 s of the footage, its sound said to be Opus, its pictures to be `video` (NULL: what they are). */
static void disguised(struct httpd_camera *c, const char *uid, const struct track *video)
{
    struct view v = httpd_view(uid);
    usec_t now = clock_wall_us();

    live_need_footage();
    httpd_camera_start(&live.help, c, &v, &live.footage, now - 3 * US_PER_S);
    if (video) c->tracks.t[0] = *video;
    c->tracks.t[0].clock_hz = live.footage.movie.tracks.t[0].clock_hz;
    c->tracks.t[1] = opus;
    ring_set_tracks(c->w, &c->tracks);
    httpd_camera_until(c, now);
}

static void answers(const char *uid, const char *name, unsigned status, const char *left_out)
{
    struct http_reply r;

    get(uid, name, status, &r);
    assert_true(span_is(http_reply_field(&r, "X-Tracks-Left-Out"), left_out));
    http_reply_done(&r);
}

/* What MPEG-TS has no form for is named; a stream that has nothing else says so. */
static void what_is_left_out(void **state)
{
    struct track data = {.codec = CODEC_ONVIF, .kind = TRACK_DATA};
    struct httpd_camera c;

    (void)state;
    disguised(&c, "left", NULL);
    answers("left", "mpegts.m3u8", 200, "OPUS");
    answers("left", "video.m3u8", 200, "");
    answers("left", "live-x.ts", 400, "");
    answers("left", "live-1.ts", 404, "");
    httpd_camera_stop(&live.help, &c, "left");
    disguised(&c, "opus", &data);
    answers("opus", "mpegts.m3u8", 415, "");
    answers("opus", "mpegts", 415, "");
    httpd_camera_stop(&live.help, &c, "opus");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_one_stream),
        cmocka_unit_test(without_end),
        cmocka_unit_test(a_slow_viewer),
        cmocka_unit_test(what_is_left_out),
    };

    return cmocka_run_group_tests(tests, start, live_stop);
}
