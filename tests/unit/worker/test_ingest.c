/* From packets to frames in a real ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"
#include "tests/support/ring_help.h"
#include "worker/ingest.h"

#define WALL_US  (INT64_C(1700000000) * US_PER_S)
#define FRAME_US (40 * US_PER_MS)
#define VIDEO    0
#define AUDIO    1

static const struct ring_geom SMALL = {RING_DATA_MIN, 512};
/* 320x240 baseline, POC type 2. */
static const uint8_t sps[] = {0x67, 0x42, 0xc0, 0x1e, 0xda, 0x05, 0x07, 0xe4};
static const uint8_t pps[] = {0x68, 0xce, 0x3c, 0x80};

struct bench {
    struct ingest *in;
    struct ring_writer *w;
    struct ring_reader *r;
    struct buf buf;
    int fd;
    usec_t now_us;
    uint16_t seq[2];
    uint32_t ts[2];
    uint32_t invalid;
    unsigned reports;
    struct rtcp_packet report;
};

static void on_rtcp(void *arg, uint8_t track, struct span compound)
{
    struct bench *b = arg;
    unsigned bad = 0;

    (void)track;
    assert_true(rtcp_next(&compound, &b->report, &bad));
    b->reports++;
}

static void on_invalid(void *arg, uint32_t packets)
{
    struct bench *b = arg;

    assert_int_equal(b->invalid, 0);
    b->invalid = packets;
}

static int setup(void **state)
{
    struct bench *b = mem_new(sizeof(*b));
    struct ingest_ops ops = {.rtcp = on_rtcp, .invalid = on_invalid, .arg = b};

    b->fd = ring_help_create(1, SMALL);
    assert_int_equal(ring_writer_open(b->fd, &b->w), 0);
    assert_int_equal(ring_reader_open(b->fd, &b->r), 0);
    buf_init(&b->buf, RING_DATA_MIN);
    b->in = ingest_new(&ops);
    ingest_invalid_after(b->in, 5);
    ingest_ring(b->in, b->w);
    b->now_us = 1000 * US_PER_S;
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    ingest_free(b->in);
    ring_reader_close(b->r);
    ring_writer_close(b->w);
    buf_done(&b->buf);
    fd_close(&b->fd);
    mem_free(b);
    return 0;
}

static void pass(struct bench *b, usec_t us)
{
    b->now_us += us;
    ingest_now(b->in, b->now_us, WALL_US + b->now_us);
}

/* One H.264 track, with parameter sets in the description or not, and perhaps one of G.711. */
static void begin(struct bench *b, const char *fmtp, bool audio)
{
    struct rtsp_track tracks[] = {
        {.kind = TRACK_VIDEO,
            .codec = CODEC_H264,
            .wanted = true,
            .pt = 96,
            .clock_hz = 90000,
            .fmtp = span_of(fmtp)},
        {.kind = TRACK_AUDIO, .codec = CODEC_PCMA, .wanted = true, .pt = 8, .clock_hz = 8000, .channels = 1},
    };

    pass(b, 0);
    ingest_tracks(b->in, tracks, audio ? 2 : 1, b->now_us);
}

static void packet_as(struct bench *b, unsigned track, uint8_t pt, bool marker, struct span payload)
{
    struct rtp_packet p = {
        .marker = marker, .pt = pt, .seq = b->seq[track]++, .ts = b->ts[track], .ssrc = 77 + track};
    uint8_t *bytes = mem_new(RTP_HEADER_MIN + payload.n);

    rtp_write_header(bytes, &p);
    memcpy(bytes + RTP_HEADER_MIN, payload.p, payload.n);
    ingest_packet(b->in, (uint8_t)track, false, span(bytes, RTP_HEADER_MIN + payload.n));
    ingest_detach(b->in);
    mem_free(bytes);
}

static void packet(struct bench *b, unsigned track, bool marker, struct span payload)
{
    packet_as(b, track, track == VIDEO ? 96 : 8, marker, payload);
}

static void picture(struct bench *b, bool key, size_t n)
{
    uint8_t *nal = mem_new(n);

    memset(nal, 0x55, n);
    memcpy(nal, key ? "\x65\x88\x84" : "\x41\x9a\x24", 3);
    if (key) packet(b, VIDEO, false, span(sps, sizeof(sps)));
    if (key) packet(b, VIDEO, false, span(pps, sizeof(pps)));
    packet(b, VIDEO, true, span(nal, n));
    b->ts[VIDEO] += 3600;
    pass(b, FRAME_US);
    mem_free(nal);
}

static void sound(struct bench *b)
{
    uint8_t bytes[320] = {0};

    packet(b, AUDIO, false, span(bytes, sizeof(bytes)));
    b->ts[AUDIO] += sizeof(bytes);
}

static unsigned frames_of(struct bench *b, unsigned track, unsigned flags)
{
    unsigned n = 0;
    struct frame f;

    for (uint64_t seq = ring_oldest(b->r); seq < ring_next(b->r); seq++) {
        assert_int_equal(ring_read(b->r, seq, &b->buf, &f), RING_OK);
        n += f.track == track && (f.flags & flags) == flags;
    }
    return n;
}

static void both_tracks_come_out_as_frames(void **state)
{
    struct bench *b = *state;
    struct track_set *s = mem_new(sizeof(*s));
    const struct ring_status *status = ring_writer_status(b->w);
    struct ingest_view v;

    begin(b, "", true);
    for (int i = 0; i < 100; i++) {
        picture(b, i % 25 == 0, 1000);
        sound(b);
    }
    v = ingest_view(b->in);
    assert_true(v.key_us > 0 && v.first_frame_us > 0);
    ingest_end(b->in);
    v = ingest_view(b->in);
    assert_true(v.key_us == 0 && v.first_frame_us == 0); /* an attempt that brings nothing has not played */
    assert_int_equal(frames_of(b, 0, 0), 100);
    assert_int_equal(frames_of(b, 0, FRAME_KEY), 4);
    assert_true(frames_of(b, 1, FRAME_KEY) >= 98); /* the first waits for the picture */
    assert_int_equal(ring_tracks(b->r, 0, s), RING_OK);
    assert_int_equal(s->n, 2);
    assert_int_equal(s->t[0].width, 320);
    assert_int_equal(s->t[1].codec, CODEC_PCMA);
    assert_int_equal(s->gen, 1);
    assert_int_equal(status->frames_in, ring_next(b->r) - 1);
    assert_int_equal(status->packets_in, 100 + 8 + 100);
    assert_int_equal(status->packets_lost, 0);
    assert_true(status->last_key_us > WALL_US);
    assert_int_equal(ingest_measure(b->in)->done_frames, 25);
    mem_free(s);
}

/* K13: the picture starts two seconds after the sound; the sound waits for it, but not for ever. */
static void sound_waits_for_the_picture(void **state)
{
    struct bench *b = *state;
    struct track_set *s = mem_new(sizeof(*s));

    begin(b, "", true);
    for (int i = 0; i < 50; i++) {
        sound(b);
        pass(b, FRAME_US);
    }
    assert_int_equal(ring_next(b->r), 1);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    sound(b);
    assert_int_equal(ring_tracks(b->r, 0, s), RING_OK);
    assert_int_equal(s->n, 2);
    assert_int_equal(s->gen, 1);
    ingest_end(b->in);
    begin(b, "", true);
    for (int i = 0; i < 300; i++) {
        sound(b);
        pass(b, FRAME_US);
    }
    assert_int_equal(ring_tracks(b->r, 0, s), RING_OK);
    assert_int_equal(s->n, 1);
    assert_int_equal(s->t[0].kind, TRACK_AUDIO);
    mem_free(s);
}

/* T3: packets that wait for their place are copies; frames made of them are whole all the same. */
static void packets_in_the_wrong_order(void **state)
{
    struct bench *b = *state;
    struct rtsp_track track = {
        .kind = TRACK_VIDEO, .codec = CODEC_H264, .wanted = true, .udp = true, .pt = 96, .clock_hz = 90000};
    uint8_t slice[1000];
    struct frame f;

    pass(b, 0);
    ingest_tracks(b->in, &track, 1, b->now_us);
    picture(b, true, 1000);
    for (int i = 1; i < 50; i++) {
        memset(slice, i, sizeof(slice));
        memcpy(slice, i % 25 == 0 ? "\x65\x88\x84" : "\x41\x9a\x24", 3);
        /* An SEI and the slice, the slice first. */
        b->seq[VIDEO]++;
        packet(b, VIDEO, true, span(slice, sizeof(slice)));
        b->seq[VIDEO] = (uint16_t)(b->seq[VIDEO] - 2);
        packet(b, VIDEO, false, SPAN_LIT("\x06\x05\x01\x00\x80"));
        b->seq[VIDEO]++;
        b->ts[VIDEO] += 3600;
        pass(b, FRAME_US);
    }
    ingest_end(b->in);
    assert_int_equal(ring_next(b->r), 51);
    for (uint64_t seq = 2; seq < 51; seq++) {
        assert_int_equal(ring_read(b->r, seq, &b->buf, &f), RING_OK);
        assert_int_equal(f.data.p[f.data.n - 1], seq - 1);
        assert_int_equal(f.flags & FRAME_DAMAGED, 0);
    }
    assert_int_equal(ring_writer_status(b->w)->packets_lost, 0);
}

/* The same description again is the same generation; the first frame says that media time was joined. */
static void a_reconnect_keeps_the_description(void **state)
{
    struct bench *b = *state;
    struct frame f;
    uint64_t first;

    begin(b, "", false);
    for (int i = 0; i < 30; i++) picture(b, i == 0, 1000);
    ingest_end(b->in);
    assert_int_equal(frames_of(b, 0, FRAME_DISCONT), 0);
    first = ring_next(b->r);
    pass(b, 7 * US_PER_S);
    b->ts[VIDEO] = 12345;
    begin(b, "", false);
    for (int i = 0; i < 30; i++) picture(b, i == 0, 1000);
    ingest_end(b->in);
    assert_int_equal(ring_read(b->r, first, &b->buf, &f), RING_OK);
    assert_int_equal(f.flags & FRAME_DISCONT, FRAME_DISCONT);
    assert_int_equal(f.gen, 1);
    assert_int_equal(frames_of(b, 0, FRAME_DISCONT), 1);
}

static void lost_packets_are_counted_and_flagged(void **state)
{
    struct bench *b = *state;

    begin(b, "", false);
    for (int i = 0; i < 50; i++) {
        if (i == 30) b->seq[VIDEO] += 3;
        picture(b, i % 25 == 0, 1000);
    }
    ingest_tick(b->in);
    assert_int_equal(ring_writer_status(b->w)->packets_lost, 3);
    assert_true(frames_of(b, 0, FRAME_DAMAGED) >= 1);
}

static void bad_packets_in_a_row_make_it_invalid(void **state)
{
    struct bench *b = *state;

    begin(b, "", false);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    for (int i = 0; i < 4; i++) ingest_packet(b->in, VIDEO, false, SPAN_LIT("garbage, no RTP"));
    for (int i = 0; i < 3; i++) picture(b, false, 1000); /* good ones between */
    for (int i = 0; i < 4; i++) ingest_packet(b->in, VIDEO, false, SPAN_LIT("garbage, no RTP"));
    assert_int_equal(b->invalid, 0);
    for (int i = 0; i < 4; i++) ingest_packet(b->in, VIDEO, false, SPAN_LIT("garbage, no RTP"));
    assert_int_equal(b->invalid, 5);
    assert_int_equal(ring_writer_status(b->w)->faults[FAULT_RTP], 12);
}

/* K2, K4: a report each five seconds, none before the first packet. */
static void reports_tell_what_was_received(void **state)
{
    struct bench *b = *state;

    begin(b, "", true);
    pass(b, 6 * US_PER_S);
    ingest_tick(b->in);
    assert_int_equal(b->reports, 0);
    for (int i = 0; i < 100; i++) picture(b, i == 0, 1000);
    b->seq[VIDEO] += 1;
    for (int i = 0; i < 50; i++) picture(b, false, 1000);
    ingest_tick(b->in);
    assert_int_equal(b->reports, 1); /* no sound came */
    assert_int_equal(b->report.type, RTCP_RR);
    assert_int_equal(b->report.n_blocks, 1);
    assert_int_equal(b->report.block[0].ssrc, 77);
    assert_int_equal(b->report.block[0].lost, 1);
    ingest_tick(b->in);
    assert_int_equal(b->reports, 1);
}

/* P9: either kind on either channel. */
static void rtcp_and_rtp_on_each_others_channel(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[64];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct rtcp_packet sr = {.ssrc = 77, .ntp = rtcp_ntp_of_us(WALL_US), .rtp_ts = 1};

    begin(b, "", false);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    rtcp_write_sr(&w, &sr);
    ingest_packet(b->in, VIDEO, false, wr_span(&w));
    assert_int_equal(ring_writer_status(b->w)->faults[FAULT_RTCP], 0);
    ingest_packet(b->in, 5, false, SPAN_LIT("no such track"));
    assert_int_equal(ring_writer_status(b->w)->faults[FAULT_RTP], 0);
}

/* T17: what is no RTCP is counted, what stands before it counts. */
static void broken_rtcp_is_counted(void **state)
{
    struct bench *b = *state;
    const struct ring_status *status = ring_writer_status(b->w);

    begin(b, "", false);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    ingest_packet(b->in, VIDEO, true, SPAN_LIT("\x81\xc9")); /* cut short */
    assert_int_equal(status->faults[FAULT_RTCP], 1);
    ingest_packet(b->in, VIDEO, true, SPAN_LIT("\x80\xc8\0\1\0\0\0\5")); /* half a sender report */
    assert_int_equal(status->faults[FAULT_RTCP], 2);
    ingest_packet(b->in, VIDEO, true, SPAN_LIT("\x80\xc9\0\1\0\0\0\5junk"));
    assert_int_equal(status->faults[FAULT_RTCP], 3);
    ingest_packet(b->in, VIDEO, true, SPAN_LIT("no RTCP"));
    assert_int_equal(status->faults[FAULT_RTCP], 4);
    assert_int_equal(status->faults[FAULT_RTP], 0);
}

static void faults_are_counted_by_kind(void **state)
{
    struct bench *b = *state;
    const struct ring_status *status = ring_writer_status(b->w);

    begin(b, "", false);
    picture(b, true, 1000);
    packet(b, VIDEO, true, SPAN_LIT("\x80\x80\x80")); /* forbidden bit (V16) */
    for (int i = 0; i < 3; i++) packet_as(b, VIDEO, 33, true, SPAN_LIT("of another type"));
    ingest_fault(b->in, FAULT_STRANGER, VIDEO, 7);
    ingest_fault(b->in, FAULT_SDP, 0, 0);
    ingest_tick(b->in);
    assert_int_equal(status->faults[FAULT_PAYLOAD], 1);
    assert_int_equal(status->faults[FAULT_FOREIGN], 3);
    assert_int_equal(status->faults[FAULT_STRANGER], 7);
    assert_int_equal(status->faults[FAULT_SDP], 0);
    ingest_tick(b->in);
    assert_int_equal(status->faults[FAULT_FOREIGN], 3);
}

static void sender_report(struct bench *b, uint32_t ssrc, usec_t off_us)
{
    uint8_t bytes[64];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct rtcp_packet sr = {.ssrc = ssrc,
        .ntp = rtcp_ntp_of_us((uint64_t)(WALL_US + b->now_us + off_us)),
        .rtp_ts = b->ts[VIDEO]};

    rtcp_write_sr(&w, &sr);
    ingest_packet(b->in, VIDEO, true, wr_span(&w));
}

/* T13: a key frame of an ONVIF replay, with its time in front. */
static void replayed_picture(struct bench *b, usec_t off_us)
{
    uint8_t bytes[RTP_HEADER_MIN + 16 + 3];
    struct rtp_packet p = {.marker = true, .pt = 96, .seq = b->seq[VIDEO]++, .ts = b->ts[VIDEO], .ssrc = 77};
    struct wr w = wr_of(bytes + RTP_HEADER_MIN, sizeof(bytes) - RTP_HEADER_MIN);

    rtp_write_header(bytes, &p);
    bytes[0] |= 0x10;
    wr_u16(&w, RTP_EXT_ONVIF);
    wr_u16(&w, 3);
    wr_u64(&w, rtcp_ntp_of_us((uint64_t)(WALL_US + b->now_us + off_us)));
    wr_u32(&w, 0);
    wr_bytes(&w, SPAN_LIT("\x41\x9a\x24"));
    ingest_packet(b->in, VIDEO, false, span(bytes, sizeof(bytes)));
    ingest_detach(b->in);
}

/* T8, T13: what the camera takes for the time is known, and moves nothing. */
static void the_cameras_clock_is_known(void **state)
{
    struct bench *b = *state;
    usec_t off_us = 0, wall_us;

    begin(b, "", false);
    for (int i = 0; i < 30; i++) picture(b, i == 0, 1000);
    assert_false(ingest_camera_clock(b->in, &off_us));
    sender_report(b, 78, 10 * US_PER_S);
    assert_false(ingest_camera_clock(b->in, &off_us));
    sender_report(b, 77, -7200 * US_PER_S);
    assert_true(ingest_camera_clock(b->in, &off_us));
    assert_in_range(-off_us, 7200 * US_PER_S - 100, 7200 * US_PER_S + 100);
    wall_us = WALL_US + b->now_us;
    replayed_picture(b, 2500 * US_PER_MS);
    assert_true(ingest_camera_clock(b->in, &off_us));
    assert_in_range(off_us, 2500 * US_PER_MS - 100, 2500 * US_PER_MS + 100);
    assert_in_range(ring_writer_status(b->w)->last_frame_us, wall_us - 100, wall_us + 100);
    begin(b, "", false);
    assert_false(ingest_camera_clock(b->in, &off_us));
}

/* K11, K13: sound goes on, the picture has stopped. */
static void silence_of_the_picture_is_seen(void **state)
{
    struct bench *b = *state;

    begin(b, "", true);
    for (int i = 0; i < 50; i++) {
        picture(b, i == 0, 1000);
        sound(b);
    }
    assert_false(ingest_view(b->in).silent);
    assert_true(ingest_silent_at(b->in) > b->now_us + 9 * US_PER_S);
    for (int i = 0; i < 251; i++) {
        sound(b);
        pass(b, FRAME_US);
    }
    assert_true(ingest_view(b->in).silent);
    ingest_end(b->in);
    assert_int_equal(ingest_silent_at(b->in), 0);
    assert_false(ingest_view(b->in).silent);
}

/* K14: alive without a key frame is no silence. */
static void no_key_frame_is_starving(void **state)
{
    struct bench *b = *state;

    begin(b, "", false);
    for (int i = 0; i < 300; i++) picture(b, false, 1000);
    assert_int_equal(ring_next(b->r), 1);
    pass(b, US_PER_S);
    assert_true(ingest_view(b->in).starving);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    assert_false(ingest_view(b->in).starving);
}

/* What does not fit the ring is dropped, and what refers to it is flagged, up to the next key frame. */
static void a_frame_too_large_leaves_a_hole(void **state)
{
    struct bench *b = *state;

    begin(b, "", false);
    for (int i = 0; i < 5; i++) picture(b, i == 0, 1000);
    picture(b, true, RING_DATA_MIN / 4 + 1);
    for (int i = 0; i < 5; i++) picture(b, false, 1000);
    picture(b, true, 1000);
    for (int i = 0; i < 3; i++) picture(b, false, 1000);
    ingest_end(b->in);
    assert_int_equal(ingest_view(b->in).dropped_large, 1);
    assert_int_equal(frames_of(b, 0, FRAME_DAMAGED), 5);
    assert_int_equal(frames_of(b, 0, 0), 14);
    assert_true(measure_outgrown(ingest_measure(b->in), SMALL, 0, 32u << 20));
}

/* S12: one m= line with several formats; the packets say which it is. */
static void the_packets_choose_the_format(void **state)
{
    struct bench *b = *state;
    struct sdp_media media = {.kind = SDP_AUDIO,
        .n = 2,
        .f = {{.pt = 8, .codec = SDP_PCMA, .name = SPAN_LIT("PCMA"), .clock_hz = 8000, .channels = 1},
            {.pt = 0, .codec = SDP_PCMU, .name = SPAN_LIT("PCMU"), .clock_hz = 8000, .channels = 1}}};
    struct rtsp_track track = {.kind = TRACK_AUDIO,
        .codec = CODEC_PCMA,
        .wanted = true,
        .pt = 8,
        .clock_hz = 8000,
        .channels = 1,
        .media = &media};
    struct track_set *s = mem_new(sizeof(*s));
    uint8_t bytes[160] = {0};

    pass(b, 0);
    ingest_tracks(b->in, &track, 1, b->now_us);
    for (int i = 0; i < 10; i++, b->ts[0] += 160) packet_as(b, 0, 0, false, span(bytes, sizeof(bytes)));
    assert_int_equal(ring_tracks(b->r, 0, s), RING_OK);
    assert_int_equal(s->t[0].codec, CODEC_PCMU);
    assert_true(frames_of(b, 0, 0) >= 9);
    mem_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_tracks_come_out_as_frames),
        TEST(sound_waits_for_the_picture),
        TEST(packets_in_the_wrong_order),
        TEST(a_reconnect_keeps_the_description),
        TEST(lost_packets_are_counted_and_flagged),
        TEST(bad_packets_in_a_row_make_it_invalid),
        TEST(reports_tell_what_was_received),
        TEST(rtcp_and_rtp_on_each_others_channel),
        TEST(broken_rtcp_is_counted),
        TEST(faults_are_counted_by_kind),
        TEST(the_cameras_clock_is_known),
        TEST(silence_of_the_picture_is_seen),
        TEST(no_key_frame_is_starving),
        TEST(a_frame_too_large_leaves_a_hole),
        TEST(the_packets_choose_the_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
