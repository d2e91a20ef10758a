/* worker/rtsp_client up to PLAY: one test a habit of cameras. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "tests/support/rtsp_script.h"

/* Also C2 (spelling and order), C11 (User-Agent), C12 (no field more than needed). */
static void whole_session_over_tcp(void **state)
{
    (void)state;
    script_open("rtsp://cam:554/p", RTSP_TRANSPORT_AUTO);
    rtsp_client_start(T.c, T.now);
    assert_string_equal(T.log, "DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_string_equal(
        T.last, "OPTIONS rtsp://cam/p RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: media-server\r\n\r\n");
    script_answer("200 OK\r\nPublic: OPTIONS, DESCRIBE\r\n");
    assert_string_equal(T.last,
        "DESCRIBE rtsp://cam/p RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: media-server\r\nAccept: "
        "application/sdp\r\n\r\n");
    script_answer_with("200 OK\r\nContent-Base: rtsp://10.0.0.9/p/\r\n", SCRIPT_SDP);
    assert_string_equal(T.last,
        "SETUP rtsp://cam/p/trackID=1 RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: media-server\r\n"
        "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n");
    script_answer("200 OK\r\nSession: 77;timeout=30\r\nTransport: "
                  "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=4cacc3d1\r\n");
    assert_true(script_asked("SETUP rtsp://cam/p/trackID=2 ") && script_has("Session: 77\r\n") &&
        script_has("interleaved=2-3"));
    script_answer("200 OK\r\nSession: 77\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n");
    assert_string_equal(T.log, "DIAL cam:554; TRACKS 2; ");
    assert_true(T.track[0].codec == CODEC_H264 && T.track[0].has_ssrc && T.track[0].ssrc == 0x4cacc3d1);
    assert_true(T.track[1].codec == CODEC_PCMA && T.track[1].clock_hz == 8000 && T.track[1].channel[0] == 2);
    assert_true(script_asked("PLAY rtsp://cam/p/ ") && script_has("Range: npt=0.000-\r\n") &&
        script_has("Session: 77\r\n"));
    script_rtp(0, 1); /* P11: before the answer */
    assert_int_equal(T.packets[0], 1);
    script_answer(
        "200 OK\r\nRTP-Info: url=trackID=2;seq=5;rtptime=7,url=rtsp://x/p/trackID=1;seq=9;rtptime=0\r\n");
    assert_true(rtsp_client_playing(T.c));
    assert_true(T.track[0].has_seq && T.track[0].seq == 9 && !T.track[0].has_rtptime);
    assert_true(T.track[1].has_seq && T.track[1].seq == 5 && T.track[1].rtptime == 7);
    script_rtp(2, 1);
    script_rtp(9, 1); /* P10 */
    assert_int_equal(T.packets[1], 1);
    assert_int_equal(rtsp_client_counts(T.c).unknown, 1);
    script_clear();
    rtsp_client_send_rtcp(T.c, 1, SPAN_LIT("12345678"));
    assert_string_equal(T.sent, "$3:8\n");
    rtsp_client_stop(T.c, T.now);
    assert_true(script_asked("TEARDOWN rtsp://cam/p/ ") && script_has("Session: 77\r\n"));
    assert_string_equal(T.log, "");
    script_answer("200 OK\r\n");
    assert_string_equal(T.log, "CLOSED; ");
    assert_int_equal(rtsp_client_deadline(T.c), 0);
    script_done();
}

static void teardown_unanswered_P20(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    rtsp_client_stop(T.c, T.now);
    script_tick(RTSP_CLIENT_TEARDOWN_US - 1);
    assert_string_equal(T.log, "");
    script_tick(1);
    assert_string_equal(T.log, "CLOSED; ");
    /* closed by the camera instead; stopped before there is a session */
    script_to_playing();
    rtsp_client_stop(T.c, T.now);
    rtsp_client_closed(T.c, 0, NULL, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    script_start();
    script_clear();
    rtsp_client_stop(T.c, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    rtsp_client_stop(T.c, T.now);
    assert_string_equal(T.log, "CLOSED; ");
    script_done();
}

static void byte_by_byte_C7(void **state)
{
    struct buf b;
    const char *first = "RTSP/1.0 200 OK\r\ncseq:  1 \r\n\r\n";
    size_t taken = 0;

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    buf_init(&b, 1000);
    for (size_t i = 0; i < strlen(first); i++) {
        buf_put(&b, span(first + i, 1));
        taken = rtsp_client_feed(T.c, buf_span(&b), T.now);
        assert_true(taken == 0 || i + 1 == strlen(first));
        assert_true(rtsp_client_need(T.c) >= 1);
    }
    assert_int_equal(taken, strlen(first));
    assert_true(script_asked("DESCRIBE "));
    buf_done(&b);
    script_done();
}

static void digest_and_nonces_U4_U6_U7(void **state)
{
    (void)state;
    script_open("rtsp://admin:p%40ss@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer(
        "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: Digest realm=\"r\", "
        "nonce=\"1\"\r\n");
    assert_true(script_asked("DESCRIBE rtsp://cam/p ")); /* C14; no credentials on the line (U10) */
    assert_true(script_has(
        "Authorization: Digest username=\"admin\", realm=\"r\", nonce=\"1\", uri=\"rtsp://cam/p\""));
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"2\", stale=true\r\n");
    assert_true(script_asked("DESCRIBE ") && script_has("nonce=\"2\""));
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_true(script_asked("SETUP ") && script_has("uri=\"rtsp://cam/p/trackID=1\"")); /* U5 */
    script_answer("200 OK\r\nSession: 1\r\n");
    script_answer("200 OK\r\nSession: 1\r\n");
    script_answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    script_rtp(0, 1);
    script_tick(30 * US_PER_S);
    assert_true(script_asked("OPTIONS ") && script_has("nonce=\"2\"") && script_has("Session: 1\r\n"));
    script_clear();
    T.last[0] = 0;
    script_tick(1);
    assert_true(!script_asked("OPTIONS"));
    rtsp_client_stop(T.c, T.now);
    assert_true(script_asked("TEARDOWN ") && script_has("Authorization: "));
    script_done();
}

static void keep_alive_challenged_U7(void **state)
{
    (void)state;
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    script_rtp(0, 1);
    script_tick(30 * US_PER_S);
    assert_true(script_asked("GET_PARAMETER rtsp://cam/p/ ") && !script_has("Authorization"));
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"9\"\r\n");
    assert_true(script_asked("GET_PARAMETER ") && script_has("nonce=\"9\""));
    script_clear();
    T.last[0] = 0;
    script_done();
}

static void wrong_password_U6(void **state)
{
    (void)state;
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_true(script_has("nonce=\"1\""));
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    /* another nonce each time: one more attempt, not more */
    script_start();
    script_answer("200 OK\r\n");
    for (int i = 0; i < 3; i++) {
        char text[128];

        snprintf(text, sizeof(text),
            "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n%d\"\r\n", i);
        script_answer(text);
    }
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    script_done();
    /* no credentials, no usable scheme */
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 2 401; ");
    script_done();
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_AUTH);
    script_done();
}

static void full_or_locked_U8_K9(void **state)
{
    static const char *const statuses[] = {
        "403 Forbidden\r\n", "453 Not Enough Bandwidth\r\n", "503 Service Unavailable\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(statuses); i++) {
        script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
        script_start();
        script_answer("200 OK\r\n");
        script_answer(statuses[i]);
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
        script_to_play();
        script_answer(statuses[i]);
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
        assert_true(script_asked("TEARDOWN ")); /* the slot is given back */
        script_done();
    }
    /* 401 for what was right before */
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    for (int round = 0; round < 2; round++) {
        script_start();
        script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
        if (round == 0) script_answer_with("200 OK\r\n", SCRIPT_SDP);
        script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
        assert_int_equal(T.fail, RTSP_FAIL_CAPACITY);
    }
    script_done();
}

static void hangs_up_after_401_C16(void **state)
{
    (void)state;
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    rtsp_client_closed(T.c, 0, NULL, T.now);
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(script_asked("OPTIONS ") && script_has("nonce=\"1\""));
    script_answer("200 OK\r\n");
    assert_true(script_asked("DESCRIBE ") && script_has("nonce=\"1\""));
    rtsp_client_closed(T.c, 0, NULL, T.now); /* once only */
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    script_done();
}

static void options_are_optional_C14(void **state)
{
    static const char *const statuses[] = {
        "404 Not Found\r\n", "501 Not Implemented\r\n", "500 x\r\n", "401 no\r\n"};

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (size_t i = 0; i < ARRAY_N(statuses); i++) {
        script_start();
        script_answer(statuses[i]);
        assert_true(script_asked("DESCRIBE "));
        rtsp_client_stop(T.c, T.now);
    }
    script_start();
    script_tick(5 * US_PER_S);
    assert_true(script_asked("DESCRIBE ")); /* no answer at all */
    script_feed(
        SPAN_LIT("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")); /* and then a late one: it is not DESCRIBE's */
    assert_string_equal(T.log, "DIAL cam:554; ");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_true(script_asked("SETUP "));
    rtsp_client_stop(T.c, T.now);
    script_start();
    rtsp_client_closed(T.c, 0, NULL, T.now); /* hangs up on it: remembered */
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(script_asked("DESCRIBE "));
    script_done();
}

static void no_cseq_C1(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_feed(SPAN_LIT("RTSP/1.0 200 OK\r\n\r\n"));
    assert_true(script_asked("DESCRIBE "));
    script_feed(SPAN_LIT("RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n")); /* of somebody else */
    assert_true(script_asked("DESCRIBE "));
    script_feed(SPAN_LIT("RTSP/1.0 404 Not Found\r\n\r\n"));
    assert_true(script_asked("DESCRIBE /p ")); /* C10 */
    script_done();
}

static void relative_path_C10(void **state)
{
    (void)state;
    script_open("rtsp://a:b@cam/live.sdp?x", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("404 Not Found\r\n");
    assert_true(script_asked("DESCRIBE /live.sdp?x RTSP/1.0\r\n"));
    script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    assert_true(script_asked("DESCRIBE /live.sdp?x ") && script_has("uri=\"/live.sdp?x\""));
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_true(script_asked("SETUP /live.sdp?x/trackID=1 "));
    rtsp_client_stop(T.c, T.now);
    script_start();
    assert_true(script_asked("OPTIONS /live.sdp?x ")); /* remembered */
    script_done();
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer("404 Not Found\r\n");
    script_answer("404 Not Found\r\n");
    assert_string_equal(T.log, "DIAL cam:554; FAILED 4 404; ");
    assert_int_equal(T.fail, RTSP_FAIL_NOTFOUND);
    script_start();
    assert_true(script_asked("OPTIONS rtsp://cam/p ")); /* it was not that */
    script_done();
}

static void redirects_C15(void **state)
{
    (void)state;
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n");
    script_answer("302 Moved\r\nLocation: rtsp://CAM:8554/q?z\r\n");
    assert_string_equal(T.log, "DIAL cam:554; DIAL CAM:8554!; ");
    rtsp_client_connected(T.c, T.now);
    assert_true(
        script_asked("OPTIONS rtsp://CAM:8554/q?z ") && !script_has("Authorization")); /* auth begins anew */
    script_answer("200 OK\r\n");
    script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r2\", nonce=\"5\"\r\n");
    assert_true(script_has("username=\"a\", realm=\"r2\"")); /* the same host gets a digest */
    script_answer("301 Moved\r\nLocation: /relative\r\n");
    rtsp_client_connected(T.c, T.now);
    assert_true(script_asked("OPTIONS rtsp://CAM:8554/relative "));
    script_answer("302 Moved\r\nLocation: rtsp://rtsp://u:v@third/x\r\n");
    rtsp_client_connected(T.c, T.now);
    script_answer("401 No\r\nWWW-Authenticate: Digest realm=\"r3\", nonce=\"6\"\r\n");
    assert_true(script_asked("DESCRIBE rtsp://third/x ") && script_has("username=\"u\""));
    for (int i = 0; i < 2; i++) {
        script_answer("302 Moved\r\nLocation: rtsp://cam/again\r\n");
        rtsp_client_connected(T.c, T.now);
    }
    script_answer("302 Moved\r\nLocation: rtsp://cam/again\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    script_start();
    assert_true(script_asked("OPTIONS rtsp://cam/p ")); /* the next session begins where it was configured */
    script_answer("302 Moved\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    script_start();
    script_answer("302 Moved\r\nLocation: http://x/\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    script_done();
}

/* C15: the password is for the host that was configured, and in clear for its port only. */
static void redirects_take_no_password_along_C15(void **state)
{
    static const struct {
        const char *location, *challenge, *sent; /* sent: NULL, nothing and the session fails */
    } row[] = {
        {"rtsp://other/p", "Digest realm=\"r\", nonce=\"1\"", NULL},
        {"rtsp://other/p", "Basic realm=\"r\"", NULL},
        {"rtsp://cam.other/p", "Digest realm=\"r\", nonce=\"1\"", NULL},
        {"rtsp://u:v@other/p", "Basic realm=\"r\"", "Basic dTp2"},
        {"rtsp://cam:8554/p", "Basic realm=\"r\"", NULL},
        {"rtsp://cam:8554/p", "Digest realm=\"r\", nonce=\"1\"", "Digest username=\"a\""},
        {"rtsp://cam/other", "Basic realm=\"r\"", "Basic YTpi"},
        {"/other", "Basic realm=\"r\"", "Basic YTpi"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(row); i++) {
        for (int options = 0; options < 2; options++) { /* where the challenge comes */
            char text[128], sent[64];

            script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
            script_start();
            snprintf(text, sizeof(text), "302 Moved\r\nLocation: %s\r\n", row[i].location);
            script_answer(text);
            rtsp_client_connected(T.c, T.now);
            if (!options) script_answer("200 OK\r\n");
            snprintf(text, sizeof(text), "401 No\r\nWWW-Authenticate: %s\r\n", row[i].challenge);
            script_answer(text);
            snprintf(sent, sizeof(sent), "Authorization: %s", row[i].sent ? row[i].sent : "");
            assert_int_equal(script_has(sent), row[i].sent != NULL);
            if (!row[i].sent && !options) assert_int_equal(T.fail, RTSP_FAIL_AUTH);
            script_done();
        }
    }
    /* Nor does a keep-alive that is refused. */
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("302 Moved\r\nLocation: rtsp://cam:8554/p\r\n");
    rtsp_client_connected(T.c, T.now);
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    for (int i = 0; i < 2; i++) script_answer("200 OK\r\nSession: 77\r\nTransport: RTP/AVP/TCP;unicast\r\n");
    script_answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    script_rtp(0, 1);
    script_tick(30 * US_PER_S);
    script_answer("401 No\r\nWWW-Authenticate: Basic realm=\"r\"\r\n");
    script_tick(30 * US_PER_S);
    assert_false(script_has("Authorization"));
    script_done();
    /* What one Location said counts for its own host, not for the next. */
    script_open("rtsp://a:b@cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("302 Moved\r\nLocation: rtsp://u:v@other/\r\n");
    rtsp_client_connected(T.c, T.now);
    script_answer("302 Moved\r\nLocation: rtsp://third/\r\n");
    rtsp_client_connected(T.c, T.now);
    script_answer("200 OK\r\n");
    script_answer("401 No\r\nWWW-Authenticate: Basic realm=\"r\"\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_AUTH);
    script_done();
}

/* Heads and descriptions that are none are counted. */
static void broken_answers_are_counted(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_feed(SPAN_LIT("RTSP/1.0 nonsense\r\n\r\n"));
    assert_int_equal(rtsp_client_counts(T.c).bad_heads, 1);
    script_answer("200 OK\r\n");
    script_answer("200 OK\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    assert_int_equal(rtsp_client_counts(T.c).bad_descriptions, 1);
    script_done();
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
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        script_start();
        script_answer("200 OK\r\n");
        script_answer_with(rows[i].fields, rows[i].body);
        assert_int_equal(T.fail, rows[i].want);
        assert_true(strlen(T.text) > 0);
        T.fail = 0;
    }
    script_start();
    script_answer("200 OK\r\n");
    script_tick(10 * US_PER_S);
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    assert_string_equal(T.text, "no answer to DESCRIBE");
    script_done();
}

static void long_description_C19(void **state)
{
    static char sdp[250000], text[260000];
    size_t n = sizeof(sdp) - 200;

    (void)state;
    memset(sdp, 'x', n);
    memcpy(sdp, "a=mpeg4-iod:", 12);
    snprintf(sdp + n, 200, "\r\n%s", SCRIPT_SDP);
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nCSeq: %u\r\nContent-Length: %zu\r\n\r\n%s",
        script_cseq(), strlen(sdp), sdp);
    script_feed(span_of(text));
    assert_true(script_asked("SETUP rtsp://cam/p/trackID=1 "));
    script_done();
}

static void body_without_length_C18(void **state)
{
    char text[1024];
    struct span all;
    size_t taken;

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nCSeq: %u\r\nContent-Type: application/sdp\r\n\r\n%s",
        script_cseq(), SCRIPT_SDP);
    all = span_of(text);
    taken = rtsp_client_feed(T.c, all, T.now);
    assert_true(taken < all.n && script_asked("DESCRIBE "));
    assert_int_equal(rtsp_client_deadline(T.c), T.now + US_PER_S);
    script_tick(US_PER_S);
    taken += rtsp_client_feed(T.c, span_from(all, taken), T.now);
    assert_int_equal(taken, all.n);
    assert_true(script_asked("SETUP "));
    script_done();
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
        char fields[256];

        script_open("rtsp://cam:8554/p", RTSP_TRANSPORT_AUTO);
        script_start();
        script_answer("200 OK\r\n");
        snprintf(fields, sizeof(fields), rows[i].base ? "200 OK\r\nContent-Base: %s\r\n" : "200 OK\r\n",
            rows[i].base);
        script_answer_with(fields, rows[i].sdp);
        assert_true(script_asked(rows[i].setup));
        script_answer("200 OK\r\nSession: 1\r\n");
        assert_true(script_asked(rows[i].play));
        script_done();
    }
}

static void play_ladder_P4_P15(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\nContent-Base: rtsp://cam/base/\r\n",
        "a=control:rtsp://cam/ctl\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n");
    script_answer("200 OK\r\nSession: 1\r\n");
    assert_true(script_asked("PLAY rtsp://cam/ctl ") && script_has("Range"));
    script_answer("457 Invalid Range\r\n");
    assert_true(script_asked("PLAY rtsp://cam/ctl ") && !script_has("Range"));
    script_answer("455 Not Valid\r\n");
    assert_true(script_asked("PLAY rtsp://cam/base/ ") && !script_has("Range"));
    script_answer("404 Not Found\r\n");
    assert_true(script_asked("PLAY rtsp://cam/p "));
    script_answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    rtsp_client_stop(T.c, T.now);
    assert_true(script_asked("TEARDOWN rtsp://cam/p "));
    script_answer("200 OK\r\n");
    script_start(); /* what worked comes first */
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\nContent-Base: rtsp://cam/base/\r\n",
        "a=control:rtsp://cam/ctl\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n");
    script_answer("200 OK\r\nSession: 1\r\n");
    assert_true(script_asked("PLAY rtsp://cam/p ") && !script_has("Range"));
    script_answer("460 Only aggregate\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    script_done();
}

static void sessions_P5_P6(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\nSession:        1;timeout=0\r\n");
    script_answer("200 OK\r\nSession: 2;timeout = 20\r\n"); /* another id: the first stays */
    assert_true(script_asked("PLAY ") && script_has("Session: 1\r\n"));
    script_answer("200 OK\r\nSession: 1;timeout=1\r\n");
    script_rtp(0, 1);
    assert_int_equal(rtsp_client_deadline(T.c), T.now + 5 * US_PER_S); /* clamped */
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    script_start(); /* no id at all: go on without */
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\n");
    script_answer("200 OK\r\n");
    assert_true(script_asked("PLAY ") && !script_has("Session"));
    script_answer("200 OK\r\n");
    script_rtp(0, 1);
    assert_int_equal(rtsp_client_deadline(T.c), T.now + 30 * US_PER_S);
    script_done();
}

static void urls_that_cannot_be(void **state)
{
    static const char *const urls[] = {
        "", "cam", "http://cam/", "rtsps://cam/", "publish://a:b@n/u/", "rtsp://cam:99999/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(urls); i++) {
        struct rtsp_client_conf conf = {.url = span_of(urls[i])};
        const char *error = NULL;

        assert_null(rtsp_client_new(&conf, &SCRIPT_OPS, NULL, &error));
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
        cmocka_unit_test(redirects_take_no_password_along_C15),
        cmocka_unit_test(broken_answers_are_counted),
        cmocka_unit_test(describe_that_brings_nothing),
        cmocka_unit_test(long_description_C19),
        cmocka_unit_test(body_without_length_C18),
        cmocka_unit_test(base_urls_P1_P2_P3_P4),
        cmocka_unit_test(play_ladder_P4_P15),
        cmocka_unit_test(sessions_P5_P6),
        cmocka_unit_test(urls_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
