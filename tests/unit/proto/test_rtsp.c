/* common/proto/rtsp: building messages, and the fields of cameras' answers with their quirks. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/rtsp.h"

static struct head head_of(const char *text)
{
    struct head h;

    assert_int_equal(head_parse(span_of(text), &h), 0);
    return h;
}

static void builds(void **state)
{
    char text[512];
    struct wr w = wr_of(text, sizeof(text));

    (void)state;
    rtsp_request(&w, RTSP_SETUP, SPAN_LIT("rtsp://h/p/trackID=1"), 7);
    rtsp_field(&w, "User-Agent", SPAN_LIT("x/1"));
    rtsp_field(&w, "Session", SPAN_NONE);
    rtsp_field_fmt(&w, "Transport", "RTP/AVP/TCP;unicast;interleaved=%d-%d", 0, 1);
    rtsp_end(&w, SPAN_NONE, SPAN_NONE);
    assert_string_equal(wr_cstr(&w),
        "SETUP rtsp://h/p/trackID=1 RTSP/1.0\r\nCSeq: 7\r\nUser-Agent: x/1\r\n"
        "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n");
    w = wr_of(text, sizeof(text));
    rtsp_response(&w, 454, 9);
    rtsp_end(&w, SPAN_LIT("text/plain"), SPAN_LIT("gone"));
    assert_string_equal(wr_cstr(&w),
        "RTSP/1.0 454 Session Not Found\r\nCSeq: 9\r\nContent-Type: text/plain\r\n"
        "Content-Length: 4\r\n\r\ngone");
    /* Nothing that came from outside can begin a line of its own. */
    w = wr_of(text, sizeof(text));
    rtsp_field(&w, "Session", SPAN_LIT("1\r\nX: y"));
    assert_false(wr_ok(&w));
    w = wr_of(text, sizeof(text));
    rtsp_field_fmt(&w, "Session", "%s", "1\nX: y");
    assert_false(wr_ok(&w));
    w = wr_of(text, sizeof(text));
    rtsp_request(&w, RTSP_PLAY, SPAN_LIT("rtsp://h/a b"), 1);
    assert_false(wr_ok(&w));
}

static void methods(void **state)
{
    struct head h =
        head_of("RTSP/1.0 200 OK\r\nPublic: OPTIONS, DESCRIBE,PLAY ,\r\nAllow: GET_PARAMETER\r\n\r\n");

    (void)state;
    for (unsigned m = 0; m < RTSP_METHODS; m++)
        assert_int_equal(rtsp_method_of(span_of(rtsp_method_name((enum rtsp_method)m))), m);
    assert_int_equal(rtsp_method_of(SPAN_LIT("play")), RTSP_UNKNOWN);
    assert_int_equal(rtsp_methods(&h),
        1u << RTSP_OPTIONS | 1u << RTSP_DESCRIBE | 1u << RTSP_PLAY | 1u << RTSP_GET_PARAMETER);
    assert_string_equal(rtsp_reason(453), "Not Enough Bandwidth");
    assert_string_equal(rtsp_reason(999), "Unknown");
}

static void cseq(void **state)
{
    static const struct {
        const char *value;
        int64_t want; /* -1: none */
    } rows[] = {
        {"CSeq: 7\r\n", 7}, {"Cseq: 1 \r\n", 1}, /* C3 Longse */
        {"cseq:    12;x\r\n", 12}, {"CSeq:\r\n", -1}, {"CSeq: x\r\n", -1}, {"CSeq: 4294967296\r\n", -1},
        {"", -1}, /* C1: missing */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[128];
        struct head h;
        uint32_t v = 0;

        snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\n%s\r\n", rows[i].value);
        h = head_of(text);
        assert_int_equal(rtsp_cseq(&h, &v), rows[i].want >= 0);
        if (rows[i].want >= 0) assert_int_equal(v, rows[i].want);
    }
}

static void session(void **state)
{
    static const struct {
        const char *value, *id; /* NULL: none */
        uint32_t timeout_s;
    } rows[] = {
        {"708345999;timeout=60", "708345999", 60},
        {" F8F8E425 ", "F8F8E425", 0},
        {"1; timeout = 60", "1", 60}, /* P6 */
        {"1;timeout=60.5;x", "1", 60},
        {"1;timeout=0", "1", 0},
        {"1;timeout=-1", "1", 0},
        {"1;timeout=99999999999", "1", 0},
        {"1;Timeout=4294967295", "1", UINT32_MAX},
        {";timeout=5", "timeout=5", 0},
        {"", NULL, 0}, /* P5 */
        {";", NULL, 0},
    };
    char long_id[RTSP_SESSION_MAX + 2];
    struct rtsp_session s;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(rtsp_session(span_of(rows[i].value), &s), rows[i].id != NULL);
        if (rows[i].id == NULL) continue;
        assert_true(span_is(s.id, rows[i].id));
        assert_int_equal(s.timeout_s, rows[i].timeout_s);
    }
    memset(long_id, 'a', sizeof(long_id));
    assert_true(rtsp_session(span(long_id, RTSP_SESSION_MAX), &s));
    assert_false(rtsp_session(span(long_id, RTSP_SESSION_MAX + 1), &s));
}

static void transport_channels(void **state)
{
    static const struct {
        const char *value;
        int first, second; /* -1: no channels */
    } rows[] = {
        {"RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=4cacc3d1;mode=\"play\"", 0, 1},
        {"RTP/AVP;unicast;interleaved=2-3", 2, 3},        /* P7: no /TCP */
        {"ssrc=1;RTP/AVP/TCP;interleaved = 4 - 5", 4, 5}, /* P7: order, blanks */
        {"interleaved=0", 0, 1},                          /* P7: one number */
        {"RTP/AVP/TCP;interleaved=10-11", 10, 11},
        {"RTP/AVP/TCP;interleaved=1-0", 1, 0}, /* P8 */
        {"RTP/AVP/TCP;interleaved=254-255", 254, 255},
        {"RTP/AVP/TCP;interleaved=255", -1, -1},
        {"RTP/AVP/TCP;interleaved=256-257", -1, -1},
        {"RTP/AVP/TCP;interleaved=", -1, -1},
        {"RTP/AVP/TCP;interleaved=-", -1, -1},
        {"RTP/AVP/TCP;unicast", -1, -1},
    };
    struct rtsp_transport t;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_true(rtsp_transport(span_of(rows[i].value), &t));
        assert_int_equal(t.has_interleaved, rows[i].first >= 0);
        if (rows[i].first < 0) continue;
        assert_true(t.tcp);
        assert_int_equal(t.interleaved[0], rows[i].first);
        assert_int_equal(t.interleaved[1], rows[i].second);
    }
}

static void transport_ports_and_hints(void **state)
{
    struct span list = SPAN_LIT("RTP/AVP;multicast;port=1-2,RTP/SAVP/UDP;unicast;client_port=8000-8001");
    struct rtsp_transport t;

    (void)state;
    assert_true(rtsp_transport(SPAN_LIT("RTP/AVP/UDP;unicast;client_port=14236-14237;source=192.168.5.44;"
                                        "server_port=5002-5003;ssrc= 000030a8 ;destination=\"10.0.0.1\""),
        &t));
    assert_false(t.tcp);
    assert_int_equal(t.client_port[1], 14237);
    assert_int_equal(t.server_port[0], 5002);
    assert_true(t.has_ssrc && t.ssrc == 0x30a8);
    assert_true(span_is(t.source, "192.168.5.44") && span_is(t.destination, "10.0.0.1"));
    /* P7: a single port; P17: nonsense; P18: empty source. */
    assert_true(rtsp_transport(SPAN_LIT("RTP/AVP;server_port=8052;ssrc=12345678901;source="), &t));
    assert_int_equal(t.server_port[0], 8052);
    assert_int_equal(t.server_port[1], 8053);
    assert_false(t.has_ssrc);
    assert_int_equal(t.source.n, 0);
    assert_true(rtsp_transport(SPAN_LIT("RTP/AVP;server_port=0-0;ssrc=xyz"), &t));
    assert_false(t.has_server_port || t.has_ssrc);
    assert_false(rtsp_transport(SPAN_LIT(""), &t));
    assert_false(rtsp_transport(SPAN_LIT("unicast;mode=play"), &t));
    assert_true(rtsp_transport_next(&list, &t) && t.multicast);
    assert_true(rtsp_transport_next(&list, &t) && t.secure && t.has_client_port);
    assert_false(rtsp_transport_next(&list, &t));
}

static void rtp_info(void **state)
{
    static const struct {
        const char *value;
        struct {
            const char *url;
            int64_t seq, rtptime; /* -1: none */
        } want[3];
    } rows[] = {
        /* Dahua: relative. */
        {"url=trackID=0;seq=47121;rtptime=3475222385,url=trackID=1;seq=45186;rtptime=2234446919",
            {{"trackID=0", 47121, 3475222385}, {"trackID=1", 45186, 2234446919}}},
        /* Reolink: ssrc; P16 blanks, trailing ';', nonsense. */
        {"url=trackID=1;seq=16852;rtptime=1;ssrc=dcc4a0d8 , url = \"b\" ; seq = 2;",
            {{"trackID=1", 16852, 1}, {"b", 2, -1}}},
        {"url=a;seq=65536;rtptime=-1", {{"a", -1, -1}}},
        {"url=rtsp://h/a,b;seq=1,url=c", {{"rtsp://h/a,b", 1, -1}, {"c", -1, -1}}},
        {"seq=5", {{"", 5, -1}}},
        {"", {{NULL, 0, 0}}},
        {",;,", {{NULL, 0, 0}}},
        {"=\"", {{NULL, 0, 0}}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct span rest = span_of(rows[i].value);
        struct rtsp_rtp_info r;

        for (size_t k = 0; rows[i].want[k].url; k++) {
            assert_true(rtsp_rtp_info_next(&rest, &r));
            assert_true(span_is(r.url, rows[i].want[k].url));
            assert_int_equal(r.has_seq ? r.seq : -1, rows[i].want[k].seq);
            assert_int_equal(r.has_rtptime ? (int64_t)r.rtptime : -1, rows[i].want[k].rtptime);
        }
        assert_false(rtsp_rtp_info_next(&rest, &r));
    }
}

static void ranges(void **state)
{
    static const struct {
        const char *value;
        bool ok, clock;
        int64_t from, to;
    } rows[] = {
        {"npt=0.000-", true, false, 0, -1},
        {"npt=0.000000-", true, false, 0, -1},
        {"npt=4004393645.2210002-", true, false, 4004393645221000, -1}, /* GStreamer, of a clock= */
        {"npt=now-", true, false, -1, -1},
        {"npt = 10.5 - 1:00:01.25", true, false, 10500000, 3601250000},
        {"npt=-5", true, false, -1, 5000000},
        {"clock=19961108T143720.25Z-19961108T143721Z;time=x", true, true, 847463840250000, 847463841000000},
        {"clock=20000101T000000Z-", true, true, 946684800000000, -1},
        {"clock=-", false, false, 0, 0},
        {"clock=2000-", false, false, 0, 0},
        {"clock=20001301T000000Z-", false, false, 0, 0},
        {"npt=-", false, false, 0, 0},
        {"npt=a-", false, false, 0, 0},
        {"npt=99999999999999999999-", false, false, 0, 0},
        {"smpte=0:0:0-", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"=\"", false, false, 0, 0},
    };
    struct rtsp_range r;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(rtsp_range(span_of(rows[i].value), &r), rows[i].ok);
        if (!rows[i].ok) continue;
        assert_int_equal(r.clock, rows[i].clock);
        assert_int_equal(r.from_us, rows[i].from);
        assert_int_equal(r.to_us, rows[i].to);
    }
}

static void content_type(void **state)
{
    /* C17 */
    struct head a = head_of("RTSP/1.0 200 OK\r\nContent-Type: application/SDP ; charset=utf-8\r\n\r\n");
    struct head b = head_of("RTSP/1.0 200 OK\r\n\r\n");
    struct head c = head_of("RTSP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n");

    (void)state;
    assert_true(rtsp_is_sdp(&a) && rtsp_is_sdp(&b) && !rtsp_is_sdp(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds),
        cmocka_unit_test(methods),
        cmocka_unit_test(cseq),
        cmocka_unit_test(session),
        cmocka_unit_test(transport_channels),
        cmocka_unit_test(transport_ports_and_hints),
        cmocka_unit_test(rtp_info),
        cmocka_unit_test(ranges),
        cmocka_unit_test(content_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
