/* worker/rtsp_client: transports, tracks, keep-alive and the ends of a session. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rtsp_script.h"

static void channels_P7_P8(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer(
        "200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;interleaved=4\r\n"); /* no /TCP, one number */
    script_answer("200 OK\r\nSession: 1\r\nTransport: ssrc=1;RTP/AVP/TCP;interleaved=11-10\r\n");
    assert_true(T.track[0].channel[0] == 4 && T.track[0].channel[1] == 5);
    assert_true(T.track[1].channel[0] == 11 && T.track[1].channel[1] == 10);
    script_rtp(4, 1);
    script_rtp(11, 1);
    script_rtp(10, 1); /* P9: RTP on the other one */
    assert_int_equal(T.packets[0], 1);
    assert_int_equal(T.packets[1], 2);
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    script_start(); /* both tracks on one pair: asked again for another */
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    assert_true(script_asked("SETUP rtsp://cam/p/trackID=2 ") && script_has("interleaved=34-35"));
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=34-35\r\n");
    assert_true(script_asked("PLAY "));
    script_done();
}

static void rtcp_on_the_wrong_channel_P9(void **state)
{
    static const uint8_t rr[] = {'$', 0, 0, 8, 0x80, 201, 0, 1, 0, 0, 0, 1};

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    script_feed(span(rr, sizeof(rr)));
    assert_int_equal(T.rtcp[0], 1);
    assert_int_equal(T.packets[0], 0);
    script_done();
}

static void udp_whole_session(void **state)
{
    (void)state;
    script_open("udp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; ");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    assert_true(
        script_asked("SETUP ") && script_has("Transport: RTP/AVP;unicast;client_port=21000-21001\r\n"));
    script_answer(
        "200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;client_port=21000-21001;server_port=8052\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; CONNECT 0 8052-8053; ");
    rtsp_client_udp_connected(T.c, 0, 0, T.now);
    rtsp_client_udp_bound(T.c, 1, 21002, 0, T.now);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast\r\n"); /* P7, T18: says no port */
    rtsp_client_udp_connected(T.c, 1, 0, T.now);
    assert_string_equal(
        T.log, "DIAL cam:554; BIND 0; CONNECT 0 8052-8053; BIND 1; CONNECT 1 0-0; TRACKS 2; ");
    script_answer("200 OK\r\n");
    assert_true(T.track[0].udp && T.track[0].port[1] == 8053);
    rtsp_client_udp_seen(T.c, 0, T.now);
    script_clear();
    rtsp_client_send_rtcp(T.c, 0, SPAN_LIT("12345678")); /* goes out on its own socket */
    assert_string_equal(T.sent, "");
    /* K7: the connection goes, packets do not */
    rtsp_client_closed(T.c, 0, NULL, T.now);
    for (int i = 0; i < 3; i++) {
        script_tick(8 * US_PER_S);
        rtsp_client_udp_seen(T.c, 0, T.now);
    }
    assert_string_equal(T.log, "");
    script_tick(9 * US_PER_S);
    assert_string_equal(T.log, "");
    script_tick(2 * US_PER_S);
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    assert_string_equal(T.sent, "");
    script_done();
}

static void transport_ladder_P12(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("461 Unsupported Transport\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; "); /* on the same connection */
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    script_answer("461 Unsupported Transport\r\n");
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; UNBIND 0; FAILED 5 461; ");
    script_start(); /* it remembers the last one */
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; ");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    script_answer("461 Unsupported Transport\r\n");
    assert_true(script_asked("SETUP ") && script_has("RTP/AVP/TCP"));
    script_answer("200 OK\r\nSession: 1\r\n");
    script_answer("200 OK\r\nSession: 1\r\n");
    assert_true(script_asked("PLAY "));
    script_done();
    script_open("rtsp://cam/p", RTSP_TRANSPORT_TCP);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("461 Unsupported Transport\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    /* asked for TCP, got UDP */
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_UNSUPPORTED);
    script_done();
}

static void udp_start(void)
{
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    for (uint8_t i = 0; i < 2; i++) {
        rtsp_client_udp_bound(T.c, i, 21000, 0, T.now);
        script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
        rtsp_client_udp_connected(T.c, i, 0, T.now);
    }
    script_answer("200 OK\r\n");
    assert_true(rtsp_client_playing(T.c));
    script_clear();
}

static void silent_udp_P13(void **state)
{
    (void)state;
    script_open("udp://cam/p", RTSP_TRANSPORT_AUTO);
    udp_start();
    script_tick(5 * US_PER_S);
    assert_string_equal(T.text, "no packets over UDP"); /* UDP was asked for: nothing else is tried */
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    script_done();
    /* with a choice: TEARDOWN, a new connection, TCP; DESCRIBE anew (C13) */
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("461 x\r\n");
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    udp_start(); /* known: UDP */
    script_tick(5 * US_PER_S);
    assert_true(script_asked("TEARDOWN "));
    script_tick(RTSP_CLIENT_TEARDOWN_US);
    assert_string_equal(T.log, "DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    script_answer("200 OK\r\n");
    assert_true(script_asked("DESCRIBE "));
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_true(script_asked("SETUP ") && script_has("RTP/AVP/TCP"));
    script_done();
}

/* P13: a media that is not wanted is set up too before TCP is tried, each on a connection of its own. */
static void silent_udp_until_all_are_set_up_P13(void **state)
{
    static const char sdp[] = SCRIPT_SDP "m=audio 0 RTP/AVP 0\r\na=control:trackID=3\r\n";
    static const uint8_t tracks[] = {2, 3};

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", sdp);
    script_answer("461 x\r\n"); /* this camera wants UDP */
    rtsp_client_udp_bound(T.c, 0, 21000, 0, T.now);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    script_start();
    for (size_t round = 0; round < ARRAY_N(tracks); round++) {
        script_answer("200 OK\r\n");
        script_answer_with("200 OK\r\n", sdp);
        for (uint8_t i = 0; i < tracks[round]; i++) {
            rtsp_client_udp_bound(T.c, i, 21000, 0, T.now);
            assert_true(script_asked("SETUP ") && script_has("RTP/AVP;unicast;client_port"));
            script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
            rtsp_client_udp_connected(T.c, i, 0, T.now);
        }
        assert_true(script_asked("PLAY "));
        script_answer("200 OK\r\n");
        script_tick(5 * US_PER_S);
        assert_true(script_asked("TEARDOWN "));
        script_clear();
        script_tick(RTSP_CLIENT_TEARDOWN_US);
        assert_string_equal(T.log, "DIAL cam:554; ");
        rtsp_client_connected(T.c, T.now);
    }
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", sdp);
    assert_true(script_asked("SETUP ") && script_has("RTP/AVP/TCP"));
    script_done();
}

/* P12: no ports here is no better than a camera that refuses them. */
static void no_ports_means_tcp_P12(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
        script_start();
        script_answer("200 OK\r\n");
        script_answer_with("200 OK\r\n", SCRIPT_SDP);
        script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=5000-5001\r\n");
        script_answer("200 OK\r\n"); /* TEARDOWN: it gave UDP though TCP was asked for */
        script_clear();
        rtsp_client_connected(T.c, T.now);
        script_answer("200 OK\r\n");
        script_answer_with("200 OK\r\n", SCRIPT_SDP);
        assert_string_equal(T.log, "BIND 0; ");
        script_clear();
        if (late)
            script_tick(5 * US_PER_S);
        else
            rtsp_client_udp_bound(T.c, 0, 0, -ENOTCONN, T.now);
        assert_int_equal(T.fail, RTSP_FAIL_UNREACHABLE); /* TCP was refused in this session */
        script_start();
        script_answer("200 OK\r\n");
        script_answer_with("200 OK\r\n", SCRIPT_SDP);
        assert_string_equal(T.log, "DIAL cam:554; BIND 0; "); /* known: UDP */
        script_clear();
        if (late)
            script_tick(5 * US_PER_S);
        else
            rtsp_client_udp_bound(T.c, 0, 0, -ENOTCONN, T.now);
        assert_string_equal(T.log, "DIAL cam:554; ");
        rtsp_client_connected(T.c, T.now);
        script_answer("200 OK\r\n");
        script_answer_with("200 OK\r\n", SCRIPT_SDP);
        assert_true(script_asked("SETUP ") && script_has("RTP/AVP/TCP"));
        script_done();
    }
}

static void silent_tcp(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    script_tick(10 * US_PER_S - 1);
    assert_string_equal(T.log, "");
    script_tick(1);
    assert_int_equal(T.fail, RTSP_FAIL_TIMEOUT);
    assert_true(script_asked("TEARDOWN "));
    script_to_playing();
    script_rtp(0, 1);
    script_tick(10 * US_PER_S);
    assert_string_equal(T.log, "");
    script_done();
}

static void insists_on_all_tracks_P14(void **state)
{
    static const char sdp[] = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t1\r\n"
                              "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\na=control:t2\r\n";

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", sdp);
    script_answer("400 Bad Request\r\n");
    assert_string_equal(T.log, "DIAL cam:554; DIAL cam:554; ");
    rtsp_client_connected(T.c, T.now);
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", sdp);
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
    assert_true(script_asked("SETUP rtsp://cam/p/t2 "));
    script_answer("200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n");
    script_answer("200 OK\r\n");
    assert_int_equal(T.track[0].codec, CODEC_H264);
    script_rtp(0, 1);
    script_rtp(2, 1); /* not wanted: not given */
    assert_int_equal(T.packets[0], 1);
    assert_int_equal(T.packets[1], 0);
    script_done();
}

static void one_track_refused(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\nSession: 1\r\n");
    script_answer("400 Bad Request\r\n");
    assert_true(script_asked("PLAY "));
    script_answer("200 OK\r\n");
    assert_string_equal(T.log, "DIAL cam:554; TRACKS 1; PLAYING 1; ");
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    script_start();
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    script_answer("404 Not Found\r\n");
    assert_true(script_asked("SETUP rtsp://cam/p/trackID=2 "));
    script_answer("404 Not Found\r\n");
    assert_int_equal(T.fail, RTSP_FAIL_NOTFOUND);
    script_done();
}

static void keep_alive_ladder_K1_K2_K3(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    script_rtp(0, 1);
    for (int i = 0; i < 5; i++) { /* K3: never answered */
        script_clear();
        script_tick(30 * US_PER_S);
        assert_true(script_asked("GET_PARAMETER rtsp://cam/p/ ") && script_has("Session: 77\r\n"));
    }
    script_answer("501 Not Implemented\r\n"); /* P19 */
    script_tick(30 * US_PER_S);
    assert_true(script_asked("OPTIONS rtsp://cam/p/ ") && script_has("Session: 77\r\n"));
    rtsp_client_stop(T.c, T.now);
    script_answer("200 OK\r\n");
    script_done();
    /* two sessions that end at their timeout */
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    for (int i = 0; i < 2; i++) {
        script_to_playing();
        script_rtp(0, 1);
        script_tick(30 * US_PER_S);
        assert_true(script_asked("GET_PARAMETER "));
        script_tick(30 * US_PER_S);
        script_tick(2 * US_PER_S);
        rtsp_client_closed(T.c, 0, NULL, T.now);
        assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    }
    script_to_playing();
    script_rtp(0, 1);
    script_tick(30 * US_PER_S);
    assert_true(script_asked("OPTIONS "));
    script_done();
}

static void old_sessions_packets_K5(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_start();
    script_rtp(0, 9);
    script_answer("200 OK\r\n");
    script_rtp(0, 9);
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_string_equal(T.log, "DIAL cam:554; BIND 0; "); /* UDP this time */
    rtsp_client_stop(T.c, T.now);
    script_done();
    script_open("rtsp://cam/p", RTSP_TRANSPORT_TCP);
    script_start();
    script_rtp(0, 9);
    script_answer("200 OK\r\n");
    script_answer_with("200 OK\r\n", SCRIPT_SDP);
    assert_int_equal(T.retry_us, 65 * US_PER_S);
    assert_int_equal(T.packets[0], 0);
    script_done();
}

static void requests_of_the_camera_C9(void **state)
{
    static const char announce[] = "ANNOUNCE rtsp://x RTSP/1.0\r\nCSeq: 5\r\nContent-Type: "
                                   "application/sdp\r\nContent-Length: %zu\r\n\r\n%s";
    static const char other[] = "m=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\n";
    char text[1024];

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    script_feed(SPAN_LIT("OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n"));
    assert_true(script_asked("RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 77\r\nPublic: "));
    script_feed(SPAN_LIT("SET_PARAMETER x RTSP/1.0\r\nCSeq: 6\r\n\r\n"));
    assert_true(script_asked("RTSP/1.0 200 OK\r\nCSeq: 6\r\n"));
    script_feed(SPAN_LIT("FROB x RTSP/1.0\r\nCSeq: 7\r\n\r\n"));
    assert_true(script_asked("RTSP/1.0 501 Not Implemented\r\nCSeq: 7\r\n"));
    assert_int_equal(rtsp_client_counts(T.c).searches, 0);
    rtsp_client_closed(T.c, 0, NULL, T.now);
    snprintf(text, sizeof(text), announce, strlen(SCRIPT_SDP), SCRIPT_SDP);
    script_to_playing();
    script_feed(span_of(text));
    assert_string_equal(T.log, "ANNOUNCED 2; ");
    assert_true(script_asked("RTSP/1.0 200 OK\r\nCSeq: 5\r\n"));
    snprintf(text, sizeof(text), announce, strlen(other), other);
    script_feed(span_of(text));
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    script_to_playing();
    script_feed(SPAN_LIT("TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n"));
    assert_int_equal(T.fail, RTSP_FAIL_ENDED);
    script_to_playing();
    script_feed(SPAN_LIT("REDIRECT rtsp://x RTSP/1.0\r\nCSeq: 9\r\nLocation: rtsp://new/p\r\n\r\n"));
    assert_string_equal(T.log, "DIAL new:554!; ");
    script_done();
}

static void ends(void **state)
{
    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    rtsp_client_start(T.c, T.now);
    rtsp_client_closed(T.c, 111, NULL, T.now);
    assert_int_equal(T.fail, RTSP_FAIL_UNREACHABLE);
    assert_string_equal(T.text, "no connection: Connection refused");
    rtsp_client_start(T.c, T.now);
    rtsp_client_closed(T.c, 13, "refused by policy", T.now);
    assert_string_equal(T.text, "no connection: refused by policy");
    script_to_playing();
    rtsp_client_closed(T.c, 104, NULL, T.now);
    assert_string_equal(T.log, "FAILED 8 0; ");
    rtsp_client_closed(T.c, 104, NULL, T.now); /* said once */
    script_tick(US_PER_S);
    assert_string_equal(T.log, "FAILED 8 0; ");
    /* PLAY without an answer, but with media (P11) */
    script_to_play();
    script_rtp(0, 1);
    script_clear();
    script_tick(10 * US_PER_S);
    assert_string_equal(T.log, "PLAYING 2; ");
    rtsp_client_closed(T.c, 0, NULL, T.now);
    script_to_play();
    script_tick(10 * US_PER_S);
    assert_string_equal(T.text, "no answer to PLAY");
    script_done();
}

static void out_of_frame_for_good(void **state)
{
    static uint8_t noise[300000];

    (void)state;
    script_open("rtsp://cam/p", RTSP_TRANSPORT_AUTO);
    script_to_playing();
    memset(noise, 0x11, sizeof(noise));
    for (int i = 0; i < 4; i++) rtsp_client_feed(T.c, span(noise, sizeof(noise)), T.now);
    assert_int_equal(T.fail, RTSP_FAIL_PROTOCOL);
    assert_true(rtsp_client_counts(T.c).skipped > 1000000);
    script_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_P7_P8),
        cmocka_unit_test(rtcp_on_the_wrong_channel_P9),
        cmocka_unit_test(udp_whole_session),
        cmocka_unit_test(transport_ladder_P12),
        cmocka_unit_test(silent_udp_P13),
        cmocka_unit_test(silent_udp_until_all_are_set_up_P13),
        cmocka_unit_test(no_ports_means_tcp_P12),
        cmocka_unit_test(silent_tcp),
        cmocka_unit_test(insists_on_all_tracks_P14),
        cmocka_unit_test(one_track_refused),
        cmocka_unit_test(keep_alive_ladder_K1_K2_K3),
        cmocka_unit_test(old_sessions_packets_K5),
        cmocka_unit_test(requests_of_the_camera_C9),
        cmocka_unit_test(ends),
        cmocka_unit_test(out_of_frame_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
