/* The server side of a push: what a camera says, in order and out of it, and what it is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/proto/auth.h"
#include "common/proto/interleaved.h"
#include "worker/publish_login.h"
#include "worker/rtsp_publish.h"

#define T0 ((usec_t)1000 * US_PER_S)
#define SDP                                                                                                  \
    "v=0\r\no=- 0 0 IN IP4 1.2.3.4\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"    \
    "a=fmtp:96 packetization-mode=1\r\na=control:streamid=0\r\n"                                             \
    "m=audio 0 RTP/AVP 8\r\na=control:streamid=1\r\n"
#define URL "rtsp://h:7554/cam-1"
#define TCP "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n"

static struct camera {
    struct rtsp_publish *p;
    struct buf in;
    char sent[16384], log[2048];
    unsigned cseq, wrong, packets, rtcp;
    bool taken;
    char text[160], token[PUBLISH_TOKEN_MAX + 1];
    struct rtsp_track track[RTSP_CLIENT_TRACKS_MAX];
    struct auth_client auth;
} C;

static void note(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void note(const char *fmt, ...)
{
    size_t n = strlen(C.log);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(C.log + n, sizeof(C.log) - n, fmt, ap);
    va_end(ap);
}

static void on_send(void *arg, struct span bytes)
{
    size_t n = strlen(C.sent);

    (void)arg;
    if (bytes.p[0] == '$')
        note("$%u:%zu; ", bytes.p[1], bytes.n - INTERLEAVED_HEADER);
    else
        snprintf(C.sent + n, sizeof(C.sent) - n, "%.*s", SPAN_FMT(bytes));
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    (void)arg;
    if (e->kind == RTSP_EV_UDP_BIND) note("BIND %u; ", e->track);
    if (e->kind == RTSP_EV_UDP_CONNECT) note("CONNECT %u %u-%u; ", e->track, e->rtp_port, e->rtcp_port);
    if (e->kind == RTSP_EV_CLOSED) note("CLOSED; ");
    if (e->kind == RTSP_EV_PLAYING) note("PLAYING; ");
    if (e->kind == RTSP_EV_TRACKS) {
        note("TRACKS %zu; ", e->n_tracks);
        assert_true(e->sdp->n > 0 && e->tracks[0].media != NULL);
        for (size_t i = 0; i < e->n_tracks; i++) C.track[i] = e->tracks[i];
    }
    if (e->kind == RTSP_EV_FAILED) {
        note("FAILED %u %u; ", e->fail, e->status);
        snprintf(C.text, sizeof(C.text), "%s", e->text);
    }
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    (void)arg;
    (void)packet;
    assert_true(track < RTSP_CLIENT_TRACKS_MAX);
    C.packets += !rtcp;
    C.rtcp += rtcp;
}

static enum publish_claim on_claim(void *arg)
{
    (void)arg;
    note("CLAIM; ");
    return C.taken ? PUBLISH_TAKEN : PUBLISH_YES;
}

static void on_wrong(void *arg)
{
    (void)arg;
    C.wrong++;
}

static void on_token(void *arg, struct span token)
{
    (void)arg;
    note("TOKEN; ");
    span_copy(token, C.token, sizeof(C.token));
}

static const struct publish_ops ops = {on_send, on_event, on_packet, on_claim, on_wrong, on_token};

static void begin(const char *user)
{
    struct publish_conf conf = {.uid = "cam-1",
        .user = span_of(user),
        .password = span_of(user[0] ? "p" : ""),
        .tracks = 1u << TRACK_VIDEO | 1u << TRACK_AUDIO,
        .seed = {1, 2, 3}};

    C.p = rtsp_publish_new(&conf, &ops, NULL, T0);
    buf_init(&C.in, INTERLEAVED_BUFFER_MAX);
}

static int open_camera(void **state)
{
    (void)state;
    C = (struct camera){.cseq = 0};
    return 0;
}

static int close_camera(void **state)
{
    (void)state;
    rtsp_publish_free(C.p);
    buf_done(&C.in);
    return 0;
}

static void feed(struct span bytes)
{
    size_t took;

    assert_true(buf_put(&C.in, bytes));
    took = rtsp_publish_feed(C.p, buf_span(&C.in));
    assert_true(took <= buf_n(&C.in));
    buf_take(&C.in, took);
}

/* "200", of the answer to this request. */
static unsigned says(const char *method, const char *url, const char *fields, const char *body)
{
    char text[4096];
    int n = snprintf(text, sizeof(text), "%s %s RTSP/1.0\r\nCSeq: %u\r\n%s", method, url, ++C.cseq, fields);
    unsigned status = 0, cseq = 0;

    if (body)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
            "Content-Type: application/sdp\r\nContent-Length: %zu\r\n", strlen(body));
    n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n%s", body ? body : "");
    C.sent[0] = '\0';
    feed(span(text, (size_t)n));
    if (sscanf(C.sent, "RTSP/1.0 %u %*[^\r]\r\nCSeq: %u", &status, &cseq) == 2)
        assert_int_equal(cseq, C.cseq);
    return status;
}

static bool answered_with(const char *what)
{
    return strstr(C.sent, what) != NULL;
}

static unsigned announce(const char *fields)
{
    return says("ANNOUNCE", URL, fields, SDP);
}

static void signed_for(enum crypto_hash hash, const char *password, char *fields, size_t cap)
{
    struct head h;
    size_t at = 0;
    struct span value;
    struct auth_login login = {SPAN_LIT("u"), span_of(password)};
    struct wr w = wr_of(fields, cap);

    assert_int_equal(head_parse(span_of(C.sent), &h), 0);
    while (head_next(&h, "WWW-Authenticate", &at, &value)) {
        struct auth_challenge c;

        while (auth_challenge_next(&value, &c))
            if (c.hash == hash && c.scheme == AUTH_DIGEST) C.auth.c = c;
    }
    assert_int_equal(C.auth.c.hash, hash);
    wr_text(&w, "Authorization: ");
    auth_authorization(&C.auth, &login, "ANNOUNCE", SPAN_LIT(URL), 77, &w);
    wr_text(&w, "\r\n");
    wr_cstr(&w);
}

static void rtp(uint8_t channel, uint8_t second)
{
    uint8_t frame[INTERLEAVED_HEADER + 16] = {
        '$', channel, 0, 16, 0x80, second, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9};

    feed(span(frame, sizeof(frame)));
}

static void both_tracks(void)
{
    assert_int_equal(says("SETUP", URL "/streamid=0", TCP, NULL), 200);
    assert_true(answered_with("interleaved=0-1;mode=record") && answered_with("Session: "));
    assert_int_equal(says("SETUP", URL "/streamid=1",
                         "Session: 0000000000000003\r\n"
                         "Transport: RTP/AVP/TCP;unicast;interleaved=2-3;mode=record\r\n",
                         NULL),
        200);
}

static void over_tcp(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(says("OPTIONS", URL, "", NULL), 200);
    assert_true(answered_with("ANNOUNCE") && answered_with("RECORD"));
    assert_int_equal(announce(""), 200);
    both_tracks();
    rtp(0, 96); /* before RECORD: nobody's */
    assert_int_equal(says("RECORD", URL, "Session: 0000000000000003\r\nRange: npt=0.000-\r\n", NULL), 200);
    assert_string_equal(C.log, "CLAIM; TRACKS 2; PLAYING; ");
    assert_int_equal(C.track[0].codec, CODEC_H264);
    assert_int_equal(C.track[1].codec, CODEC_PCMA);
    rtp(0, 96);
    rtp(2, 8);
    rtp(1, 200);
    assert_int_equal(C.packets, 2);
    assert_int_equal(C.rtcp, 1);
    assert_int_equal(says("GET_PARAMETER", URL, "Session: 0000000000000003\r\n", NULL), 200);
    C.log[0] = '\0';
    rtsp_publish_send_rtcp(C.p, 1, SPAN_LIT("12345678"));
    assert_string_equal(C.log, "$3:8; ");
    assert_int_equal(rtsp_publish_deadline(C.p), 0);
    C.log[0] = '\0';
    assert_int_equal(says("TEARDOWN", URL, "Session: 0000000000000003\r\n", NULL), 200);
    assert_string_equal(C.log, "FAILED 8 0; ");
    assert_string_equal(C.text, "the camera ended the session");
}

/* SETUP waits for its ports; what comes meanwhile waits too. */
static void over_udp(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(announce(""), 200);
    assert_int_equal(says("SETUP", URL "/streamid=0",
                         "Transport: RTP/AVP/UDP;unicast;client_port=5000-5001;mode=record\r\n", NULL),
        0);
    assert_int_equal(says("OPTIONS", URL, "", NULL), 0);
    assert_string_equal(C.log, "CLAIM; BIND 0; ");
    C.cseq--;
    rtsp_publish_udp_bound(C.p, 0, 6000, 0);
    assert_true(answered_with("server_port=6000-6001") && answered_with("client_port=5000-5001"));
    assert_string_equal(C.log, "CLAIM; BIND 0; CONNECT 0 5000-5001; ");
    C.cseq++;
    C.sent[0] = '\0';
    feed(SPAN_NONE);
    assert_true(answered_with("RTSP/1.0 200"));
    says("SETUP", URL "/streamid=1", "Transport: RTP/AVP;unicast;client_port=5002-5003\r\n", NULL);
    rtsp_publish_udp_bound(C.p, 1, 0, -1);
    assert_true(answered_with("RTSP/1.0 461"));
    C.log[0] = '\0';
    assert_int_equal(says("RECORD", URL, "", NULL), 200);
    assert_true(C.track[0].wanted && C.track[0].udp);
    assert_false(C.track[1].wanted); /* not set up: nobody waits for it */
}

static void digest(enum crypto_hash hash)
{
    char fields[1024];

    begin("u");
    assert_int_equal(announce(""), 401);
    assert_true(answered_with("algorithm=SHA-256") && !answered_with("Basic"));
    signed_for(hash, "p", fields, sizeof(fields));
    assert_int_equal(announce(fields), 200);
    assert_int_equal(C.wrong, 0);
}

static void digest_md5(void **state)
{
    (void)state;
    digest(CRYPTO_MD5);
}

static void digest_sha256(void **state)
{
    (void)state;
    digest(CRYPTO_SHA256);
}

static void wrong_logins(void **state)
{
    char fields[1024];

    (void)state;
    begin("u");
    assert_int_equal(announce(""), 401);
    for (unsigned i = 0; i < PUBLISH_WRONG_MAX; i++) {
        signed_for(CRYPTO_MD5, "q", fields, sizeof(fields));
        assert_string_equal(C.log, "");
        assert_int_equal(announce(fields), 401);
    }
    assert_int_equal(C.wrong, PUBLISH_WRONG_MAX);
    assert_string_equal(C.log, "FAILED 2 401; ");
}

/* Somebody says what it is worth; what comes meanwhile waits. */
static void said(unsigned status)
{
    C.sent[0] = '\0';
    rtsp_publish_said(C.p, status);
    feed(SPAN_NONE);
}

static void a_token_in_the_url(void **state)
{
    (void)state;
    begin("u");
    assert_int_equal(says("ANNOUNCE", URL "/?a=b&token=v1.0.x%2By", "", SDP), 0);
    assert_string_equal(C.token, "v1.0.x+y");
    assert_int_equal(says("SETUP", URL "/streamid=0", TCP, NULL), 0);
    assert_string_equal(C.log, "TOKEN; ");
    C.sent[0] = '\0';
    rtsp_publish_udp_bound(C.p, 0, 6000, 0); /* nobody has asked for these */
    said(200);
    assert_string_equal(C.log, "TOKEN; CLAIM; ");
    assert_true(answered_with("CSeq: 1\r\n") && answered_with("CSeq: 2\r\n"));
    assert_true(answered_with("interleaved=0-1;mode=record"));
    rtsp_publish_said(C.p, 403); /* nor was this asked */
    assert_int_equal(says("RECORD", URL, "Session: 0000000000000003\r\n", NULL), 200);
    assert_int_equal(C.wrong, 0);
}

static void a_token_in_authorization(void **state)
{
    static const char *const fields[] = {"Authorization: v1.0.x\r\n", "Authorization: Bearer v1.0.x\r\n",
        "Authorization: bearer  v1.0.x \r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(fields); i++) {
        begin("u");
        assert_int_equal(says("ANNOUNCE", URL "?token=another", fields[i], SDP), 0);
        assert_string_equal(C.token, "v1.0.x");
        said(200);
        assert_true(answered_with("RTSP/1.0 200"));
        close_camera(NULL);
        C = (struct camera){.cseq = 0};
    }
}

static void a_token_that_is_refused(void **state)
{
    (void)state;
    begin("u");
    assert_int_equal(says("ANNOUNCE", URL "?token=x", "", SDP), 0);
    said(403);
    assert_true(answered_with("RTSP/1.0 403"));
    assert_string_equal(C.log, "TOKEN; FAILED 2 403; ");
    assert_int_equal(C.wrong, 0); /* who knows tokens counts who guesses them */
}

/* The camera tries again later; that is no guess. */
static void a_token_that_nobody_knows_now(void **state)
{
    (void)state;
    begin("u");
    assert_int_equal(says("ANNOUNCE", URL "?token=x", "", SDP), 0);
    said(503);
    assert_true(answered_with("RTSP/1.0 503") && answered_with("Retry-After"));
    assert_int_equal(C.wrong, 0);
}

/* A login is judged as one whatever stands in the URL; and nobody is asked about a token that cannot be one,
 * nor where anybody may push. */
static void what_is_no_token(void **state)
{
    char fields[1024], url[PUBLISH_TOKEN_MAX + 64];

    (void)state;
    begin("u");
    assert_int_equal(announce(""), 401);
    signed_for(CRYPTO_MD5, "p", fields, sizeof(fields));
    assert_int_equal(says("ANNOUNCE", URL "?token=x", "Authorization: Digest x\r\n", SDP), 401);
    assert_int_equal(says("ANNOUNCE", URL "?token=", "", SDP), 401);
    assert_int_equal(says("ANNOUNCE", URL "?tokens=x", "", SDP), 401);
    assert_int_equal(announce(fields), 200);
    assert_string_equal(C.log, "CLAIM; ");
    close_camera(NULL);
    C = (struct camera){.cseq = 0};
    begin("u");
    snprintf(url, sizeof(url), "Authorization: %0*d\r\n", PUBLISH_TOKEN_MAX + 1, 7);
    assert_int_equal(says("ANNOUNCE", URL, url, SDP), 401);
    assert_string_equal(C.log, "");
    close_camera(NULL);
    C = (struct camera){.cseq = 0};
    begin("");
    assert_int_equal(says("ANNOUNCE", URL "?token=x", "", SDP), 200);
    assert_string_equal(C.log, "CLAIM; ");
}

static void a_token_has_its_time(void **state)
{
    (void)state;
    begin("u");
    assert_int_equal(says("ANNOUNCE", URL "?token=x", "", SDP), 0);
    rtsp_publish_tick(C.p, T0 + PUBLISH_HANDSHAKE_US);
    assert_string_equal(C.text, "no RECORD in time");
    said(200);
    assert_string_equal(C.log, "TOKEN; FAILED 7 0; ");
}

/* Base64 of "u:p": right, but not over a connection that others can read. */
static void basic_is_not_taken(void **state)
{
    (void)state;
    begin("u");
    assert_int_equal(announce("Authorization: Basic dTpw\r\n"), 401);
    assert_int_equal(C.wrong, 1);
}

/* Another nonce than ours is no guess: it is said to be stale. */
static void an_old_nonce_is_stale(void **state)
{
    char fields[1024];

    (void)state;
    begin("u");
    assert_int_equal(announce(""), 401);
    signed_for(CRYPTO_MD5, "p", fields, sizeof(fields));
    snprintf(C.auth.c.nonce, sizeof(C.auth.c.nonce), "00");
    {
        struct auth_login login = {SPAN_LIT("u"), SPAN_LIT("p")};
        struct wr w = wr_of(fields, sizeof(fields));

        wr_text(&w, "Authorization: ");
        auth_authorization(&C.auth, &login, "ANNOUNCE", SPAN_LIT(URL), 77, &w);
        wr_text(&w, "\r\n");
        wr_cstr(&w);
    }
    assert_int_equal(announce(fields), 401);
    assert_true(answered_with("stale=TRUE"));
    assert_int_equal(C.wrong, 0);
}

static void out_of_order(void **state)
{
    static const char *const early[] = {"SETUP", "RECORD", "TEARDOWN"};
    static const char *const viewers[] = {"DESCRIBE", "PLAY", "PAUSE", "REDIRECT"};

    (void)state;
    begin("");
    for (size_t i = 0; i < ARRAY_N(early); i++) assert_int_equal(says(early[i], URL, TCP, NULL), 455);
    for (size_t i = 0; i < ARRAY_N(viewers); i++) assert_int_equal(says(viewers[i], URL, "", NULL), 405);
    assert_true(answered_with("Allow: "));
    assert_int_equal(says("BREW", URL, "", NULL), 501);
    assert_int_equal(announce(""), 200);
    assert_int_equal(announce(""), 455);
    assert_int_equal(says("RECORD", URL, "", NULL), 455); /* nothing is set up */
    assert_int_equal(says("SETUP", URL "/streamid=7", TCP, NULL), 404);
    assert_int_equal(says("SETUP", URL "/streamid=0", "", NULL), 461);
    assert_int_equal(says("SETUP", URL "/streamid=0", "Transport: RTP/AVP;multicast\r\n", NULL), 461);
    assert_int_equal(
        says("SETUP", URL "/streamid=0", "Transport: RTP/AVP/TCP;interleaved=0-1;mode=\"PLAY\"\r\n", NULL),
        461);
    assert_int_equal(says("SETUP", URL "/streamid=0", "Session: 5\r\n" TCP, NULL), 454);
    both_tracks();
    assert_int_equal(says("SETUP", URL "/streamid=0", TCP, NULL), 455);
    assert_int_equal(says("RECORD", URL, "Session: 00000003\r\n", NULL), 454);
    assert_int_equal(says("RECORD", URL, "", NULL), 200);
    assert_int_equal(says("RECORD", URL, "", NULL), 455);
    assert_int_equal(says("SETUP", URL "/streamid=0", TCP, NULL), 455);
}

static void two_tracks_on_one_channel(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(announce(""), 200);
    assert_int_equal(says("SETUP", URL "/streamid=0", TCP, NULL), 200);
    assert_int_equal(says("SETUP", URL "/streamid=1", TCP, NULL), 400);
    assert_non_null(strstr(C.log, "FAILED 6 400; "));
}

/* FFmpeg joins "rtsp://h/cam/" and "streamid=0" with two slashes; others leave out a=control. */
static void urls_of_tracks(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(says("ANNOUNCE", URL "/", "", SDP), 200);
    assert_int_equal(says("SETUP", URL "//streamid=0", TCP, NULL), 200);
    rtsp_publish_free(C.p);
    buf_done(&C.in);
    begin("");
    assert_int_equal(
        says("ANNOUNCE", URL, "", "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"), 200);
    assert_int_equal(says("SETUP", URL, TCP, NULL), 200);
    assert_int_equal(says("RECORD", URL, "", NULL), 200);
}

static void descriptions(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(says("ANNOUNCE", "rtsp://h:7554/cam-2", "", SDP), 404);
    assert_int_equal(says("ANNOUNCE", URL, "Content-Type: text/plain\r\n", NULL), 415);
    assert_int_equal(
        says("ANNOUNCE", URL, "", "v=0\r\ns=x\r\nm=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\n"), 415);
    assert_string_equal(C.text, "nothing that can be recorded: video JPEG");
}

static void another_one_pushes(void **state)
{
    (void)state;
    begin("");
    C.taken = true;
    assert_int_equal(announce(""), 503);
    assert_true(answered_with("Retry-After: "));
    assert_string_equal(C.log, "CLAIM; FAILED 6 503; ");
}

static void what_is_no_rtsp(void **state)
{
    (void)state;
    begin("");
    feed(SPAN_LIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(answered_with("RTSP/1.0 505"));
    feed(SPAN_LIT("\x01\x02\x03 this is nothing at all\r\n\r\n"));
    assert_true(answered_with("RTSP/1.0 400"));
    assert_string_equal(C.log, "FAILED 6 400; ");
}

static void requests_without_end(void **state)
{
    unsigned n = 0;

    (void)state;
    begin("");
    while (says("OPTIONS", URL, "", NULL) == 200) n++;
    assert_int_equal(n, PUBLISH_REQUESTS_MAX);
    assert_string_equal(C.log, "FAILED 6 400; ");
}

static void a_handshake_has_its_time(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(announce(""), 200);
    assert_int_equal(rtsp_publish_deadline(C.p), T0 + PUBLISH_HANDSHAKE_US);
    rtsp_publish_tick(C.p, T0 + PUBLISH_HANDSHAKE_US - 1);
    assert_string_equal(C.log, "CLAIM; ");
    rtsp_publish_tick(C.p, T0 + PUBLISH_HANDSHAKE_US);
    assert_string_equal(C.log, "CLAIM; FAILED 7 0; ");
    rtsp_publish_closed(C.p, 0, NULL); /* nothing follows the end */
    rtsp_publish_stop(C.p);
    assert_string_equal(C.log, "CLAIM; FAILED 7 0; ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_camera, close_camera)
    const struct CMUnitTest tests[] = {
        TEST(over_tcp),
        TEST(over_udp),
        TEST(digest_md5),
        TEST(digest_sha256),
        TEST(wrong_logins),
        TEST(a_token_in_the_url),
        TEST(a_token_in_authorization),
        TEST(a_token_that_is_refused),
        TEST(a_token_that_nobody_knows_now),
        TEST(what_is_no_token),
        TEST(a_token_has_its_time),
        TEST(basic_is_not_taken),
        TEST(an_old_nonce_is_stale),
        TEST(out_of_order),
        TEST(two_tracks_on_one_channel),
        TEST(urls_of_tracks),
        TEST(descriptions),
        TEST(another_one_pushes),
        TEST(what_is_no_rtsp),
        TEST(requests_without_end),
        TEST(a_handshake_has_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
