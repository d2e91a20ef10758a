/* Recorded answers, descriptions, packets and fuzzers' crashers of others, where they are there: everything
 * parses without harm, and what they mean is what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/auth.h"
#include "common/proto/interleaved.h"
#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"
#include "common/proto/rtsp.h"
#include "common/proto/sdp.h"
#include "common/wire/url.h"
#include "tests/support/corpora.h"

static char DIR[512];

static void need(const char *name)
{
    if (corpora_dir(name, DIR, sizeof(DIR))) return;
    print_message("skipped: no corpora/%s\n", name);
    skip();
}

static struct sdp S;

/* One line for each media: "video H264/90000 pt 96 control=track1". */
static void describe(struct span body, char *dst, size_t cap)
{
    static const char *const kinds[] = {"other", "video", "audio", "data"};
    size_t n = 0;

    dst[0] = 0;
    if (!sdp_parse(body, &S)) return;
    for (size_t i = 0; i < S.n && n < cap; i++) {
        const struct sdp_media *m = &S.m[i];

        n += (size_t)snprintf(dst + n, cap - n, "%s%s", i ? " | " : "", kinds[m->kind]);
        for (size_t k = 0; k < m->n && n < cap; k++)
            n += (size_t)snprintf(dst + n, cap - n, " %u:%s/%u%s", m->f[k].pt, sdp_codec_name(m->f[k].codec),
                m->f[k].clock_hz, m->f[k].fmtp.n ? "+" : "");
        if (n < cap && m->back) n += (size_t)snprintf(dst + n, cap - n, " back");
        if (n < cap && m->control.p) n += (size_t)snprintf(dst + n, cap - n, " %.*s", SPAN_FMT(m->control));
    }
}

static const struct {
    const char *file, *want;
} MEANINGS[] = {
    {"ubiquiti_sdp.txt",
        "audio 96:MPEG4-GENERIC/48000+ trackID=0 | audio 96:OPUS/48000 trackID=1 | video 97:H264/90000+ "
        "trackID=2"},
    {"dahua_describe_h264_aac_onvif.txt",
        "video 96:H264/90000+ trackID=0 | audio 97:MPEG4-GENERIC/48000+ trackID=1 | data "
        "107:VND.ONVIF.METADATA/90000 trackID=4"},
    {"dahua_describe_h265_pcma.txt", "video 98:H265/90000+ trackID=0 | audio 8:PCMA/8000 trackID=1"},
    {"foscam_describe.txt", "video 96:H264/90000+ track1 | audio 0:PCMU/8000 track2"},
    {"vstarcam_describe.txt", "video 96:H264/90000+ track0 | audio 8:PCMA/8000 track1"},
    {"TestBugSDP3.sdp",
        "video 96:H264/90000+ track1 | audio 97:MPEG4-GENERIC/16000+ track2 | audio 8:PCMA/8000 back track3"},
    {"TestBugSDP5.sdp", "video 99:H264/90000+ trackID=1 | audio 127:MPEG4-GENERIC/8000+ trackID=2"},
    {"issue_gortsplib_271_Mercury_cameras.sdp",
        "video 96:H264/90000+ track1 | audio 8:PCMA/8000 track2 | other 95:other/90000 track3"},
    {"issue_gortsplib_85_FLIR_timing.sdp",
        "video 96:other/90000+ 97:other/90000+ 111:H264/90000+ 112:H264/90000+ 99:other/90000+ "
        "rtsp://172.16.2.20/sid=96&overlay=on"},
    {"onvif_specification.sdp",
        "video 26:JPEG/90000 rtsp://192.168.0.1/video | audio 0:PCMU/8000 rtsp://192.168.0.1/audio | audio "
        "0:PCMU/8000 back rtsp://192.168.0.1/audioback"},
    {"mediamtx-opus.sdp", NULL},
};

static void check_meaning(const char *path, struct span body)
{
    const char *name = strrchr(path, '/') + 1;
    char got[1024];

    describe(body, got, sizeof(got));
    for (size_t i = 0; i < ARRAY_N(MEANINGS); i++)
        if (MEANINGS[i].want && strcmp(MEANINGS[i].file, name) == 0)
            assert_string_equal(got, MEANINGS[i].want);
}

static void dialogue(const char *path, struct span data, void *arg)
{
    struct interleaved il;
    struct interleaved_event e;
    struct head h;
    size_t took;
    uint32_t cseq;

    (void)arg;
    if (!span_istarts(data, "RTSP/")) {
        check_meaning(path, data);
        return;
    }
    interleaved_init(&il);
    interleaved_next(&il, data, &took, &e);
    if (e.kind == INTERLEAVED_MORE && interleaved_in_body(&il)) {
        interleaved_flush(&il);
        interleaved_next(&il, data, &took, &e);
    }
    assert_int_equal(e.kind, INTERLEAVED_MESSAGE);
    assert_int_equal(head_parse(e.head, &h), 0);
    assert_int_equal(h.kind, HEAD_STATUS);
    assert_true(h.status == 200 || h.status == 401);
    assert_true(rtsp_cseq(&h, &cseq) && cseq > 0);
    if (!strstr(path, "describe")) return;
    assert_true(e.body.n > 0);
    assert_true(sdp_parse(e.body, &S));
    check_meaning(path, e.body);
}

static void dialogues(void **state)
{
    size_t n = 0;

    (void)state;
    need("rtsp-dialogues");
    n = corpora_each(DIR, ".txt", dialogue, NULL) + corpora_each(DIR, ".sdp", dialogue, NULL);
    assert_true(n >= 50);
}

static struct head head_of_file(const char *name, struct buf *b)
{
    char path[1024];
    struct head h;

    snprintf(path, sizeof(path), "%s/retina/%s", DIR, name);
    assert_true(corpora_read(path, b));
    assert_int_equal(head_parse(buf_span(b), &h), 0);
    return h;
}

static void fields_of_cameras(void **state)
{
    struct rtsp_session s;
    struct rtsp_transport t;
    struct rtsp_rtp_info r;
    struct auth_challenge c;
    struct span rest;
    struct head h;
    struct buf b;

    (void)state;
    need("rtsp-dialogues");
    buf_init(&b, 1 << 16);
    h = head_of_file("hikvision_setup.txt", &b);
    assert_true(rtsp_session(head_get(&h, "Session"), &s) && span_is(s.id, "708345999") && s.timeout_s == 60);
    assert_true(rtsp_transport(head_get(&h, "Transport"), &t) && t.tcp && t.ssrc == 0x4cacc3d1 &&
        span_is(t.mode, "play"));
    h = head_of_file("longse_unauthorized.txt", &b);
    assert_true(auth_pick(&h, true, &c) && strcmp(c.nonce, "98481030") == 0);
    h = head_of_file("reolink_play.txt", &b);
    rest = head_get(&h, "RTP-Info");
    assert_true(rtsp_rtp_info_next(&rest, &r) && r.seq == 16852 && r.rtptime == 1070938629);
    assert_true(
        rtsp_rtp_info_next(&rest, &r) && span_is(r.url, "trackID=2") && !rtsp_rtp_info_next(&rest, &r));
    h = head_of_file("hikvision_play.txt", &b);
    rest = head_get(&h, "RTP-Info");
    assert_true(rtsp_rtp_info_next(&rest, &r) && !rtsp_rtp_info_next(&rest, &r));
    h = head_of_file("dahua_options.txt", &b);
    assert_true(rtsp_methods(&h) & 1u << RTSP_PLAY);
    buf_done(&b);
}

static void requests(const char *path, struct span data, void *arg)
{
    struct interleaved il;
    struct head h;
    size_t n = 0;

    (void)path;
    interleaved_init(&il);
    while (data.n > 0) {
        struct interleaved_event e;
        size_t took;

        interleaved_next(&il, data, &took, &e);
        if (e.kind == INTERLEAVED_MORE) break;
        data = span_from(data, took);
        if (e.kind != INTERLEAVED_MESSAGE) continue;
        assert_int_equal(head_parse(e.head, &h), 0);
        assert_int_equal(h.kind, HEAD_REQUEST);
        assert_true(rtsp_method_of(h.method) != RTSP_UNKNOWN);
        n++;
    }
    assert_int_equal(il.searches, 0);
    assert_true(n >= 3);
    *(size_t *)arg += n;
}

static void requests_of_clients(void **state)
{
    size_t n = 0;

    (void)state;
    need("rtsp-server-requests");
    assert_int_equal(corpora_each(DIR, ".raw", requests, &n), 7);
    assert_true(n >= 25);
}

static void interleaved_capture(void **state)
{
    struct interleaved il;
    struct span data;
    struct buf b;
    size_t packets[4] = {0};
    uint16_t last[4] = {0};
    char path[1024];

    (void)state;
    need("rtp");
    snprintf(path, sizeof(path), "%s/bunny.rtsp", DIR);
    buf_init(&b, 1 << 20);
    assert_true(corpora_read(path, &b));
    interleaved_init(&il);
    for (uint8_t i = 0; i < 4; i++) interleaved_channel(&il, i);
    for (data = buf_span(&b); data.n > 0;) {
        struct interleaved_event e;
        struct rtp_packet p;
        size_t took;

        interleaved_next(&il, data, &took, &e);
        assert_int_equal(e.kind, INTERLEAVED_FRAME);
        data = span_from(data, took);
        if (e.channel % 2 == 1) continue;
        assert_int_equal(rtp_parse(e.data, &p), 0);
        if (packets[e.channel]++ > 0) assert_int_equal(rtp_seq_diff(p.seq, last[e.channel]), 1);
        last[e.channel] = p.seq;
    }
    assert_int_equal(il.searches, 0);
    assert_int_equal(il.frames, 371);
    assert_true(packets[0] > 0 && packets[2] > 0);
    buf_done(&b);
}

static void length_prefixed(const char *path, struct span data, void *arg)
{
    struct rd r = rd_of(data);
    struct rtp_packet p;

    (void)arg;
    if (strstr(path, "jpeg")) return;
    while (rd_left(&r) > 0) {
        struct span packet = rd_bytes(&r, rd_u16(&r));

        assert_true(rd_ok(&r));
        assert_int_equal(rtp_parse(packet, &p), 0);
    }
}

static void packets_of_others(void **state)
{
    (void)state;
    need("rtp");
    assert_true(corpora_each(DIR, ".rtp", length_prefixed, NULL) >= 5);
}

/* Whatever the crasher was made for, every parser of ours reads it. */
static void crasher(const char *path, struct span data, void *arg)
{
    static struct sdp sdp;
    struct interleaved il;
    struct interleaved_event e;
    struct rtsp_transport t;
    struct rtsp_session s;
    struct rtsp_rtp_info ri;
    struct rtsp_range range;
    struct auth_challenge c;
    struct auth_given g;
    struct rtp_packet p;
    struct rtcp_packet rtcp;
    unsigned bad = 0;
    struct url u;
    struct head h;
    struct span rest;
    size_t took;
    char masked[256];

    (void)path;
    (void)arg;
    sdp_parse(data, &sdp);
    head_parse(data, &h);
    rtsp_session(data, &s);
    rtsp_range(data, &range);
    auth_given(data, &g);
    rtp_parse(data, &p);
    url_parse(data, &u);
    url_masked(data, masked, sizeof(masked));
    for (rest = data; rtsp_transport_next(&rest, &t);) continue;
    for (rest = data; rtsp_rtp_info_next(&rest, &ri);) continue;
    for (rest = data; auth_challenge_next(&rest, &c);) continue;
    for (rest = data; rtcp_next(&rest, &rtcp, &bad);) continue;
    interleaved_init(&il);
    for (rest = data; rest.n > 0; rest = span_from(rest, took)) {
        interleaved_next(&il, rest, &took, &e);
        if (took == 0) break;
    }
}

static void crashers(void **state)
{
    (void)state;
    need("fuzz");
    assert_true(corpora_each(DIR, "__Fuzz", crasher, NULL) >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(fields_of_cameras),
        cmocka_unit_test(requests_of_clients),
        cmocka_unit_test(interleaved_capture),
        cmocka_unit_test(packets_of_others),
        cmocka_unit_test(crashers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
