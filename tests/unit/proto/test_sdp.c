/* common/proto/sdp: cameras' descriptions by the rows S1 to S19. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/sdp.h"

static struct sdp S;

static void parse(const char *text)
{
    assert_true(sdp_parse(span_of(text), &S));
}

/* S1, S2, S3, S4; S15: a=framerate and the like are not looked at */
static void only_some_lines_matter(void **state)
{
    (void)state;
    parse("\n\n x\na=control:*\r\r\nm=video 0 RTP/AVP 96\r\ns=twice\ns=x\nt=now-\nr=0 0\no= \xff\n\n"
          "a=rtpmap:96 H264/90000\na=framerate:0S\na=x-framerate: "
          "5\na=x-dimensions:a,b\na=control:track1\nc=IN c=IN IP4 0.0.0.0\nb=AS:512\nm=audio 0 RTP/AVP 0");
    assert_int_equal(S.n, 2);
    assert_true(span_is(S.control, "*"));
    assert_int_equal(S.m[0].kind, SDP_VIDEO);
    assert_int_equal(S.m[0].f[0].codec, SDP_H264);
    assert_true(span_is(S.m[0].control, "track1"));
    assert_int_equal(S.m[1].f[0].codec, SDP_PCMU);
    assert_null(S.m[1].control.p); /* P3 */
    assert_false(sdp_parse(SPAN_LIT("v=0\r\no=-\r\n"), &S));
    assert_false(sdp_parse(SPAN_NONE, &S));
    assert_true(sdp_parse(SPAN_LIT("m="), &S));
    assert_int_equal(S.m[0].n, 0);
}

/* S5, S7, S17, S18, S19 */
static void codecs_and_clocks(void **state)
{
    static const struct {
        const char *media, *rtpmap;
        enum sdp_codec codec;
        uint32_t hz;
        unsigned channels;
    } rows[] = {
        {"video 0 RTP/AVP 96", "96 H264/90000", SDP_H264, 90000, 1},
        {"video 0 RTP/AVP 96", " 96  h264 / 90000 ", SDP_H264, 90000, 1},
        {"video 0 RTP/AVP 96", "96 hevc", SDP_H265, 90000, 1},
        {"video 0 RTP/AVP 96", "96 H265/0", SDP_H265, 90000, 1},
        {"video 0 RTP/AVP 96", "96 H265/99999999999", SDP_H265, 90000, 1},
        {"video\t0 RTP/AVP\t26 ", NULL, SDP_MJPEG, 90000, 1},
        {"audio 0 RTP/AVP 8\t ", NULL, SDP_PCMA, 8000, 1}, /* VStarcam */
        {"audio 0 RTP/AVP 8", "8 PCMA/8000/1", SDP_PCMA, 8000, 1},
        {"audio 0 RTP/AVP 0", "0 MPEG4-GENERIC/16000/2", SDP_MPEG4_GENERIC, 16000, 2},
        {"audio 0 RTP/AVP 8", "8 PCMU/8000", SDP_PCMU, 8000, 1},
        {"audio 0 RTP/AVP 11", "11 PCM/48000", SDP_CODEC_OTHER, 48000, 1}, /* Hikvision */
        {"audio 0 RTP/AVP 97", "97 mpeg4-generic/48000", SDP_MPEG4_GENERIC, 48000, 1},
        {"audio 0 RTP/AVP 97", "97 opus/16000", SDP_OPUS, 48000, 1},
        {"audio 0 RTP/AVP 97", "97 G726-32/8000", SDP_G726, 8000, 1},
        {"audio 0 RTP/AVP 97", "97 PCMA/0/0", SDP_PCMA, 8000, 1},
        {"audio 0 RTP/AVP 97", NULL, SDP_CODEC_OTHER, 8000, 1},
        {"application 0 RTP/AVP 107", "107 vnd.onvif.metadata/90000", SDP_ONVIF_METADATA, 90000, 1},
        {"application 0 RTP/AVP 107", "107 VND.ONVIF.METADATA.EXI.EXT/90000", SDP_ONVIF_METADATA, 90000, 1},
        {"application 0 RTP/AVP 107", "107 vnd.onvif.metadata+gzip/90000/500", SDP_ONVIF_METADATA, 90000,
            255},
        {"metadata 0 RTP/AVP 98", "98 METADATA/90000", SDP_ONVIF_METADATA, 90000, 1},
        {"application 0 RTP/AVP 98", "98 /90000/500", SDP_ONVIF_METADATA, 90000, 1},
        {"video 0 RTP/AVP 96", "96 META /0", SDP_CODEC_OTHER, 90000, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[256];
        const struct sdp_format *f = &S.m[0].f[0];

        snprintf(text, sizeof(text), rows[i].rtpmap ? "m=%s\r\na=rtpmap:%s\r\n" : "m=%s\r\n", rows[i].media,
            rows[i].rtpmap);
        parse(text);
        assert_int_equal(S.m[0].n, 1);
        assert_int_equal(f->codec, rows[i].codec);
        assert_int_equal(f->clock_hz, rows[i].hz);
        if (rows[i].channels != 255) assert_int_equal(f->channels, rows[i].channels);
    }
}

/* S7: GW Security names one payload type in m= and another in rtpmap. */
static void rtpmap_of_another_type_is_kept(void **state)
{
    (void)state;
    parse("m=audio 0 RTP/AVP 8\r\na=rtpmap:0 pcma/8000/1\r\n");
    assert_int_equal(S.m[0].n, 2);
    assert_int_equal(S.m[0].f[0].pt, 8);
    assert_int_equal(S.m[0].f[0].codec, SDP_PCMA);
    assert_int_equal(S.m[0].f[1].pt, 0);
    assert_int_equal(S.m[0].f[1].codec, SDP_PCMA);
}

/* S6 */
static void fmtp_anywhere(void **state)
{
    (void)state;
    parse("m=video 0 RTP/AVP 96\r\na=fmtp:96 a=1\r\na=rtpmap:96 H264/90000\r\n"
          "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/8000\r\na=fmtp:97\r\na=fmtp:97 b=2;\r\n");
    assert_true(span_is(S.m[0].f[0].fmtp, "a=1"));
    assert_true(span_is(S.m[1].f[0].fmtp, "b=2;"));
    /* of the video in the audio's section */
    parse("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 8\r\na=fmtp:96 x=1\r\n");
    assert_true(span_is(S.m[0].f[0].fmtp, "x=1"));
    assert_int_equal(S.m[1].f[0].fmtp.n, 0);
    /* before any media */
    parse("a=fmtp:96 x=2\r\nm=video 0 RTP/AVP 96\r\n");
    assert_true(span_is(S.m[0].f[0].fmtp, "x=2"));
    /* Ubiquiti: the same type in two medias (S11) */
    parse("m=audio 0 RTP/AVP 96\r\na=fmtp:96 one=1\r\nm=audio 0 RTP/AVP 96\r\na=fmtp:96\r\n");
    assert_true(span_is(S.m[0].f[0].fmtp, "one=1"));
    assert_int_equal(S.m[1].f[0].fmtp.n, 0);
}

static void fmtp_keys(void **state)
{
    struct span f = SPAN_LIT(
                    "streamtype=5; ;SizeLength = 13;config=1188;x;sprop-parameter-sets=Zw==,aO4=;q=\"v\";"),
                k, v;
    size_t n = 0;

    (void)state;
    assert_int_equal(sdp_fmtp_u32(f, "sizelength", 0), 13);
    assert_int_equal(sdp_fmtp_u32(f, "indexlength", 3), 3);
    assert_int_equal(sdp_fmtp_u32(f, "sprop-parameter-sets", 7), 7);
    assert_true(span_is(sdp_fmtp(f, "CONFIG"), "1188"));
    assert_true(span_is(sdp_fmtp(f, "sprop-parameter-sets"), "Zw==,aO4="));
    assert_true(span_is(sdp_fmtp(f, "q"), "v"));
    assert_non_null(sdp_fmtp(f, "x").p);
    assert_null(sdp_fmtp(f, "y").p);
    while (sdp_fmtp_next(&f, &k, &v)) n++;
    assert_int_equal(n, 6);
}

/* S10 */
static void foreign_medias_do_not_harm(void **state)
{
    (void)state;
    parse("m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=rtpmap:95 TP-LINK/90000\r\na=control:track3\r\n"
          "m=vana 0 RTP/AVP 99\r\nm=meta\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n");
    assert_int_equal(S.n, 4);
    assert_int_equal(S.m[0].kind, SDP_OTHER);
    assert_int_equal(S.m[3].f[0].codec, SDP_H264);
}

/* S16 */
static void directions(void **state)
{
    (void)state;
    parse("m=video 0 RTP/AVP 96\r\na=sendonly\r\nm=audio 0 RTP/AVP 8\r\na=sendonly\r\n");
    assert_false(S.m[0].back || S.m[1].back);
    parse(
        "a=recvonly\r\nm=video 0 RTP/AVP 96\r\nm=audio 0 RTP/AVP 8\r\nm=audio 0 RTP/AVP 0\r\na=SendOnly\r\n");
    assert_int_equal(S.m[0].direction, SDP_RECVONLY);
    assert_true(!S.m[0].back && !S.m[1].back && S.m[2].back);
    parse("m=video 0 RTP/AVP 96\r\na=sendonly\r\nm=audio 0 RTP/AVP 8\r\n");
    assert_false(S.m[0].back || S.m[1].back);
}

static void limits(void **state)
{
    char text[4096];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < SDP_MEDIA_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "m=video 0 RTP/AVP 96\r\na=control:t%d\r\n", i);
    parse(text);
    assert_int_equal(S.n, SDP_MEDIA_MAX);
    snprintf(text + n, sizeof(text) - n,
        "m=audio 0 RTP/AVP 97\r\na=control:x\r\na=rtpmap:96 H265/90000\r\na=fmtp:97 z=1\r\n");
    parse(text);
    assert_int_equal(S.n, SDP_MEDIA_MAX);
    assert_true(span_is(S.m[SDP_MEDIA_MAX - 1].control, "t15"));
    assert_int_equal(S.m[SDP_MEDIA_MAX - 1].f[0].codec, SDP_CODEC_OTHER);
    parse("m=video 0 RTP/AVP 96 97 98 99 100 101 102 103 104 128 -1 96\r\n");
    assert_int_equal(S.m[0].n, SDP_FORMATS_MAX);
}

/* S13 */
static void parameter_sets(void **state)
{
    struct span rest = SPAN_LIT("AAAAAWdCAQ==, !bad!,aO4AAAAA,AAAB,Z0IAAAAB"), nal;
    uint8_t mem[64];

    (void)state;
    assert_true(sdp_sprop_next(&rest, mem, sizeof(mem), &nal));
    assert_true(span_eq(nal, SPAN_LIT("\x67\x42\x01")));
    assert_true(sdp_sprop_next(&rest, mem, sizeof(mem), &nal));
    assert_true(span_eq(nal, SPAN_LIT("\x68\xee")));
    assert_true(
        sdp_sprop_next(&rest, mem, sizeof(mem), &nal)); /* a start code at the end; one alone is nothing */
    assert_true(span_eq(nal, SPAN_LIT("\x67\x42")));
    assert_false(sdp_sprop_next(&rest, mem, sizeof(mem), &nal));
    rest = SPAN_LIT("Z0IAAAAB");
    assert_false(sdp_sprop_next(&rest, mem, 3, &nal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_some_lines_matter),
        cmocka_unit_test(codecs_and_clocks),
        cmocka_unit_test(rtpmap_of_another_type_is_kept),
        cmocka_unit_test(fmtp_anywhere),
        cmocka_unit_test(fmtp_keys),
        cmocka_unit_test(foreign_medias_do_not_harm),
        cmocka_unit_test(directions),
        cmocka_unit_test(limits),
        cmocka_unit_test(parameter_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
