/* worker/rtsp_client against a camera written down line by line: one test a habit. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/proto/auth.h"
#include "common/proto/interleaved.h"
#include "worker/rtsp_client.h"

#define T0 ((usec_t)1000 * US_PER_S)

static const char SDP[] = "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                          "a=fmtp:96 packetization-mode=1\r\na=control:trackID=1\r\n"
                          "m=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n";

static struct {
    struct rtsp_client *c;
    usec_t now;
    char sent[8192]; /* since the last clear() */
    char last[8192]; /* last message sent, NUL-terminated */
    char log[4096];  /* events since the last clear() */
    char text[256];  /* of FAILED */
    enum rtsp_fail fail;
    usec_t retry_us;
    unsigned packets[RTSP_CLIENT_TRACKS_MAX], rtcp[RTSP_CLIENT_TRACKS_MAX];
    struct rtsp_track track[RTSP_CLIENT_TRACKS_MAX];
} T;

static void add(char *to, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(char *to, size_t cap, const char *fmt, ...)
{
    size_t n = strlen(to);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(to + n, cap - n, fmt, ap);
    va_end(ap);
}

static void on_send(void *arg, struct span bytes)
{
    (void)arg;
    if (bytes.p[0] == '$') {
        add(T.sent, sizeof(T.sent), "$%u:%zu\n", bytes.p[1], bytes.n - 4);
        return;
    }
    snprintf(T.last, sizeof(T.last), "%.*s", SPAN_FMT(bytes));
    add(T.sent, sizeof(T.sent), "%s", T.last);
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    static const char *const names[] = {
        "", "DIAL", "BIND", "CONNECT", "UNBIND", "TRACKS", "PLAYING", "ANNOUNCED", "FAILED", "CLOSED"};

    (void)arg;
    add(T.log, sizeof(T.log), "%s", names[e->kind]);
    if (e->kind == RTSP_EV_DIAL)
        add(T.log, sizeof(T.log), " %s:%u%s", e->host, e->port, e->redirect ? "!" : "");
    if (e->kind == RTSP_EV_UDP_BIND || e->kind == RTSP_EV_UDP_CLOSE)
        add(T.log, sizeof(T.log), " %u", e->track);
    if (e->kind == RTSP_EV_UDP_CONNECT)
        add(T.log, sizeof(T.log), " %u %u-%u", e->track, e->rtp_port, e->rtcp_port);
    if (e->kind == RTSP_EV_TRACKS || e->kind == RTSP_EV_PLAYING || e->kind == RTSP_EV_ANNOUNCED) {
        add(T.log, sizeof(T.log), " %zu", e->n_tracks);
        for (size_t i = 0; i < e->n_tracks; i++) T.track[i] = e->tracks[i];
    }
    if (e->kind == RTSP_EV_TRACKS)
        assert_true(e->sdp->n > 0 && e->sdp_text.n > 0 && e->tracks[0].media != NULL);
    if (e->kind == RTSP_EV_FAILED) {
        add(T.log, sizeof(T.log), " %u %u", e->fail, e->status);
        T.fail = e->fail;
        T.retry_us = e->retry_us;
        snprintf(T.text, sizeof(T.text), "%s", e->text);
    }
    add(T.log, sizeof(T.log), "; ");
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    (void)arg;
    (void)packet;
    assert_true(track < RTSP_CLIENT_TRACKS_MAX);
    if (rtcp)
        T.rtcp[track]++;
    else
        T.packets[track]++;
}

static const struct rtsp_client_ops OPS = {on_send, on_event, on_packet};

static void clear(void)
{
    T.sent[0] = T.last[0] = T.log[0] = T.text[0] = 0;
}

static void open_client(const char *url, enum rtsp_transport_choice transport)
{
    struct rtsp_client_conf conf = {
        .url = span_of(url), .user_agent = SPAN_LIT("media-server"), .transport = transport, .seed = 1};
    const char *error = NULL;

    conf.tracks = 1u << TRACK_VIDEO | 1u << TRACK_AUDIO | 1u << TRACK_DATA;
    memset(&T, 0, sizeof(T));
    T.now = T0;
    T.c = rtsp_client_new(&conf, &OPS, NULL, &error);
    assert_non_null(T.c);
}

static void start(void)
{
    clear();
    rtsp_client_start(T.c, T.now);
    rtsp_client_connected(T.c, T.now);
}

static void feed(struct span in)
{
    assert_int_equal(rtsp_client_feed(T.c, in, T.now), in.n);
}

static unsigned cseq(void)
{
    const char *at = strstr(T.last, "CSeq: ");
    uint64_t v = 0;

    assert_non_null(at);
    assert_true(span_u64(span(at + 6, strcspn(at + 6, "\r")), UINT32_MAX, &v));
    return (unsigned)v;
}

/* "200 OK" or with fields, with the number of the last request; body is an SDP. */
static void answer_with(const char *status_and_fields, const char *body)
{
    char text[8192];
    size_t line = strcspn(status_and_fields, "\r");

    snprintf(text, sizeof(text), "RTSP/1.0 %.*s\r\nCSeq: %u\r\n%s", (int)line, status_and_fields, cseq(),
        status_and_fields[line] ? status_and_fields + line + 2 : "");
    if (body)
        add(text, sizeof(text), "Content-Type: application/sdp\r\nContent-Length: %zu\r\n", strlen(body));
    add(text, sizeof(text), "\r\n%s", body ? body : "");
    feed(span_of(text));
}

static void answer(const char *status_and_fields)
{
    answer_with(status_and_fields, NULL);
}

static bool asked(const char *what)
{
    return strncmp(T.last, what, strlen(what)) == 0;
}

static bool has(const char *what)
{
    return strstr(T.last, what) != NULL;
}

static void rtp(uint8_t channel, uint32_t ssrc)
{
    uint8_t f[INTERLEAVED_HEADER + 13] = {0};

    interleaved_write_header(f, channel, 13);
    f[4] = 0x80;
    f[5] = 96;
    f[15] = (uint8_t)ssrc;
    feed(span(f, sizeof(f)));
}

static void tick(usec_t after)
{
    T.now += after;
    rtsp_client_tick(T.c, T.now);
}

/* Up to PLAY over TCP, both tracks. */
static void to_play(void)
{
    start();
    answer("200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n");
    answer_with("200 OK\r\nContent-Base: rtsp://10.0.0.9/p/\r\n", SDP);
    answer("200 OK\r\nSession: 77;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
    answer("200 OK\r\nSession: 77\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n");
    assert_true(asked("PLAY "));
}

static void to_playing(void)
{
    to_play();
    answer("200 OK\r\nSession: 77\r\n");
    assert_true(rtsp_client_playing(T.c));
    clear();
}

static void done(void)
{
    rtsp_client_free(T.c);
    T.c = NULL;
}

/* ---- */

static void whole_session_over_tcp(void **state)
{
    (void)state;
    open_client("rtsp://cam:554/p", RTSP_TRANSPORT_AUTO);
    rtsp_client_start(T.c, T.now);
    assert_string_equal(T.log, "DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_string_equal(
        T.last, "OPTIONS rtsp://cam/p RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: media-server\r\n\r\n");
    answer("200 OK\r\nPublic: OPTIONS, DESCRIBE\r\n");
    assert_string_equal(T.last,
        "DESCRIBE rtsp://cam/p RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: media-server\r\nAccept: "
        "application/sdp\r\n\r\n");
    answer_with("200 OK\r\nContent-Base: rtsp://10.0.0.9/p/\r\n", SDP);
    assert_string_equal(T.last,
        "SETUP rtsp://cam/p/trackID=1 RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: media-server\r\n"
        "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n");
    answer("200 OK\r\nSession: 77;timeout=30\r\nTransport: "
           "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=4cacc3d1\r\n");
    assert_true(asked("SETUP rtsp://cam/p/trackID=2 ") && has("Session: 77\r\n") && has("interleaved=2-3"));
    answer("200 OK\r\nSession: 77\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n");
    assert_string_equal(T.log, "DIAL cam:554; TRACKS 2; ");
    assert_true(T.track[0].codec == CODEC_H264 && T.track[0].has_ssrc && T.track[0].ssrc == 0x4cacc3d1);
    assert_true(T.track[1].codec == CODEC_PCMA && T.track[1].clock_hz == 8000 && T.track[1].channel[0] == 2);
    assert_true(asked("PLAY rtsp://cam/p/ ") && has("Range: npt=0.000-\r\n") && has("Session: 77\r\n"));
    rtp(0, 1); /* P11: before the answer */
    assert_int_equal(T.packets[0], 1);
    answer("200 OK\r\nRTP-Info: url=trackID=2;seq=5;rtptime=7,url=rtsp://x/p/trackID=1;seq=9;rtptime=0\r\n");
    assert_true(rtsp_client_playing(T.c));
    assert_true(T.track[0].has_seq && T.track[0].seq == 9 && !T.track[0].has_rtptime);
    assert_true(T.track[1].has_seq && T.track[1].seq == 5 && T.track[1].rtptime == 7);
    rtp(2, 1);
    rtp(9, 1); /* P10 */
    assert_int_equal(T.packets[1], 1);
    assert_int_equal(rtsp_client_counts(T.c).unknown, 1);
    clear();
    rtsp_client_send_rtcp(T.c, 1, SPAN_LIT("12345678"));
    assert_string_equal(T.sent, "$3:8\n");
    rtsp_client_stop(T.c, T.now);
    assert_true(asked("TEARDOWN rtsp://cam/p/ ") && has("Session: 77\r\n"));
    assert_string_equal(T.log, "");
    answer("200 OK\r\n");
    assert_string_equal(T.log, "CLOSED; ");
    assert_int_equal(rtsp_client_deadline(T.c), 0);
    done();
}

static void teardown_unanswered_P20(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    rtsp_client_stop(T.c, T.now);
    tick(RTSP_CLIENT_TEARDOWN_US - 1);
    assert_string_equal(T.log, "");
    tick(1);
    assert_string_equal(T.log, "CLOSED; ");
    /* closed by the camera instead; stopped before there is a session */
    to_playing();
    rtsp_client_stop(T.c, T.now);
    rtsp_client_closed(T.c, 0, NULL, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    start();
    clear();
    rtsp_client_stop(T.c, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    rtsp_client_stop(T.c, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    done();
}

static void byte_by_byte_C7(void **state)
{
    struct buf b;
    const char *first = "RTSP/1.0 200 OK\r\ncseq:  1 \r\n\r\n";
    size_t taken = 0;

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    buf_init(&b, 1000);
    for (size_t i = 0; i < strlen(first); i++) {
        buf_put(&b, span(first + i, 1));
        taken = rtsp_client_feed(T.c, buf_span(&b), T.now);
        assert_true(taken == 0 || i + 1 == strlen(first));
        assert_true(rtsp_client_need(T.c) >= 1);
    }
    assert_int_equal(taken, strlen(first));
    assert_true(asked("DESCRIBE "));
    buf_done(&b);
    done();
}

static void digest_and_nonces_U4_U6_U7(void **state)
{
    (void)state;
    open_client("rtsp://admin:p%40ss@cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: Digest realm=\"r\", "
           "nonce=\"1\"\r\n");
    assert_true(asked("DESCRIBE rtsp://cam/p ")); /* C14; no credentials on the line (U10) */
    assert_true(
        has("Authorization: Digest username=\"admin\", realm=\"r\", nonce=\"1\", uri=\"rtsp://cam/p\""));
    answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"2\", stale=true\r\n");
    assert_true(asked("DESCRIBE ") && has("nonce=\"2\""));
    answer_with("200 OK\r\n", SDP);
    assert_true(asked("SETUP ") && has("uri=\"rtsp://cam/p/trackID=1\"")); /* U5 */
    answer("200 OK\r\nSession: 1\r\n");
    answer("200 OK\r\nSession: 1\r\n");
    answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    rtp(0, 1);
    tick(30 * US_PER_S);
    assert_true(asked("OPTIONS ") && has("nonce=\"2\"") && has("Session: 1\r\n"));
    clear();
    T.last[0] = 0;
    tick(1);
    assert_true(!asked("OPTIONS"));
    rtsp_client_stop(T.c, T.now);
    assert_true(asked("TEARDOWN ") && has("Authorization: "));
    done();
}

static void keep_alive_challenged_U7(void **state)
{
    (void)state;
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    rtp(0, 1);
    tick(30 * US_PER_S);
    assert_true(asked("GET_PARAMETER rtsp://cam/p/ ") && !has("Authorization"));
    answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"9\"\r\n");
    assert_true(asked("GET_PARAMETER ") && has("nonce=\"9\""));
    clear();
    T.last[0] = 0;
    done();
}

static void wrong_password_U6(void **state)
{
    (void)state;
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_true(has("nonce=\"1\""));
    answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    /* another nonce each time: one more attempt, not more */
    start();
    answer("200 OK\r\n");
    for (int i = 0; i < 3; i++) {
        char text[128];

        snprintf(text, sizeof(text),
            "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n%d\"\r\n", i);
        answer(text);
    }
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    done();
    /* no credentials, no usable scheme */
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    done();
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_AUTH);
    done();
}

static void full_or_locked_U8_K9(void **state)
{
    static const char *const statuses[] = {
        "403 Forbidden\r\n", "453 Not Enough Bandwidth\r\n", "503 Service Unavailable\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(statuses); i++) {
        open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
        start();
        answer("200 OK\r\n");
        answer(statuses[i]);
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
        to_play();
        answer(statuses[i]);
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
        assert_true(asked("TEARDOWN ")); /* the slot is given back */
        done();
    }
    /* 401 for what was right before */
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    for (int round = 0; round < 2; round++) {
        start();
        answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
        if (round == 0) answer_with("200 OK\r\n", SDP);
        answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
    }
    done();
}

static void hangs_up_after_401_C16(void **state)
{
    (void)state;
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    rtsp_client_closed(T.c, 0, NULL, T.now);
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(asked("OPTIONS ") && has("nonce=\"1\""));
    answer("200 OK\r\n");
    assert_true(asked("DESCRIBE ") && has("nonce=\"1\""));
    rtsp_client_closed(T.c, 0, NULL, T.now); /* once only */
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    done();
}

static void options_are_optional_C14(void **state)
{
    static const char *const statuses[] = {
        "404 Not Found\r\n", "501 Not Implemented\r\n", "500 x\r\n", "401 no\r\n"};

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (size_t i = 0; i < ARRAY_N(statuses); i++) {
        start();
        answer(statuses[i]);
        assert_true(asked("DESCRIBE "));
        rtsp_client_stop(T.c, T.now);
    }
    start();
    tick(5 * US_PER_S);
    assert_true(asked("DESCRIBE "));                      /* no answer at all */
    feed(SPAN_LIT("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")); /* and then a late one: it is not DESCRIBE's */
    assert_string_equal(T.log, "DIAL cam:554; ");
    answer_with("200 OK\r\n", SDP);
    assert_true(asked("SETUP "));
    rtsp_client_stop(T.c, T.now);
    start();
    rtsp_client_closed(T.c, 0, NULL, T.now); /* hangs up on it: remembered */
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(asked("DESCRIBE "));
    done();
}

static void no_cseq_C1(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    feed(SPAN_LIT("RTSP/1.0 200 OK\r\n\r\n"));
    assert_true(asked("DESCRIBE "));
    feed(SPAN_LIT("RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n")); /* of somebody else */
    assert_true(asked("DESCRIBE "));
    feed(SPAN_LIT("RTSP/1.0 404 Not Found\r\n\r\n"));
    assert_true(asked("DESCRIBE /p ")); /* C10 */
    done();
}

static void relative_path_C10(void **state)
{
    (void)state;
    open_client("rtsp://a:b@cam/live.sdp?x", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("404 Not Found\r\n");
    assert_true(asked("DESCRIBE /live.sdp?x RTSP/1.0\r\n"));
    answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_true(asked("DESCRIBE /live.sdp?x ") && has("uri=\"/live.sdp?x\""));
    answer_with("200 OK\r\n", SDP);
    assert_true(asked("SETUP /live.sdp?x/trackID=1 "));
    rtsp_client_stop(T.c, T.now);
    start();
    assert_true(asked("OPTIONS /live.sdp?x ")); /* remembered */
    done();
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer("404 Not Found\r\n");
    answer("404 Not Found\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 4 404; ");
    assert_int_equal(T.fail, RTSP_FAIL_NOTFOUND);
    start();
    assert_true(asked("OPTIONS rtsp://cam/p ")); /* it was not that */
    done();
}

static void redirects_C15(void **state)
{
    (void)state;
    open_client("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    answer("302 Moved\r\nLocation: rtsp://other:8554/q?z\r\n");
    assert_string_equal(T.log, "DIAL cam:554; DIAL other:8554!; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(asked("OPTIONS rtsp://other:8554/q?z ") && !has("Authorization")); /* auth begins anew */
    answer("200 OK\r\n");
    answer("401 No\r\nWWW-Authenticate: Digest realm=\"r2\", nonce=\"5\"\r\n");
    assert_true(has("username=\"a\", realm=\"r2\"")); /* credentials go along */
    answer("301 Moved\r\nLocation: /relative\r\n");
    rtsp_client_connected(T.c, T.now);
    assert_true(asked("OPTIONS rtsp://other:8554/relative "));
    answer("302 Moved\r\nLocation: rtsp://rtsp://u:v@third/x\r\n");
    rtsp_client_connected(T.c, T.now);
    answer("401 No\r\nWWW-Authenticate: Digest realm=\"r3\", nonce=\"6\"\r\n");
    assert_true(asked("DESCRIBE rtsp://third/x ") && has("username=\"u\""));
    for (int i = 0; i < 2; i++) {
        answer("302 Moved\r\nLocation: rtsp://cam/again\r\n");
        rtsp_client_connected(T.c, T.now);
    }
    answer("302 Moved\r\nLocation: rtsp://cam/again\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    start();
    assert_true(asked("OPTIONS rtsp://cam/p ")); /* the next session begins where it was configured */
    answer("302 Moved\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    start();
    answer("302 Moved\r\nLocation: http://x/\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    done();
}

static void describe_that_brings_nothing(void **state)
{
    static const struct {
        const char *fields, *body;
        enum rtsp_fail want;
    } rows[] = {
        {"200 OK\r\n", NULL, RTSP_FAIL_PROTOCOL},
        {"200 OK\r\n", "hello", RTSP_FAIL_PROTOCOL},
        {"200 OK\r\n", "v=0\r\nm=video 0 RTP/AVP 26\r\n", RTSP_FAIL_UNSUPPORTED},
        {"200 OK\r\n", "m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n", RTSP_FAIL_UNSUPPORTED},
        {"410 Gone\r\n", NULL, RTSP_FAIL_NOTFOUND},
        {"454 Session Not Found\r\n", NULL, RTSP_FAIL_NOTFOUND},
        {"500 Internal\r\n", NULL, RTSP_FAIL_PROTOCOL},
        {"505 Version\r\n", NULL, RTSP_FAIL_UNSUPPORTED},
    };

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        start();
        answer("200 OK\r\n");
        answer_with(rows[i].fields, rows[i].body);
        assert_int_equal(T.fail, rows[i].want);
        assert_true(strlen(T.text) > 0);
        T.fail = 0;
    }
    assert_non_null(strstr("nothing that can be recorded: video without a codec", "video"));
    start();
    answer("200 OK\r\n");
    tick(10 * US_PER_S);
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    assert_string_equal(T.text, "no answer to DESCRIBE");
    done();
}

static void body_without_length_C18(void **state)
{
    char text[1024];
    struct span all;
    size_t taken;

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nCSeq: %u\r\nContent-Type: application/sdp\r\n\r\n%s",
        cseq(), SDP);
    all = span_of(text);
    taken = rtsp_client_feed(T.c, all, T.now);
    assert_true(taken < all.n && asked("DESCRIBE "));
    assert_int_equal(rtsp_client_deadline(T.c), T.now + US_PER_S);
    tick(US_PER_S);
    taken += rtsp_client_feed(T.c, span_from(all, taken), T.now);
    assert_int_equal(taken, all.n);
    assert_true(asked("SETUP "));
    done();
}

static void base_urls_P1_P2_P3_P4(void **state)
{
    static const struct {
        const char *base, *sdp, *setup, *play;
    } rows[] = {
        {"rtsp://192.168.5.111:554/cam/realmonitor?channel=1&subtype=1/",
            "a=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n",
            "SETUP rtsp://cam:8554/cam/realmonitor?channel=1&subtype=1/trackID=0 ",
            "PLAY rtsp://cam:8554/cam/realmonitor?channel=1&subtype=1/ "},
        {"rtsp://rtsp://x/b",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:rtsp://y/b/t1?q\r\n",
            "SETUP rtsp://cam:8554/b/t1?q ", "PLAY rtsp://cam:8554/b "},
        {"192.168.1.1/b/", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", "SETUP rtsp://cam:8554/b/ ",
            "PLAY rtsp://cam:8554/b/ "},
        {NULL,
            "a=control:rtsp://z/all\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 "
            "H264/90000\r\na=control:?ctype=video\r\n",
            "SETUP rtsp://cam:8554/p?ctype=video ", "PLAY rtsp://cam:8554/all "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char fields[256] = "200 OK\r\n";

        open_client("rtsp://cam:8554/p", RTSP_TRANSPORT_AUTO);
        start();
        answer("200 OK\r\n");
        if (rows[i].base) add(fields, sizeof(fields), "Content-Base: %s\r\n", rows[i].base);
        answer_with(fields, rows[i].sdp);
        assert_true(asked(rows[i].setup));
        answer("200 OK\r\nSession: 1\r\n");
        assert_true(asked(rows[i].play));
        done();
    }
}

static void play_ladder_P4_P15(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\nContent-Base: rtsp://cam/base/\r\n",
        "a=control:rtsp://cam/ctl\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n");
    answer("200 OK\r\nSession: 1\r\n");
    assert_true(asked("PLAY rtsp://cam/ctl ") && has("Range"));
    answer("457 Invalid Range\r\n");
    assert_true(asked("PLAY rtsp://cam/ctl ") && !has("Range"));
    answer("455 Not Valid\r\n");
    assert_true(asked("PLAY rtsp://cam/base/ ") && !has("Range"));
    answer("404 Not Found\r\n");
    assert_true(asked("PLAY rtsp://cam/p "));
    answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    rtsp_client_stop(T.c, T.now);
    assert_true(asked("TEARDOWN rtsp://cam/p "));
    answer("200 OK\r\n");
    start(); /* what worked comes first */
    answer("200 OK\r\n");
    answer_with("200 OK\r\nContent-Base: rtsp://cam/base/\r\n",
        "a=control:rtsp://cam/ctl\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n");
    answer("200 OK\r\nSession: 1\r\n");
    assert_true(asked("PLAY rtsp://cam/p ") && !has("Range"));
    answer("460 Only aggregate\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    done();
}

static void sessions_P5_P6(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\nSession:        1;timeout=0\r\n");
    answer("200 OK\r\nSession: 2;timeout = 20\r\n"); /* another id: the first stays */
    assert_true(asked("PLAY ") && has("Session: 1\r\n"));
    answer("200 OK\r\nSession: 1;timeout=1\r\n");
    rtp(0, 1);
    assert_int_equal(rtsp_client_deadline(T.c), T.now + 5 * US_PER_S); /* clamped */
    rtsp_client_stop(T.c, T.now);
    answer("200 OK\r\n");
    start(); /* no id at all: go on without */
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\n");
    answer("200 OK\r\n");
    assert_true(asked("PLAY ") && !has("Session"));
    answer("200 OK\r\n");
    rtp(0, 1);
    assert_int_equal(rtsp_client_deadline(T.c), T.now + 30 * US_PER_S);
    done();
}

static void channels_P7_P8(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;interleaved=4\r\n"); /* no /TCP, one number */
    answer("200 OK\r\nSession: 1\r\nTransport: ssrc=1;RTP/AVP/TCP;interleaved=11-10\r\n");
    assert_true(T.track[0].channel[0] == 4 && T.track[0].channel[1] == 5);
    assert_true(T.track[1].channel[0] == 11 && T.track[1].channel[1] == 10);
    rtp(4, 1);
    rtp(11, 1);
    rtp(10, 1); /* P9: RTP on the other one */
    assert_int_equal(T.packets[0], 1);
    assert_int_equal(T.packets[1], 2);
    rtsp_client_stop(T.c, T.now);
    answer("200 OK\r\n");
    start(); /* both tracks on one pair: asked again for another */
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    assert_true(asked("SETUP rtsp://cam/p/trackID=2 ") && has("interleaved=34-35"));
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=34-35\r\n");
    assert_true(asked("PLAY "));
    done();
}

static void rtcp_on_the_wrong_channel_P9(void **state)
{
    static const uint8_t rr[] = {'$', 0, 0, 8, 0x80, 201, 0, 1, 0, 0, 0, 1};

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    feed(span(rr, sizeof(rr)));
    assert_int_equal(T.rtcp[0], 1);
    assert_int_equal(T.packets[0], 0);
    done();
}

static void udp_whole_session(void **state)
{
    (void)state;
    open_client("udp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; ");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    assert_true(asked("SETUP ") && has("Transport: RTP/AVP;unicast;client_port=21000-21001\r\n"));
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;client_port=21000-21001;server_port=8052\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; CONNECT 0 8052-8053; ");
    rtsp_client_udp_connected(T.c, 0, 0, T.now);
    rtsp_client_udp_bound(T.c, 1, 21002, 0, T.now);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast\r\n"); /* P7, T18: says no port */
    rtsp_client_udp_connected(T.c, 1, 0, T.now);
    assert_string_equal(
        T.log, "DIAL cam:554; BIND 0; CONNECT 0 8052-8053; BIND 1; CONNECT 1 0-0; TRACKS 2; ");
    answer("200 OK\r\n");
    assert_true(T.track[0].udp && T.track[0].port[1] == 8053);
    rtsp_client_udp_seen(T.c, 0, T.now);
    clear();
    rtsp_client_send_rtcp(T.c, 0, SPAN_LIT("12345678")); /* goes out on its own socket */
    assert_string_equal(T.sent, "");
    /* K7: the connection goes, packets do not */
    rtsp_client_closed(T.c, 0, NULL, T.now);
    for (int i = 0; i < 3; i++) {
        tick(8 * US_PER_S);
        rtsp_client_udp_seen(T.c, 0, T.now);
    }
    assert_string_equal(T.log, "");
    tick(9 * US_PER_S);
    assert_string_equal(T.log, "");
    tick(2 * US_PER_S);
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    assert_string_equal(T.sent, "");
    done();
}

static void transport_ladder_P12(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("461 Unsupported Transport\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; "); /* on the same connection */
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    answer("461 Unsupported Transport\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; UNBIND 0; FAILED 5 461; ");
    start(); /* it remembers the last one */
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; ");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    answer("461 Unsupported Transport\r\n");
    assert_true(asked("SETUP ") && has("RTP/AVP/TCP"));
    answer("200 OK\r\nSession: 1\r\n");
    answer("200 OK\r\nSession: 1\r\n");
    assert_true(asked("PLAY "));
    done();
    open_client("rtsp://cam/p", RTSP_TRANSPORT_TCP);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("461 Unsupported Transport\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    /* asked for TCP, got UDP */
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    done();
}

static void udp_start(void)
{
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    for (uint8_t i = 0; i < 2; i++) {
        rtsp_client_udp_bound(T.c, i, 21000, 0, T.now);
        answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
        rtsp_client_udp_connected(T.c, i, 0, T.now);
    }
    answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    clear();
}

static void silent_udp_P13(void **state)
{
    (void)state;
    open_client("udp://cam/p", RTSP_TRANSPORT_AUTO);
    udp_start();
    tick(5 * US_PER_S);
    assert_string_equal(T.text, "no packets over UDP"); /* UDP was asked for: nothing else is tried */
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    done();
    /* with a choice: TEARDOWN, a new connection, TCP; DESCRIBE anew (C13) */
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("461 x\r\n");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
    rtsp_client_stop(T.c, T.now);
    answer("200 OK\r\n");
    udp_start(); /* known: UDP */
    tick(5 * US_PER_S);
    assert_true(asked("TEARDOWN "));
    tick(RTSP_CLIENT_TEARDOWN_US);
    assert_string_equal(T.log, "DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    answer("200 OK\r\n");
    assert_true(asked("DESCRIBE "));
    answer_with("200 OK\r\n", SDP);
    assert_true(asked("SETUP ") && has("RTP/AVP/TCP"));
    done();
}

static void silent_tcp(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    tick(10 * US_PER_S - 1);
    assert_string_equal(T.log, "");
    tick(1);
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    assert_true(asked("TEARDOWN "));
    to_playing();
    rtp(0, 1);
    tick(10 * US_PER_S);
    assert_string_equal(T.log, "");
    done();
}

static void insists_on_all_tracks_P14(void **state)
{
    static const char sdp[] = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t1\r\n"
                              "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\na=control:t2\r\n";

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", sdp);
    answer("400 Bad Request\r\n");
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", sdp);
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    assert_true(asked("SETUP rtsp://cam/p/t2 "));
    answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n");
    answer("200 OK\r\n");
    assert_int_equal(T.track[0].codec, CODEC_H264);
    rtp(0, 1);
    rtp(2, 1); /* not wanted: not given */
    assert_int_equal(T.packets[0], 1);
    assert_int_equal(T.packets[1], 0);
    done();
}

static void one_track_refused(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("200 OK\r\nSession: 1\r\n");
    answer("400 Bad Request\r\n");
    assert_true(asked("PLAY "));
    answer("200 OK\r\n");
    assert_string_equal(T.log, "DIAL cam:554; TRACKS 1; PLAYING 1; ");
    rtsp_client_stop(T.c, T.now);
    answer("200 OK\r\n");
    start();
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    answer("404 Not Found\r\n");
    assert_true(asked("SETUP rtsp://cam/p/trackID=2 "));
    answer("404 Not Found\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_NOTFOUND);
    done();
}

static void keep_alive_ladder_K1_K2_K3(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    rtp(0, 1);
    for (int i = 0; i < 5; i++) { /* K3: never answered */
        clear();
        tick(30 * US_PER_S);
        assert_true(asked("GET_PARAMETER rtsp://cam/p/ ") && has("Session: 77\r\n"));
    }
    answer("501 Not Implemented\r\n"); /* P19 */
    tick(30 * US_PER_S);
    assert_true(asked("OPTIONS rtsp://cam/p/ ") && has("Session: 77\r\n"));
    rtsp_client_stop(T.c, T.now);
    answer("200 OK\r\n");
    done();
    /* two sessions that end at their timeout */
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (int i = 0; i < 2; i++) {
        to_playing();
        rtp(0, 1);
        tick(30 * US_PER_S);
        assert_true(asked("GET_PARAMETER "));
        tick(30 * US_PER_S);
        tick(2 * US_PER_S);
        rtsp_client_closed(T.c, 0, NULL, T.now);
        assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    }
    to_playing();
    rtp(0, 1);
    tick(30 * US_PER_S);
    assert_true(asked("OPTIONS "));
    done();
}

static void old_sessions_packets_K5(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    start();
    rtp(0, 9);
    answer("200 OK\r\n");
    rtp(0, 9);
    answer_with("200 OK\r\n", SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; "); /* UDP this time */
    rtsp_client_stop(T.c, T.now);
    done();
    open_client("rtsp://cam/p", RTSP_TRANSPORT_TCP);
    start();
    rtp(0, 9);
    answer("200 OK\r\n");
    answer_with("200 OK\r\n", SDP);
    assert_int_equal(T.retry_us, 65 * US_PER_S);
    assert_int_equal(T.packets[0], 0);
    done();
}

static void requests_of_the_camera_C9(void **state)
{
    static const char announce[] = "ANNOUNCE rtsp://x RTSP/1.0\r\nCSeq: 5\r\nContent-Type: "
                                   "application/sdp\r\nContent-Length: %zu\r\n\r\n%s";
    static const char other[] = "m=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\n";
    char text[1024];

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    feed(SPAN_LIT("OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n"));
    assert_true(asked("RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 77\r\nPublic: "));
    feed(SPAN_LIT("SET_PARAMETER x RTSP/1.0\r\nCSeq: 6\r\n\r\n"));
    assert_true(asked("RTSP/1.0 200 OK\r\nCSeq: 6\r\n"));
    feed(SPAN_LIT("FROB x RTSP/1.0\r\nCSeq: 7\r\n\r\n"));
    assert_true(asked("RTSP/1.0 501 Not Implemented\r\nCSeq: 7\r\n"));
    assert_int_equal(rtsp_client_counts(T.c).searches, 0);
    rtsp_client_closed(T.c, 0, NULL, T.now);
    snprintf(text, sizeof(text), announce, strlen(SDP), SDP);
    to_playing();
    feed(span_of(text));
    assert_string_equal(T.log, "ANNOUNCED 2; ");
    assert_true(asked("RTSP/1.0 200 OK\r\nCSeq: 5\r\n"));
    snprintf(text, sizeof(text), announce, strlen(other), other);
    feed(span_of(text));
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    to_playing();
    feed(SPAN_LIT("TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n"));
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    to_playing();
    feed(SPAN_LIT("REDIRECT rtsp://x RTSP/1.0\r\nCSeq: 9\r\nLocation: rtsp://new/p\r\n\r\n"));
    assert_string_equal(T.log, "DIAL new:554!; ");
    done();
}

static void ends(void **state)
{
    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    rtsp_client_start(T.c, T.now);
    rtsp_client_closed(T.c, 111, NULL, T.now);
    assert_int_equal(T.fail, RTSP_FAIL_UNREACHABLE);
    assert_string_equal(T.text, "no connection: Connection refused");
    rtsp_client_start(T.c, T.now);
    rtsp_client_closed(T.c, 13, "refused by policy", T.now);
    assert_string_equal(T.text, "no connection: refused by policy");
    to_playing();
    rtsp_client_closed(T.c, 104, NULL, T.now);
    assert_string_equal(T.log, "FAILED 8 0; ");
    rtsp_client_closed(T.c, 104, NULL, T.now); /* said once */
    tick(US_PER_S);
    assert_string_equal(T.log, "FAILED 8 0; ");
    /* PLAY without an answer, but with media (P11) */
    to_play();
    rtp(0, 1);
    clear();
    tick(10 * US_PER_S);
    assert_string_equal(T.log, "PLAYING 2; ");
    rtsp_client_closed(T.c, 0, NULL, T.now);
    to_play();
    tick(10 * US_PER_S);
    assert_string_equal(T.text, "no answer to PLAY");
    done();
}

static void out_of_frame_for_good(void **state)
{
    static uint8_t noise[300000];

    (void)state;
    open_client("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    to_playing();
    memset(noise, 0x11, sizeof(noise));
    for (int i = 0; i < 4; i++) rtsp_client_feed(T.c, span(noise, sizeof(noise)), T.now);
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    assert_true(rtsp_client_counts(T.c).skipped > 1000000);
    done();
}

static void urls_that_cannot_be(void **state)
{
    static const char *const urls[] = {
        "", "cam", "http://cam/", "rtsps://cam/", "publish://a:b@n/u/", "rtsp://cam:99999/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(urls); i++) {
        struct rtsp_client_conf conf = {.url = span_of(urls[i])};
        const char *error = NULL;

        assert_null(rtsp_client_new(&conf, &OPS, NULL, &error));
        assert_non_null(error);
    }
    rtsp_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_session_over_tcp),
        cmocka_unit_test(teardown_unanswered_P20),
        cmocka_unit_test(byte_by_byte_C7),
        cmocka_unit_test(digest_and_nonces_U4_U6_U7),
        cmocka_unit_test(keep_alive_challenged_U7),
        cmocka_unit_test(wrong_password_U6),
        cmocka_unit_test(full_or_locked_U8_K9),
        cmocka_unit_test(hangs_up_after_401_C16),
        cmocka_unit_test(options_are_optional_C14),
        cmocka_unit_test(no_cseq_C1),
        cmocka_unit_test(relative_path_C10),
        cmocka_unit_test(redirects_C15),
        cmocka_unit_test(describe_that_brings_nothing),
        cmocka_unit_test(body_without_length_C18),
        cmocka_unit_test(base_urls_P1_P2_P3_P4),
        cmocka_unit_test(play_ladder_P4_P15),
        cmocka_unit_test(sessions_P5_P6),
        cmocka_unit_test(channels_P7_P8),
        cmocka_unit_test(rtcp_on_the_wrong_channel_P9),
        cmocka_unit_test(udp_whole_session),
        cmocka_unit_test(transport_ladder_P12),
        cmocka_unit_test(silent_udp_P13),
        cmocka_unit_test(silent_tcp),
        cmocka_unit_test(insists_on_all_tracks_P14),
        cmocka_unit_test(one_track_refused),
        cmocka_unit_test(keep_alive_ladder_K1_K2_K3),
        cmocka_unit_test(old_sessions_packets_K5),
        cmocka_unit_test(requests_of_the_camera_C9),
        cmocka_unit_test(ends),
        cmocka_unit_test(out_of_frame_for_good),
        cmocka_unit_test(urls_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
