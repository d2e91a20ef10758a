/* Session descriptions: what they say, read back by our own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/sdp.h"
#include "httpd/rtsp/describe.h"

static const uint8_t avcc[] = {
    1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 3, 0x68, 0xee, 0x3c};

static void tracks(struct pay pay[TRACK_MAX])
{
    struct track t = {
        .codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000, .width = 640, .height = 360};

    memset(pay, 0, TRACK_MAX * sizeof(*pay));
    memcpy(t.config, avcc, sizeof(avcc));
    t.config_n = sizeof(avcc);
    assert_true(pay_init(&pay[0], &t, 0, 7));
    t = (struct track){
        .codec = CODEC_AAC, .kind = TRACK_AUDIO, .clock_hz = 16000, .channels = 1, .config_n = 2};
    t.config[0] = 0x14;
    t.config[1] = 0x08;
    assert_true(pay_init(&pay[1], &t, 1, 7));
    t = (struct track){.codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000, .channels = 1};
    assert_true(pay_init(&pay[3], &t, 3, 7));
}

static bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

static void live(void **state)
{
    static char text[DESCRIBE_MAX];
    struct pay pay[TRACK_MAX];
    struct describe d = {.pay = pay, .n = TRACK_MAX, .name = "Gate\r\na=x", .id = 5};
    struct wr w = wr_of(text, sizeof(text));
    static struct sdp sdp;

    (void)state;
    tracks(pay);
    describe_write(&d, &w);
    wr_cstr(&w);
    assert_true(sdp_parse(wr_span(&w), &sdp));
    assert_int_equal(sdp.n, 3);
    assert_int_equal(sdp.m[0].f[0].codec, SDP_H264);
    assert_true(span_is(sdp.m[0].control, "trackID=0"));
    assert_true(span_is(sdp_fmtp(sdp.m[0].f[0].fmtp, "sprop-parameter-sets"), "Z2QAHw==,aO48"));
    assert_true(span_is(sdp_fmtp(sdp.m[0].f[0].fmtp, "profile-level-id"), "64001F"));
    assert_int_equal(sdp.m[1].f[0].codec, SDP_MPEG4_GENERIC);
    assert_true(span_is(sdp_fmtp(sdp.m[1].f[0].fmtp, "config"), "1408"));
    assert_int_equal(sdp.m[2].f[0].pt, 0);
    assert_true(span_is(sdp.m[2].control, "trackID=3"));
    assert_true(has(text, "\r\ns=Gate??a=x\r\n")); /* a name writes no line of its own */
    assert_true(has(text, "\r\nt=0 0\r\n"));
}

static void archive(void **state)
{
    static char text[DESCRIBE_MAX];
    struct pay pay[TRACK_MAX];
    struct describe d = {
        .pay = pay, .n = TRACK_MAX, .name = "x", .kind_names = true, .start_us = 1700000000250000};
    struct wr w = wr_of(text, sizeof(text));

    (void)state;
    tracks(pay);
    describe_write(&d, &w);
    wr_cstr(&w);
    assert_true(has(text, "\r\nt=3908988800 0\r\n"));
    assert_true(has(text, "a=range:clock=20231114T221320.250Z-\r\n"));
    assert_true(has(text, "a=control:track=video\r\n"));
    assert_true(has(text, "a=control:track=audio\r\n"));
    assert_true(has(text, "a=control:track=audio2\r\n"));
}

static void controls(void **state)
{
    static const struct {
        const char *text;
        int track;
    } rows[] = {{"trackID=0", 0}, {"trackid=3", 3}, {"trackID=2", -1}, {"trackID=4", -1}, {"trackID=", -1},
        {"trackID=-1", -1}, {"track=video", 0}, {"track=audio", 1}, {"track=audio2", 3}, {"track=audio3", -1},
        {"track=data", -1}, {"video", -1}, {"stream=0", -1}};
    const uint8_t kinds[TRACK_MAX] = {TRACK_VIDEO, TRACK_AUDIO, 0, TRACK_AUDIO};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_int_equal(describe_track(kinds, span_of(rows[i].text)), rows[i].track);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live),
        cmocka_unit_test(archive),
        cmocka_unit_test(controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
