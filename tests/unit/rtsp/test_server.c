/* The RTSP server's machine: states, sessions, odd clients (cameras.md A10), limits. No socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/proto/rtcp.h"
#include "httpd/rtsp/server.h"

#define T0  ((usec_t)1000 * US_PER_S)
#define URL "rtsp://h/cam-1"

static struct {
    struct rtsp_server s;
    usec_t now_us;
    unsigned status; /* that open() is answered with; 0: it is left waiting */
    unsigned udp;    /* that a lane over UDP is answered with */
    bool late_play;
    struct rtsp_play play;
    struct pay pay[TRACK_MAX];
    unsigned opens, plays, pauses, teardowns, rtcps, closes;
    char sent[65536]; /* since the last request */
    size_t n_sent;
    unsigned cseq;
    char session[40];
} T;

static void on_send(void *arg, struct span bytes)
{
    (void)arg;
    assert_true(T.n_sent + bytes.n < sizeof(T.sent));
    memcpy(T.sent + T.n_sent, bytes.p, bytes.n);
    T.n_sent += bytes.n;
    T.sent[T.n_sent] = '\0';
}

static void answer_open(unsigned status)
{
    struct describe d = {.pay = T.pay, .n = TRACK_MAX, .name = "x"};

    rtsp_server_opened(&T.s, status, status == 401 ? "WWW-Authenticate: Digest\r\n" : NULL, &d);
}

static void on_open(void *arg, const struct rtsp_open *o)
{
    (void)arg;
    T.opens++;
    assert_true(o->target.uid.n > 0);
    if (T.status) answer_open(T.status);
}

static unsigned on_udp(void *arg, unsigned track, struct rtsp_lane *lane)
{
    (void)arg;
    lane->server_port[0] = (uint16_t)(6000 + 2 * track);
    lane->server_port[1] = (uint16_t)(6001 + 2 * track);
    return T.udp;
}

static void answer_play(void)
{
    struct rtsp_played p = {.has_scale = T.play.has_scale, .scale_milli = T.play.scale_milli};

    p.track[0].known = true;
    p.track[0].seq = 17;
    p.track[0].ts = 4000000000u;
    rtsp_server_played(&T.s, 200, NULL, &p);
}

static void on_play(void *arg, const struct rtsp_play *p)
{
    (void)arg;
    T.plays++;
    T.play = *p;
    if (!T.late_play) answer_play();
}

static void on_pause(void *arg)
{
    (void)arg;
    T.pauses++;
}

static void on_teardown(void *arg)
{
    (void)arg;
    T.teardowns++;
}

static void on_rtcp(void *arg, unsigned track, struct span compound)
{
    (void)arg;
    assert_int_equal(track, 0);
    assert_int_equal(compound.n, 8);
    T.rtcps++;
}

static void on_done(void *arg)
{
    (void)arg;
    T.closes++;
}

static const struct rtsp_server_ops ops = {
    on_send, on_open, on_udp, on_play, on_pause, on_teardown, on_rtcp, on_done};

static int begin(void **state)
{
    struct track video = {.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    struct track audio = {.codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000, .channels = 1};
    struct rtsp_server_conf conf = {.base = "/", .id = 0x123456789abcdef0u, .now_us = T0};

    (void)state;
    memset(&T, 0, sizeof(T));
    T.now_us = T0;
    T.status = 200;
    assert_true(pay_init(&T.pay[0], &video, 0, 3) && pay_init(&T.pay[1], &audio, 1, 3));
    rtsp_server_init(&T.s, &conf, &ops, &T);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rtsp_server_done(&T.s);
    return 0;
}

static size_t feed(struct span in)
{
    T.n_sent = 0;
    T.sent[0] = '\0';
    return rtsp_server_feed(&T.s, in, T.now_us);
}

/* Status of the answer; 0: none. */
static unsigned status_sent(void)
{
    uint64_t v = 0;

    if (T.n_sent > 12) span_u64(span(T.sent + 9, 3), 999, &v);
    return (unsigned)v;
}

static unsigned ask(const char *line, const char *fields)
{
    char text[8192];
    int n = snprintf(text, sizeof(text), "%s RTSP/1.0\r\nCSeq: %u\r\n%s\r\n", line, ++T.cseq, fields);

    assert_int_equal(feed(span(text, (size_t)n)), n);
    return status_sent();
}

static bool said(const char *what)
{
    return strstr(T.sent, what) != NULL;
}

#define TCP "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
#define OWN "Session: 123456789abcdef0\r\n"

static void set_up(void)
{
    assert_int_equal(ask("DESCRIBE " URL, ""), 200);
    assert_int_equal(ask("SETUP " URL "/trackID=0", TCP), 200);
}

static void usual_way(void **state)
{
    (void)state;
    assert_int_equal(ask("OPTIONS *", ""), 200);
    assert_true(said("Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN"));
    assert_int_equal(ask("DESCRIBE " URL, "Accept: application/sdp\r\n"), 200);
    assert_true(said("Content-Base: rtsp://h/cam-1/\r\n"));
    assert_true(said("m=video") && said("a=control:trackID=1"));
    assert_int_equal(ask("SETUP " URL "/trackID=0", TCP), 200);
    assert_true(said("interleaved=0-1") && said("Session: 123456789abcdef0;timeout=60"));
    assert_int_equal(
        ask("SETUP " URL "/trackID=1", "Transport: RTP/AVP/TCP;interleaved=168-169\r\n" OWN), 200);
    assert_true(said("interleaved=168-169")); /* O1 */
    assert_int_equal(ask("PLAY " URL "/", "Range: npt=0.000-\r\n" OWN), 200);
    assert_true(said("RTP-Info: url=rtsp://h/cam-1/trackID=0;seq=17;rtptime=4000000000\r\n"));
    assert_true(said("Range: npt=now-"));
    assert_int_equal(T.s.state, RTSP_STATE_PLAYING);
    assert_int_equal(ask("GET_PARAMETER " URL, OWN), 200);
    assert_int_equal(ask("SET_PARAMETER " URL, OWN), 200);
    assert_int_equal(ask("PAUSE " URL, OWN), 200);
    assert_int_equal(ask("PLAY " URL, OWN "Scale: 2\r\n"), 200);
    assert_true(said("Scale: 2.000"));
    assert_int_equal(ask("TEARDOWN " URL, OWN), 200);
    assert_int_equal(T.s.state, RTSP_STATE_INIT);
    assert_int_equal(T.opens + 10 * T.plays + 100 * T.pauses + 1000 * T.teardowns, 1121);
    assert_int_equal(ask("SETUP " URL "/trackID=0", TCP), 200); /* again, without a description */
    assert_int_equal(T.opens, 2);
}

static void originals_spelling(void **state)
{
    (void)state;
    assert_int_equal(ask("DESCRIBE rtsp://h/live/cam-1/?token=a", ""), 200);
    assert_true(said("Content-Base: rtsp://h/live/cam-1/?token=a/\r\n"));
    assert_true(said("a=control:track=video"));
    assert_int_equal(ask("SETUP rtsp://h/live/cam-1/?token=a/track=audio", TCP), 200);
    assert_int_equal(ask("SETUP rtsp://h/live/cam-1/track=video", TCP), 200); /* cut the query off */
    assert_true(said("interleaved=2-3"));                                     /* 0-1 is taken */
    assert_int_equal(T.opens, 1);
}

/* Every method in every state. */
static void wrong_states(void **state)
{
    (void)state;
    assert_int_equal(ask("PLAY " URL, ""), 455);
    assert_int_equal(ask("PAUSE " URL, ""), 455);
    assert_int_equal(ask("TEARDOWN " URL, ""), 455);
    set_up();
    assert_int_equal(ask("PAUSE " URL, ""), 455);
    assert_int_equal(ask("DESCRIBE rtsp://h/cam-2", ""), 455);
    assert_int_equal(ask("SETUP rtsp://h/cam-2/trackID=0", TCP), 455);
    assert_int_equal(ask("SETUP rtsp://h/trackID=1", TCP), 404); /* GStreamer, behind a URL with a query */
    assert_int_equal(ask("PLAY rtsp://h/cam-2", ""), 404);
    assert_int_equal(ask("PLAY " URL, ""), 200);
    assert_int_equal(ask("SETUP " URL "/trackID=1", TCP), 455);
    assert_int_equal(ask("DESCRIBE " URL, ""), 200);
    assert_int_equal(ask("PLAY " URL, ""), 200);
}

static void wrong_sessions(void **state)
{
    (void)state;
    assert_int_equal(ask("GET_PARAMETER *", OWN), 454); /* there is none yet */
    set_up();
    assert_int_equal(ask("PLAY " URL, "Session: 123456789abcdef1\r\n"), 454);
    assert_int_equal(ask("PLAY " URL, "Session: \r\n"), 454);
    assert_int_equal(ask("TEARDOWN " URL, "Session: 0\r\n"), 454);
    assert_int_equal(ask("PLAY " URL, "Session: 123456789abcdef0;timeout=60\r\n"), 200);
    assert_int_equal(ask("TEARDOWN " URL, OWN), 200);
    assert_int_equal(ask("OPTIONS *", OWN), 454);
}

static void what_is_not_served(void **state)
{
    (void)state;
    assert_int_equal(ask("FLY " URL, ""), 501);
    assert_int_equal(ask("ANNOUNCE " URL, ""), 501);
    assert_int_equal(ask("RECORD " URL, ""), 501);
    assert_int_equal(ask("describe " URL, ""), 501);
    assert_int_equal(ask("DESCRIBE " URL, "Accept: text/plain\r\n"), 406);
    assert_int_equal(ask("DESCRIBE rtsp://h/a/b/c", ""), 404);
    assert_int_equal(ask("DESCRIBE " URL, "Require: www.onvif.org/ver20/backchannel\r\n"), 551);
    assert_true(said("Unsupported: www.onvif.org/ver20/backchannel"));
    set_up();
    assert_int_equal(ask("PLAY " URL, "Range: smpte=0-\r\n"), 457);
    assert_int_equal(ask("PLAY " URL, "Scale: 0\r\n"), 456);
    assert_int_equal(ask("PLAY " URL, "Scale: fast\r\n"), 456);
    assert_int_equal(T.plays, 0);
    assert_int_equal(T.closes, 0); /* none of it ends the connection (O5) */
}

static void transports(void **state)
{
    static const struct {
        const char *value;
        unsigned status;
        const char *said;
    } rows[] = {
        {"RTP/AVP/TCP;unicast", 200, "interleaved=0-1"},
        {"RTP/AVP;unicast;interleaved=4-5", 200, "interleaved=4-5"},
        {"RTP/AVP/TCP;unicast;interleaved=255-256", 200, "interleaved=0-1"},
        {"RTP/AVP/TCP;interleaved=7-7", 200, "interleaved=0-1"},
        {"RTP/AVP;multicast;client_port=5000-5001", 461, ""},
        {"RTP/SAVP;unicast;client_port=5000-5001", 461, ""},
        {"RTP/AVP;unicast", 461, ""},
        {"RTP/AVP/TCP;unicast;interleaved=0-1;mode=RECORD", 461, ""},
        {"RTP/AVP/TCP;unicast;interleaved=0-1;mode=\"PLAY\"", 200, "interleaved=0-1"},
        {"", 461, ""},
        {"RTP/AVP;multicast,RTP/AVP/UDP;unicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1", 200,
            "client_port=5000-5001;server_port=6000-6001"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char fields[256];

        snprintf(fields, sizeof(fields), "Transport: %s\r\n", rows[i].value);
        assert_int_equal(ask("SETUP " URL "/trackID=0", fields), rows[i].status);
        assert_true(said(rows[i].said));
    }
    T.udp = 461;
    assert_int_equal(
        ask("SETUP " URL "/trackID=0", "Transport: RTP/AVP;client_port=5000-5001,RTP/AVP/TCP\r\n"), 200);
    assert_true(said("RTP/AVP/TCP;unicast;interleaved=0-1"));
    assert_int_equal(ask("SETUP " URL "/trackID=2", TCP), 404);
    assert_int_equal(ask("SETUP " URL, TCP), 459); /* of which? */
}

/* Requests in any pieces, several at once, with frames and empty lines between them (O6). */
static void odd_bytes(void **state)
{
    static const char text[] = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n\r\n\r\n"
                               "GET_PARAMETER * RTSP/1.0\nCSeq: 2\nContent-Length: 5\n\nabcde"
                               "\r\nOPTIONS * RTSP/1.0\r\nCSeq: 3\r\n\r\n";
    static const char frame[] = "$\1\0\x08"
                                "\x80\xc9\0\1....$\7\0\2xxRTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
                                "OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n";
    size_t at = 0, n = sizeof(text) - 1;

    (void)state;
    assert_int_equal(feed(span(text, n)), n);
    assert_true(said("CSeq: 1\r\n") && said("CSeq: 2\r\n") && said("CSeq: 3\r\n"));
    for (size_t to = 1; to <= n; to++) { /* byte by byte, with what was left */
        size_t sent = T.n_sent;

        at += rtsp_server_feed(&T.s, span(text + at, to - at), T.now_us);
        assert_true(T.n_sent >= sent);
    }
    assert_int_equal(at, n);
    set_up();
    assert_int_equal(feed(span(frame, sizeof(frame) - 1)), sizeof(frame) - 1);
    assert_int_equal(T.rtcps, 1);
    assert_true(said("CSeq: 4"));
}

/* What is too long, or no request: an answer, and the end. */
static void refused_for_good(void **state)
{
    static char longest[RTSP_HEAD_MAX + 64];
    static const struct {
        const char *text;
        const char *status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "RTSP/1.0 400"},
        {"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 505"},
        {"\x16\x03\x01\r\n\r\n", "RTSP/1.0 400"},
        {"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: x\r\n\r\n", "RTSP/1.0 400"},
        {"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4097\r\n\r\n", "RTSP/1.0 413"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        T.closes = 0;
        T.s.closing = false;
        T.s.find = (struct head_find){0};
        feed(span_of(rows[i].text));
        assert_true(span_starts(span_of(T.sent), span_of(rows[i].status)));
        assert_int_equal(T.closes, 1);
    }
    memset(longest, 'x', sizeof(longest));
    T.s.closing = false;
    T.s.find = (struct head_find){0};
    feed(span(longest, RTSP_LINE_MAX + 2));
    assert_int_equal(status_sent(), 414);
    memcpy(longest, "OPTIONS * RTSP/1.0\r\nX: ", 23);
    T.s.closing = false;
    T.s.find = (struct head_find){0};
    feed(span(longest, sizeof(longest)));
    assert_int_equal(status_sent(), 400);
    T.s.closing = false;
    T.s.find = (struct head_find){0};
    feed(SPAN_LIT("OPTIONS * RTSP/1.0\r\n\r\n")); /* without CSeq: refused, but it goes on */
    assert_int_equal(status_sent(), 400);
    assert_false(T.s.closing);
}

/* While an answer is awaited, what was sent behind stays unread. */
static void answers_that_take_time(void **state)
{
    static const char two[] =
        "DESCRIBE " URL " RTSP/1.0\r\nCSeq: 7\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 8\r\n\r\n";
    size_t took;

    (void)state;
    T.status = 0;
    took = feed(span(two, sizeof(two) - 1));
    assert_true(rtsp_server_busy(&T.s));
    assert_int_equal(T.n_sent, 0);
    assert_int_equal(rtsp_server_deadline(&T.s), 0);
    assert_int_equal(feed(span(two + took, sizeof(two) - 1 - took)), 0);
    answer_open(401);
    assert_true(said("RTSP/1.0 401 Unauthorized\r\nCSeq: 7\r\n") && said("WWW-Authenticate: Digest\r\n"));
    feed(span(two + took, sizeof(two) - 1 - took));
    assert_true(said("CSeq: 8"));
    T.status = 200;
    set_up();
    T.late_play = true;
    assert_int_equal(ask("PLAY " URL, ""), 0);
    assert_int_equal(T.s.state, RTSP_STATE_READY);
    answer_play();
    assert_int_equal(status_sent(), 200);
    assert_int_equal(T.s.state, RTSP_STATE_PLAYING);
    rtsp_server_ended(&T.s);
    assert_int_equal(T.s.state, RTSP_STATE_READY);
}

/* What a refused DESCRIBE leaves open is nothing: SETUP asks anew. A session keeps its URL, with its query.
 */
static void refused_is_not_open(void **state)
{
    (void)state;
    assert_int_equal(ask("DESCRIBE " URL, ""), 200);
    T.status = 401;
    assert_int_equal(ask("DESCRIBE " URL, ""), 401);
    assert_int_equal(ask("SETUP " URL "/trackID=0", TCP), 401);
    assert_int_equal(T.opens, 3);
    T.status = 200;
    assert_int_equal(ask("DESCRIBE " URL "?token=t", ""), 200);
    assert_int_equal(ask("SETUP " URL "/trackID=0", TCP), 200);
    assert_int_equal(T.opens, 4);
    assert_int_equal(ask("DESCRIBE " URL, ""), 200);
    assert_int_equal(ask("DESCRIBE " URL "?token=u", ""), 455);
    assert_int_equal(ask("PLAY " URL "?token=t", ""), 200);
    T.status = 503;
    assert_int_equal(ask("DESCRIBE " URL, ""), 503);
    assert_int_equal(T.s.state, RTSP_STATE_PLAYING);
    assert_int_equal(ask("PAUSE " URL "?token=t", ""), 200);
}

static void times(void **state)
{
    (void)state;
    assert_int_equal(rtsp_server_deadline(&T.s), T0 + RTSP_SERVER_HEAD_US); /* silence from the start */
    set_up();
    assert_int_equal(rtsp_server_deadline(&T.s), T0 + RTSP_SERVER_DEAD_US);
    T.now_us += 20 * US_PER_S;
    assert_int_equal(feed(SPAN_LIT("OPT")), 0);
    assert_int_equal(rtsp_server_deadline(&T.s), T.now_us + RTSP_SERVER_HEAD_US);
    T.now_us += 5 * US_PER_S;
    assert_int_equal(feed(SPAN_LIT("OPTI")), 0); /* a byte now and then gains nothing */
    assert_int_equal(rtsp_server_deadline(&T.s), T0 + (20 * US_PER_S) + RTSP_SERVER_HEAD_US);
    assert_int_equal(ask("FLY *", ""), 501); /* and any request does (O5) */
    assert_int_equal(rtsp_server_deadline(&T.s), T.now_us + RTSP_SERVER_DEAD_US);
    assert_int_equal(ask("PLAY " URL, ""), 200);
    assert_int_equal(rtsp_server_deadline(&T.s), 0); /* over TCP the media says whether it is taken */
    assert_int_equal(ask("PAUSE " URL, ""), 200);
    assert_int_equal(rtsp_server_deadline(&T.s), T.now_us + RTSP_SERVER_DEAD_US);
    assert_int_equal(ask("SETUP " URL "/trackID=0", "Transport: RTP/AVP;client_port=5000-5001\r\n"), 200);
    assert_int_equal(ask("PLAY " URL, ""), 200);
    assert_int_equal(rtsp_server_deadline(&T.s), T.now_us + RTSP_SERVER_DEAD_US);
    rtsp_server_heard(&T.s, T.now_us + US_PER_S);
    assert_int_equal(rtsp_server_deadline(&T.s), T.now_us + US_PER_S + RTSP_SERVER_DEAD_US);
}

static void what_play_says(void **state)
{
    static const struct {
        const char *text;
        int32_t milli;
    } scales[] = {{"1", 1000}, {"-1.5", -1500}, {".25", 250}, {"0.25", 250}, {"32.0", 32000}, {"2.", 2000}};

    (void)state;
    set_up();
    assert_int_equal(ask("PLAY " URL,
                         "Range: clock=20231114T221320.5Z-\r\nRate-Control: no\r\nFrames: intra/4000\r\n"
                         "Require: onvif-replay\r\n"),
        200);
    assert_true(T.play.range.clock && T.play.no_rate && T.play.intra);
    assert_int_equal(T.play.range.from_us, 1700000000500000);
    assert_int_equal(T.play.cseq, T.cseq);
    for (size_t i = 0; i < ARRAY_N(scales); i++) {
        char fields[64];

        snprintf(fields, sizeof(fields), "Scale: %s\r\n", scales[i].text);
        assert_int_equal(ask("PLAY " URL, fields), 200);
        assert_int_equal(T.play.scale_milli, scales[i].milli);
    }
}

int main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {ROW(usual_way), ROW(originals_spelling), ROW(wrong_states),
        ROW(wrong_sessions), ROW(what_is_not_served), ROW(transports), ROW(odd_bytes), ROW(refused_for_good),
        ROW(answers_that_take_time), ROW(refused_is_not_open), ROW(times), ROW(what_play_says)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
