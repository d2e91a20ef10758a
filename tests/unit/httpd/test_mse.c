/* Live over a WebSocket against the real server: what comes first, the form of fragments, commands, other
 * tracks, a viewer that does not read, a client that breaks the rules, pages of other sites. Frames are made
 * up: nobody here decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/media/mp4_box.h"
#include "common/proto/websocket.h"
#include "httpd/follow.h"
#include "httpd/ws.h"
#include "tests/support/httpd_help.h"

#define WAIT_MS 60000
#define WAIT_US (60 * US_PER_S)
#define GOP     25
#define ENOUGH                                                                                               \
    85 /* frames: sound that does not come has been given up (quiet.h), the fourth group is open             \
        */
#define FRAME_N   1000
#define TRACK_AT  47 /* where Flussonic's player looks */
#define WALL_AT   92
#define BIG       (400u << 10)
#define BYTES_MAX (64u << 20)
#define PACE_US   40000 /* of the camera */

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

static void put(struct httpd_camera *c, unsigned n, size_t bytes)
{
    for (unsigned i = 0; i < n; i++) httpd_camera_put(c, c->at % GOP == 0 ? FRAME_KEY : 0, bytes);
}

static void camera(struct httpd_camera *c, const char *uid)
{
    struct view v = httpd_view(uid);

    httpd_camera_start(&help, c, &v, NULL, clock_wall_us());
    put(c, ENOUGH, FRAME_N);
}

/* --- a client --- */

struct client {
    int fd;
    struct http_reply hello;
    struct buf in;
    size_t at; /* read so far */
    uint8_t opcode;
    struct span data; /* of the last frame */
};

static unsigned open_with(struct client *c, const char *target, const char *fields)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
        "GET %s HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        target, fields);

    *c = (struct client){.fd = httpd_help_connect(&help)};
    assert_true(http_help_ask(c->fd, span(text, (size_t)n), 0, &c->hello));
    buf_init(&c->in, BYTES_MAX);
    buf_put(&c->in, span_from(buf_span(&c->hello.all), c->hello.head.n));
    return c->hello.status;
}

static void hang_up(struct client *c)
{
    close(c->fd);
    buf_done(&c->in);
    http_reply_done(&c->hello);
}

/* false: the server has closed. */
static bool fill(struct client *c, size_t n)
{
    while (buf_n(&c->in) - c->at < n) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        uint8_t *to = buf_room(&c->in, 65536);
        ssize_t got;

        assert_non_null(to);
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        got = recv(c->fd, to, 65536, 0);
        if (got <= 0) return false;
        buf_added(&c->in, (size_t)got);
    }
    return true;
}

static bool next_frame(struct client *c)
{
    struct rd r;
    uint64_t n;

    if (!fill(c, 2)) return false;
    r = rd_of(span_from(buf_span(&c->in), c->at));
    c->opcode = rd_u8(&r);
    assert_true(c->opcode & 0x80); /* one frame a message */
    c->opcode &= 0x0f;
    n = rd_u8(&r);
    assert_true(n < 128); /* a server does not mask */
    if (n >= 126) {
        size_t more = n == 126 ? 2 : 8;

        if (!fill(c, 2 + more)) return false;
        r = rd_of(span_from(buf_span(&c->in), c->at));
        rd_u16(&r);
        n = more == 2 ? rd_u16(&r) : rd_u64(&r);
    }
    c->at += r.at;
    if (!fill(c, n)) return false;
    c->data = span_sub(buf_span(&c->in), c->at, n);
    c->at += n;
    return true;
}

/* The next frame of that kind; others are passed over. */
static void until(struct client *c, enum ws_opcode opcode)
{
    do assert_true(next_frame(c));
    while (c->opcode != opcode);
}

static bool something_waits(const struct client *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    return buf_n(&c->in) > c->at || poll(&p, 1, 0) == 1;
}

static void say(struct client *c, uint8_t first, struct span text)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    uint8_t mem[WS_CONTROL_MAX + 6];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_u8(&w, first);
    wr_u8(&w, (uint8_t)(0x80 | text.n));
    wr_bytes(&w, span(mask, 4));
    for (size_t i = 0; i < text.n; i++) wr_u8(&w, text.p[i] ^ mask[i % 4]);
    assert_true(wr_ok(&w));
    (void)!send(c->fd, mem, w.n, MSG_NOSIGNAL);
}

static void command(struct client *c, const char *text)
{
    say(c, 0x80 | WS_TEXT, span_of(text));
}

static bool says(const struct client *c, const char *what)
{
    return span_find_span(c->data, span_of(what)) >= 0;
}

/* The server says this code and closes. */
static void expect_close(struct client *c, unsigned code)
{
    struct rd r;

    until(c, WS_CLOSE);
    r = rd_of(c->data);
    assert_int_equal(c->data.n >= 2 ? rd_u16(&r) : WS_NO_CODE, code);
    assert_false(next_frame(c));
}

static uint32_t u32_at(struct span s, size_t at)
{
    struct rd r = rd_of(span_from(s, at));

    return rd_u32(&r);
}

/* A fragment of one track: boxes fit, the places are those that Flussonic's player reads. */
static void check_fragment(struct span f, unsigned track)
{
    uint32_t moof = u32_at(f, 0);
    struct span rest = f, body, b;
    uint32_t type;

    assert_int_equal(f.p[TRACK_AT], track + 1);
    assert_true(llabs((long long)u32_at(f, WALL_AT) - clock_wall_us() / US_PER_S) < 600);
    assert_true(mp4_next(&rest, &type, &body) && type == MP4_TYPE('m', 'o', 'o', 'f'));
    b = mp4_find(body, MP4_TYPE('t', 'r', 'a', 'f'));
    b = mp4_find(b, MP4_TYPE('t', 'r', 'u', 'n'));
    assert_int_equal(u32_at(b, 8), moof + 8); /* data_offset */
    assert_true(mp4_next(&rest, &type, &body) && type == MP4_TYPE('m', 'd', 'a', 't'));
    assert_int_equal(rest.n, 0);
}

/* --- the tests --- */

static void first_the_tracks_then_a_fragment_a_frame(void **state)
{
    struct httpd_camera cam;
    struct client c;

    (void)state;
    camera(&cam, "first");
    assert_int_equal(open_with(&c, "/first/mse_ld", ""), 101);
    assert_true(span_is(http_reply_field(&c.hello, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(next_frame(&c));
    assert_int_equal(c.opcode, WS_TEXT);
    assert_true(says(&c, "\"type\":\"mse_init_segment\""));
    assert_true(says(&c, "\"mime\":\"video/mp4; codecs=\\\"avc1.42c01e\\\"\""));
    assert_true(says(&c, "\"width\":640,\"height\":480"));
    assert_true(
        says(&c, "\"track_id\":\"a1\"")); /* announced, and left out of "tracks": nothing of it came */
    assert_false(says(&c, "\"id\":2"));
    /* The open group, but for its last frame, whose duration is not known. */
    for (unsigned i = 0; i < ENOUGH % GOP - 1; i++) {
        assert_true(next_frame(&c));
        assert_int_equal(c.opcode, WS_BINARY);
        check_fragment(c.data, 0);
        assert_int_equal(c.data.n, 100 + 20 + 16 + 8 + FRAME_N);
    }
    put(&cam, 1, FRAME_N);
    assert_true(next_frame(&c));
    check_fragment(c.data, 0);
    hang_up(&c);
    httpd_camera_stop(&help, &cam, "first");
}

static void commands_of_the_player(void **state)
{
    struct httpd_camera cam;
    struct client c;

    (void)state;
    camera(&cam, "cmd");
    assert_int_equal(open_with(&c, "/cmd/mse_ld?tracks=v1", ""), 101);
    until(&c, WS_TEXT);
    command(&c, "resume");
    until(&c, WS_TEXT);
    assert_true(span_is(c.data, "{\"type\":\"event\",\"event\":\"resumed\"}"));
    command(&c, "pause");
    until(&c, WS_TEXT);
    assert_true(span_is(c.data, "{\"type\":\"event\",\"event\":\"paused\"}"));
    put(&cam, 10, FRAME_N);
    say(&c, 0x80 | WS_PING, SPAN_LIT("?"));
    assert_true(next_frame(&c)); /* no picture in a pause */
    assert_int_equal(c.opcode, WS_PONG);
    assert_true(span_is(c.data, "?"));
    command(&c, "resume");
    assert_true(next_frame(&c));
    assert_true(says(&c, "mse_init_segment"));
    until(&c, WS_TEXT);
    assert_true(says(&c, "resumed"));
    command(&c, "live");
    until(&c, WS_TEXT);
    assert_true(says(&c, "seeked"));
    command(&c, "play_from=1700000000");
    until(&c, WS_TEXT);
    assert_true(says(&c, "not_supported") && says(&c, "archive-1700000000-now.m3u8"));
    command(&c, "set_tracks=v7");
    until(&c, WS_TEXT);
    assert_true(says(&c, "no such track"));
    command(&c, "set_tracks=v1");
    until(&c, WS_TEXT);
    assert_true(says(&c, "tracks_switched"));
    until(&c, WS_TEXT);
    assert_true(says(&c, "mse_init_segment"));
    command(&c, "\"}]<script>");
    until(&c, WS_TEXT);
    assert_true(
        span_is(c.data, "{\"type\":\"event\",\"event\":\"not_supported\",\"reason\":\"no such command\"}"));
    say(&c, 0x80 | WS_CLOSE, SPAN_LIT("\x03\xe8"));
    expect_close(&c, WS_NORMAL);
    hang_up(&c);
    httpd_camera_stop(&help, &cam, "cmd");
}

/* The socket stays; the new tracks are said first, and begin with a key frame. */
static void other_tracks_are_told(void **state)
{
    struct httpd_camera cam;
    struct client c;

    (void)state;
    camera(&cam, "change");
    assert_int_equal(open_with(&c, "/change/mse_ld", ""), 101);
    until(&c, WS_TEXT);
    cam.tracks.t[0].width = 320;
    ring_set_tracks(cam.w, &cam.tracks);
    put(&cam, ENOUGH, FRAME_N);
    until(&c, WS_TEXT);
    assert_true(says(&c, "\"width\":320"));
    assert_true(next_frame(&c));
    check_fragment(c.data, 0);
    httpd_camera_stop(&help, &cam, "change");
    expect_close(&c, WS_GOING_AWAY);
    hang_up(&c);
}

/* A client that reads nothing is not sent more and more: frames in the middle are missing when it reads
 * again, and what it gets behind them begins with a key frame. Who watches beside it gets every one. */
static void behind_is_dropped_to_a_key_frame(void **state)
{
    struct httpd_camera cam;
    struct client slow, quick;
    unsigned frames = 0;
    uint32_t flags = 0, number = 0;
    bool gap = false;

    (void)state;
    camera(&cam, "slow");
    assert_int_equal(open_with(&slow, "/slow/mse_ld", ""), 101);
    assert_int_equal(open_with(&quick, "/slow/mse_ld", ""), 101);
    /* Longer than a viewer may be behind, and more than its socket holds, however slow this machine is. */
    for (usec_t end = clock_mono_us() + 3 * US_PER_S; clock_mono_us() < end || frames <= 30;) {
        put(&cam, 1, BIG);
        until(&quick, WS_BINARY);
        frames++;
        usleep(PACE_US);
    }
    while (!gap) {
        put(&cam, 1, BIG);
        usleep(PACE_US); /* a ring that is written faster than it is read has nothing to show */
        while (!gap && something_waits(&slow)) {
            uint32_t now;

            until(&slow, WS_BINARY);
            now = u32_at(slow.data, 20); /* mfhd: the number of the fragment */
            gap = number != 0 && now > number + 1;
            number = now;
            flags = u32_at(slow.data, 100 + 20 + 8);
        }
    }
    assert_int_equal(flags, 0x02000000); /* a sync sample */
    hang_up(&slow);
    hang_up(&quick);
    httpd_camera_stop(&help, &cam, "slow");
}

static void until_pace(const struct httpd_camera *c, uint32_t pace_us)
{
    usec_t until = clock_mono_us() + WAIT_MS * US_PER_MS;

    while (atomic_load(&c->demand->pace_us) != pace_us && clock_mono_us() < until) usleep(1000);
    assert_int_equal(atomic_load(&c->demand->pace_us), pace_us);
    assert_int_equal(atomic_load(&c->demand->untold), 0);
}

/* Frames wait for each other as long as whoever waits least. */
static void each_viewer_says_how_late(void **state)
{
    static const char *const wrong[] = {"1001", "x", "", "-1", "99999999999999999999"};
    struct client tile, other, now;
    struct httpd_camera cam;

    (void)state;
    camera(&cam, "paced");
    for (size_t i = 0; i < ARRAY_N(wrong); i++) {
        char target[64];

        snprintf(target, sizeof(target), "/paced/mse_ld?pace=%s", wrong[i]);
        assert_int_equal(open_with(&now, target, ""), 400);
        hang_up(&now);
    }
    assert_int_equal(open_with(&tile, "/paced/mse_ld?pace=1000", ""), 101);
    until_pace(&cam, 1000000);
    assert_int_equal(open_with(&other, "/paced/mse_ld?pace=40", ""), 101);
    until_pace(&cam, 40000);
    assert_int_equal(open_with(&now, "/paced/mse_ld", ""), 101);
    until_pace(&cam, 0);
    hang_up(&now);
    until_pace(&cam, 40000);
    hang_up(&other);
    until_pace(&cam, 1000000);
    hang_up(&tile);
    until_pace(&cam, 0);
    httpd_camera_stop(&help, &cam, "paced");
}

static void clients_that_break_the_rules(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        unsigned code;
    } rows[] = {
        {"\x81\x02hi", 4, WS_PROTOCOL_ERROR},
        {"\xf1\x80mask", 6, WS_PROTOCOL_ERROR},
        {"\x81\xfe\x10\x00mask", 8, WS_TOO_BIG},
        {"\x82\x80mask", 6, WS_UNSUPPORTED},
        {"\x81\x81\0\0\0\0\xff", 7, WS_NO_TEXT},
        {"\x88\x82\0\0\0\0\x03\xed", 8, WS_PROTOCOL_ERROR},
    };
    struct httpd_camera cam;
    struct client c;

    (void)state;
    camera(&cam, "rules");
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(open_with(&c, "/rules/mse_ld", ""), 101);
        assert_int_equal(send(c.fd, rows[i].bytes, rows[i].n, MSG_NOSIGNAL), rows[i].n);
        expect_close(&c, rows[i].code);
        hang_up(&c);
    }
    assert_int_equal(open_with(&c, "/rules/mse_ld", ""), 101);
    for (unsigned i = 0; i < 200; i++) command(&c, "resume");
    expect_close(&c, WS_POLICY);
    hang_up(&c);
    httpd_camera_stop(&help, &cam, "rules");
}

static void what_is_no_upgrade(void **state)
{
    struct httpd_camera cam;
    struct http_reply r;
    struct client c;

    (void)state;
    camera(&cam, "plain");
    assert_true(httpd_help_get(&help, "/plain/mse_ld", NULL, &r));
    assert_int_equal(r.status, 426);
    assert_true(span_is(http_reply_field(&r, "Sec-WebSocket-Version"), "13"));
    http_reply_done(&r);
    assert_int_equal(open_with(&c, "/plain/mse_ld?from=1700000000", ""), 501);
    hang_up(&c);
    assert_int_equal(open_with(&c, "/plain/mse_ld", "Content-Length: 3\r\n"), 400);
    hang_up(&c);
    assert_int_equal(open_with(&c, "/nobody/mse_ld", ""), 404);
    hang_up(&c);
    httpd_camera_stop(&help, &cam, "plain");
}

static void pages_of_this_host(void **state)
{
    static const struct {
        const char *origin, *host;
        bool own;
    } rows[] = {
        {"https://cams.example", "cams.example", true},
        {"http://Cams.Example:8080", "cams.example:8080", true},
        {"https://[2001:db8::1]:444", "[2001:db8::1]:444", true},
        {"https://cams.example:8080", "cams.example", false},
        {"https://cams.example.evil", "cams.example", false},
        {"https://evil/cams.example", "cams.example", false},
        {"https://cams.example@evil", "cams.example", false},
        {"null", "null", false},
        {"ws://cams.example", "cams.example", false},
        {"https://", "", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_int_equal(ws_origin_own(span_of(rows[i].origin), span_of(rows[i].host)), rows[i].own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_the_tracks_then_a_fragment_a_frame),
        cmocka_unit_test(commands_of_the_player),
        cmocka_unit_test(other_tracks_are_told),
        cmocka_unit_test(behind_is_dropped_to_a_key_frame),
        cmocka_unit_test(each_viewer_says_how_late),
        cmocka_unit_test(clients_that_break_the_rules),
        cmocka_unit_test(what_is_no_upgrade),
        cmocka_unit_test(pages_of_this_host),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
