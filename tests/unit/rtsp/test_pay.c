/* Frames to packets and back through the worker's depacketisers: the same bytes, the same times. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/proto/rtp.h"
#include "httpd/rtsp/describe.h"
#include "tests/support/depay_help.h"
#include "tests/support/media_file.h"
#include "tests/support/tool.h"

#define FOOTAGE_S 3

static char dir[64];

static int start(void **state)
{
    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tool_rmdir(dir);
    return 0;
}

/* Packs a frame, checks the packets' heads, and feeds them. The number of packets. */
static unsigned through(struct pay *p, const struct frame *f, struct depay_help *h)
{
    size_t n = pay_size(p, f, NULL);
    CLEANUP(mem_freep) uint8_t *mem = mem_new(n + 1);
    struct wr w = wr_of(mem, n);
    uint32_t ts = pay_ts(p, f->dts + f->cts);
    uint16_t seq = p->seq;
    struct span rest, packet;
    unsigned packets = 0;

    pay_write(p, f, ts, NULL, &w);
    assert_true(wr_ok(&w) && w.n == n);
    for (rest = wr_span(&w); pay_next(&rest, &packet); packets++) {
        struct rtp_packet r;

        assert_int_equal(rtp_parse(packet, &r), 0);
        assert_int_equal(r.seq, (uint16_t)(seq + packets));
        assert_int_equal(r.ssrc, p->ssrc);
        assert_int_equal(r.pt, p->pt);
        assert_true(packet.n <= PAY_PACKET_MAX);
        depay_help_feed(h, r.payload, r.ts, r.marker, false);
    }
    assert_int_equal(rest.n, 0);
    return packets;
}

static void fmtp_of(const struct pay *p, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);

    pay_fmtp(p, &w);
    assert_true(wr_ok(&w));
    wr_cstr(&w);
}

/* All frames of a track of a file that ffmpeg made. */
static void round_trip(const char *video, const char *audio, enum codec codec)
{
    char path[128], fmtp[4096];
    struct media_file file;
    struct depay_help h;
    struct pay p;
    unsigned track = 0, units = 0, packets = 0;

    snprintf(path, sizeof(path), "%s/%s.mp4", dir, video);
    if (!media_file_make(path, video, audio, FOOTAGE_S) || media_file_load(path, &file) != 0) {
        print_message("skipped: no ffmpeg with %s\n", video);
        skip();
    }
    while (track < file.movie.tracks.n && file.movie.tracks.t[track].codec != codec) track++;
    assert_true(track < file.movie.tracks.n);
    assert_true(pay_init(&p, &file.movie.tracks.t[track], track, 0x12345678));
    fmtp_of(&p, fmtp, sizeof(fmtp));
    depay_help_init(&h, codec, p.hz, fmtp);
    for (size_t i = 0; i < file.n; i++) {
        struct frame f = media_file_frame(&file, i, 0);

        if (f.track != track) continue;
        f.data = media_file_data(&file, i);
        packets += through(&p, &f, &h);
    }
    depay_flush(h.d);
    for (size_t i = 0; i < file.n; i++) {
        struct frame f = media_file_frame(&file, i, 0);
        struct span data = media_file_data(&file, i), got;

        if (f.track != track) continue;
        assert_true(units < h.n);
        got = depay_help_bytes(&h, units);
        assert_int_equal(got.n, data.n);
        assert_memory_equal(got.p, data.p, data.n);
        assert_int_equal(h.u[units].timestamp + h.u[units].offset, pay_ts(&p, f.dts + f.cts));
        units++;
    }
    assert_int_equal(units, h.n);
    assert_int_equal(packets, p.packets);
    assert_int_equal(depay_counters(h.d)->bad + depay_counters(h.d)->damaged, 0);
    depay_help_done(&h);
    media_file_done(&file);
}

static void h264(void **state)
{
    (void)state;
    round_trip("libx264", NULL, CODEC_H264);
}

static void h265(void **state)
{
    (void)state;
    round_trip("libx265", NULL, CODEC_H265);
}

static void aac(void **state)
{
    (void)state;
    round_trip("libx264", "aac", CODEC_AAC);
}

static void opus(void **state)
{
    (void)state;
    round_trip("libx264", "libopus", CODEC_OPUS);
}

/* A frame of n bytes that follow from their place. */
static struct frame made(uint8_t *mem, size_t n)
{
    for (size_t i = 0; i < n; i++) mem[i] = (uint8_t)(i * 7 + i / 251);
    return (struct frame){.flags = FRAME_KEY, .data = span(mem, n)};
}

static void g711_in_pieces(void **state)
{
    static uint8_t mem[5000];
    struct track t = {.codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000, .channels = 1};
    struct frame f = made(mem, sizeof(mem));
    struct depay_help h;
    size_t sum = 0;
    struct pay p;

    (void)state;
    assert_true(pay_init(&p, &t, 1, 99));
    assert_int_equal(p.pt, 8);
    assert_int_equal(p.channel, 2);
    depay_help_init(&h, CODEC_PCMA, 8000, NULL);
    assert_int_equal(through(&p, &f, &h), 4);
    for (unsigned i = 0; i < h.n; i++) { /* each piece at the time of its first sample */
        assert_int_equal(h.u[i].timestamp, pay_ts(&p, (int64_t)sum));
        sum += h.u[i].n;
    }
    assert_int_equal(sum, sizeof(mem));
    assert_memory_equal(buf_span(&h.bytes).p, mem, sizeof(mem));
    depay_help_done(&h);
    t.channels = 2;
    assert_true(pay_init(&p, &t, 1, 99));
    assert_int_equal(p.pt, 97); /* PCMA/8000/2 has no number of its own */
}

static void documents(void **state)
{
    static uint8_t mem[PAY_PACKET_MAX * 3];
    struct track t = {.codec = CODEC_ONVIF, .kind = TRACK_DATA, .clock_hz = 90000};
    struct depay_help h;
    struct pay p;

    (void)state;
    assert_true(pay_init(&p, &t, 2, 99));
    depay_help_init(&h, CODEC_ONVIF, 90000, NULL);
    for (size_t n = 1; n < sizeof(mem); n = n * 2 + 13) {
        struct frame f = made(mem, n);

        f.dts = (int64_t)n;
        through(&p, &f, &h);
        assert_int_equal(h.u[h.n - 1].n, n);
        assert_memory_equal(depay_help_bytes(&h, h.n - 1).p, mem, n);
    }
    depay_help_done(&h);
}

/* One access unit of AAC that no packet holds, the largest there is, and one above it. */
static void long_sound(void **state)
{
    static const size_t sizes[] = {1384, 1385, 4000, 8191};
    static uint8_t mem[8192];
    struct track t = {.codec = CODEC_AAC, .kind = TRACK_AUDIO, .clock_hz = 16000, .channels = 1};
    struct depay_help h;
    struct frame f;
    struct pay p;

    (void)state;
    t.config_n = 2;
    t.config[0] = 0x14;
    t.config[1] = 0x08;
    assert_true(pay_init(&p, &t, 0, 1));
    depay_help_init(
        &h, CODEC_AAC, 16000, "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408");
    for (size_t i = 0; i < ARRAY_N(sizes); i++) {
        f = made(mem, sizes[i]);
        f.dts = (int64_t)i * 1024;
        through(&p, &f, &h);
        assert_int_equal(h.n, i + 1);
        assert_int_equal(h.u[i].n, sizes[i]);
        assert_memory_equal(depay_help_bytes(&h, (unsigned)i).p, mem, sizes[i]);
    }
    f = made(mem, sizeof(mem));
    assert_int_equal(pay_size(&p, &f, NULL), 0);
    depay_help_done(&h);
}

/* Lengths of NAL units that do not fit their frame, and configurations that are cut, cost only what is
 * broken.
 */
static void broken_frames(void **state)
{
    static const uint8_t frame[] = {0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 99, 0x65, 1};
    struct track t = {.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    struct frame f = {.flags = FRAME_KEY, .data = span(frame, sizeof(frame))};
    struct pay p;

    (void)state;
    t.config[5] = 0xe3; /* three sets, of which nothing is there */
    t.config_n = 6;
    assert_true(pay_init(&p, &t, 0, 1));
    assert_int_equal(pay_size(&p, &f, NULL), PAY_FRAMING + RTP_HEADER_MIN + 3);
    f.data.n = 4;
    assert_int_equal(pay_size(&p, &f, NULL), 0);
    t.codec = CODEC_NONE;
    assert_false(pay_init(&p, &t, 0, 1));
}

static void replay_extension(void **state)
{
    static const uint8_t frame[] = {0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 2, 0x65, 1};
    struct track t = {.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    struct frame f = {.data = span(frame, sizeof(frame)), .wall_us = 1700000000123456};
    struct pay_replay replay = {.clean = true, .discont = true, .cseq = 77};
    uint8_t mem[256];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span rest, packet;
    struct rtp_packet r;
    struct pay p;
    int64_t wall_us;

    (void)state;
    assert_true(pay_init(&p, &t, 0, 1));
    pay_write(&p, &f, 5, &replay, &w);
    assert_int_equal(w.n, pay_size(&p, &f, &replay));
    rest = wr_span(&w);
    assert_true(pay_next(&rest, &packet));
    assert_int_equal(rtp_parse(packet, &r), 0);
    assert_true(rtp_onvif_time(&r, &wall_us));
    assert_int_equal(wall_us, f.wall_us);
    assert_int_equal(r.ext.n, 12);
    assert_int_equal(r.ext.p[8], 0xa0);
    assert_int_equal(r.ext.p[9], 77);
    assert_int_equal(r.payload.n, 3);
    assert_true(pay_next(&rest, &packet)); /* it stands in the first packet of a frame */
    assert_int_equal(rtp_parse(packet, &r), 0);
    assert_false(r.has_ext);
    assert_true(r.marker);
    assert_false(pay_next(&rest, &packet));
    pay_rechannel(mem, w.n, 9);
    assert_int_equal(mem[1], 9);
    assert_int_equal(mem[w.n - packet.n - 2 - 12 - 3], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h264),
        cmocka_unit_test(h265),
        cmocka_unit_test(aac),
        cmocka_unit_test(opus),
        cmocka_unit_test(g711_in_pieces),
        cmocka_unit_test(documents),
        cmocka_unit_test(long_sound),
        cmocka_unit_test(broken_frames),
        cmocka_unit_test(replay_extension),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
