/* Captured RTP through the whole chain that the worker makes of these parts: order, depacketiser, timeline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/media/timeline.h"
#include "common/proto/rtp.h"
#include "common/wire/hex.h"
#include "tests/support/corpora.h"
#include "worker/depay.h"
#include "worker/rtp_order.h"

#define PACKETS_MAX 1024

struct chain {
    struct rtp_order *order;
    struct depay *depay;
    struct timeline *time;
    unsigned track;
    bool new_run;
    unsigned units, keys, damaged, repaired;
    int64_t first, last;
    size_t bytes;
    uint64_t hash;
};

static void on_unit(void *arg, const struct depay_unit *u)
{
    struct chain *c = arg;
    struct timeline_in in = {.track = c->track,
        .timestamp = u->timestamp,
        .offset = u->offset,
        .dur = u->dur,
        .reorder = u->reorder,
        .backward = u->backward,
        .new_run = c->new_run,
        .mono_us = u->mono_us,
        .wall_us = u->wall_us};
    struct timeline_out out;

    timeline_unit(c->time, &in, &out);
    c->new_run = false;
    if (c->units == 0)
        c->first = out.dts;
    else
        assert_true(out.dts > c->last);
    assert_true(out.cts >= 0);
    c->last = out.dts;
    c->units++;
    c->keys += (u->flags & FRAME_KEY) != 0;
    c->damaged += (u->flags & FRAME_DAMAGED) != 0;
    c->repaired += (out.flags & FRAME_REPAIRED) != 0;
    c->bytes += u->bytes;
    for (size_t i = 0; i < u->pieces_n; i++)
        for (size_t k = 0; k < u->pieces[i].s.n; k++)
            c->hash = (c->hash ^ u->pieces[i].s.p[k]) * 0x100000001b3u;
}

static void on_packet(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run)
{
    struct chain *c = arg;
    struct depay_packet d = {.payload = p->payload,
        .timestamp = p->timestamp,
        .marker = p->marker,
        .lost = lost,
        .mono_us = p->mono_us,
        .wall_us = p->wall_us};

    if (new_run) {
        depay_reset(c->depay);
        c->new_run = true;
    }
    depay_feed(c->depay, &d);
    depay_detach(c->depay);
}

static void start(
    struct chain *c, struct timeline *time, unsigned track, const struct depay_media *m, uint8_t pt)
{
    struct rtp_order_config conf = {.pts = {pt}, .pts_n = 1, .clock_hz = m->clock_hz, .hold = true};
    struct rtp_order_out order_out = {on_packet, c};
    struct depay_out depay_out = {on_unit, NULL, c};

    *c = (struct chain){.time = time, .track = track};
    timeline_track(time, track, codec_kind(m->codec), m->clock_hz);
    c->order = rtp_order_new(&conf, &order_out);
    assert_int_equal(depay_new(m, &depay_out, &c->depay), DEPAY_OK);
}

static void stop(struct chain *c)
{
    rtp_order_free(c->order);
    depay_free(c->depay);
}

static void feed(struct chain *c, struct span bytes, usec_t mono_us)
{
    struct rtp_packet p;
    struct rtp_order_packet o;

    assert_int_equal(rtp_parse(bytes, &p), 0);
    o = (struct rtp_order_packet){.payload = p.payload,
        .ssrc = p.ssrc,
        .timestamp = p.ts,
        .seq = p.seq,
        .pt = p.pt,
        .marker = p.marker,
        .mono_us = mono_us,
        .wall_us = mono_us + 1700000000 * US_PER_S};
    rtp_order_feed(c->order, &o);
}

static void finish(struct chain *c)
{
    rtp_order_flush(c->order);
    depay_flush(c->depay);
}

static void load(const char *name, struct buf *b)
{
    char dir[200], path[256];

    if (!corpora_dir("rtp", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(b, 1 << 20);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_true(corpora_read(path, b));
}

/* Packets one behind the other, each with its length as u16 before it; `head` bytes before the length. */
static size_t split(struct span all, size_t head, struct span *ret, uint8_t *ret_channel)
{
    struct rd r = rd_of(all);
    size_t n = 0;

    while (rd_left(&r) > head && n < PACKETS_MAX) {
        struct span before = rd_bytes(&r, head);

        ret_channel[n] = head > 1 ? before.p[1] : 0;
        ret[n++] = rd_bytes(&r, rd_u16(&r));
    }
    assert_true(rd_ok(&r));
    return n;
}

/* A minute of Big Buck Bunny from a Wowza server: H.264 on channel 2, AAC on channel 0. shuffle: each two
 * packets of a track change places, as over UDP. */
static void bunny(bool shuffle, struct chain *video, struct chain *audio)
{
    static struct span packets[PACKETS_MAX];
    static uint8_t channel[PACKETS_MAX];
    struct depay_media speech = {.codec = CODEC_AAC,
        .clock_hz = 12000,
        .fmtp = span_of("mode=AAC-hbr;config=1490;sizelength=13;indexlength=3")};
    struct timeline *time = timeline_new();
    struct buf b;
    size_t n;

    load("bunny.rtsp", &b);
    n = split(buf_span(&b), 2, packets, channel);
    assert_int_equal(n, 371);
    start(video, time, 0, &(struct depay_media){.codec = CODEC_H264, .clock_hz = 90000}, 97);
    start(audio, time, 1, &speech, 96);
    for (size_t i = 0; i < n; i++) {
        size_t k = i;

        /* The very first packet of a track begins its run. */
        if (shuffle && i > 20 && i + 1 < n && channel[i & ~(size_t)1] == channel[i | 1]) k = i ^ 1;
        feed(channel[k] == 2 ? video : audio, packets[k], (usec_t)i * 20000);
    }
    finish(video);
    finish(audio);
    assert_int_equal(timeline_counters(time)->jumps, 0);
    timeline_free(time);
    buf_done(&b);
}

static void test_bunny(void **state)
{
    struct chain video, audio, video_2, audio_2;

    (void)state;
    bunny(false, &video, &audio);
    print_message(
        "video %u units, %u keys, %zu bytes; audio %u\n", video.units, video.keys, video.bytes, audio.units);
    assert_true(video.units > 200 && video.keys >= 2);
    assert_int_equal(video.damaged, 0);
    assert_int_equal(audio.units, 120);
    assert_int_equal(audio.bytes, 44290);
    assert_int_equal(audio.last - audio.first, 119 * 1024);
    assert_int_equal(rtp_order_counters(video.order)->lost, 0);
    bunny(true, &video_2, &audio_2);
    assert_true(rtp_order_counters(video_2.order)->reordered > 50);
    assert_int_equal(video_2.units, video.units);
    assert_int_equal(video_2.bytes, video.bytes);
    assert_true(video_2.hash == video.hash && audio_2.hash == audio.hash);
    stop(&video);
    stop(&audio);
    stop(&video_2);
    stop(&audio_2);
}

/* Media3's dump: packets as hexadecimal text, aggregated and fragmented access units of 5.1 AAC. */
static void test_aac_dump(void **state)
{
    struct depay_media media = {.codec = CODEC_AAC,
        .clock_hz = 48000,
        .fmtp = span_of("mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=11B056E500")};
    struct timeline *time = timeline_new();
    struct chain c;
    struct buf b;
    struct span rest, word;
    uint8_t mem[2048];
    unsigned n = 0;

    (void)state;
    load("aac-dump.json", &b);
    start(&c, time, 0, &media, 97);
    rest = buf_span(&b);
    while (span_split(&rest, '"', &word)) {
        struct wr w = wr_of(mem, sizeof mem);

        if (word.n < 40 || !span_starts(word, SPAN_LIT("80")) || !corpora_hex(word, &w)) continue;
        feed(&c, wr_span(&w), n++ * 30000);
    }
    finish(&c);
    print_message("%u packets, %u units, %zu bytes\n", n, c.units, c.bytes);
    assert_int_equal(n, 290);
    assert_int_equal(c.units, 283);
    assert_int_equal(c.bytes, 142956);
    assert_int_equal(depay_counters(c.depay)->bad, 0);
    assert_int_equal(c.last - c.first, (int64_t)(c.units - 1) * 1024);
    stop(&c);
    timeline_free(time);
    buf_done(&b);
}

/* GStreamer's two short captures: parameter sets alone, then one key frame. */
static void test_gst(void **state)
{
    static const struct {
        const char *file;
        enum codec codec;
        unsigned packets;
    } rows[] = {{"h264.rtp", CODEC_H264, 5}, {"h265.rtp", CODEC_H265, 4}};
    static struct span packets[PACKETS_MAX];
    static uint8_t channel[PACKETS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct timeline *time = timeline_new();
        struct chain c;
        struct buf b;
        struct track t;
        size_t n;

        load(rows[i].file, &b);
        n = split(buf_span(&b), 0, packets, channel);
        assert_int_equal(n, rows[i].packets);
        start(&c, time, 0, &(struct depay_media){.codec = rows[i].codec, .clock_hz = 90000}, 96);
        for (size_t k = 0; k < n; k++) feed(&c, packets[k], 0);
        finish(&c);
        assert_int_equal(c.units, 1);
        assert_int_equal(c.keys, 1);
        assert_true(depay_track(c.depay, &t));
        print_message("%s: %ux%u\n", rows[i].file, t.width, t.height);
        assert_true(t.width > 0);
        stop(&c);
        timeline_free(time);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bunny),
        cmocka_unit_test(test_aac_dump),
        cmocka_unit_test(test_gst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
