#include "worker/ingest_impl.h"
#include "common/base/mem.h"

static enum codec codec_of(enum sdp_codec c)
{
    static const struct {
        enum sdp_codec from;
        enum codec to;
    } table[] = {{SDP_H264, CODEC_H264}, {SDP_H265, CODEC_H265}, {SDP_MPEG4_GENERIC, CODEC_AAC},
        {SDP_PCMA, CODEC_PCMA}, {SDP_PCMU, CODEC_PCMU}, {SDP_OPUS, CODEC_OPUS},
        {SDP_ONVIF_METADATA, CODEC_ONVIF}};

    for (size_t i = 0; i < ARRAY_N(table); i++)
        if (table[i].from == c) return table[i].to;
    return CODEC_NONE;
}

static void keep_alternatives(struct ingest_track *t, const struct sdp_media *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n && t->n_alt < ARRAY_N(t->alt); i++) {
        struct alternative *a = &t->alt[t->n_alt];
        const struct sdp_format *f = &m->f[i];

        if (codec_of(f->codec) == CODEC_NONE) continue;
        *a = (struct alternative){.pt = f->pt, .fmtp = span_dup(f->fmtp), .name = span_dup(f->name)};
        a->media = (struct depay_media){.codec = codec_of(f->codec),
            .clock_hz = f->clock_hz,
            .channels = f->channels,
            .name = span_of(a->name),
            .fmtp = span_of(a->fmtp)};
        t->n_alt++;
    }
}

static struct rtp_order *make_order(struct ingest_track *t, const struct rtsp_track *from)
{
    struct rtp_order_config config = {.clock_hz = from->clock_hz, .hold = from->udp};
    struct rtp_order_out out = {.packet = ingest_on_packet, .arg = t};

    config.pts[config.pts_n++] = from->pt;
    for (size_t i = 0; i < t->n_alt && config.pts_n < RTP_ORDER_PTS; i++)
        if (t->alt[i].pt != from->pt) config.pts[config.pts_n++] = t->alt[i].pt;
    return rtp_order_new(&config, &out);
}

static void begin_track(struct ingest *in, uint8_t i, const struct rtsp_track *from)
{
    struct ingest_track *t = &in->track[i];
    struct watch watch = t->watch;
    const struct alternative *a;
    struct depay_media media = {
        .codec = from->codec, .clock_hz = from->clock_hz, .channels = from->channels, .fmtp = from->fmtp};

    *t = (struct ingest_track){.in = in,
        .index = i,
        .kind = from->kind,
        .wanted = from->wanted,
        .udp = from->udp,
        .ring_track = -1,
        .watch = watch};
    watch_stop(&t->watch);
    if (!from->wanted || i >= TRACK_MAX) return;
    keep_alternatives(t, from->media);
    a = ingest_alternative(t, from->pt);
    ingest_make_depay(t, a ? &a->media : &media, from->pt);
    t->order = make_order(t, from);
    if (in->timeline_kind[i] != from->kind || in->timeline_hz[i] != t->clock_hz)
        timeline_track(in->timeline, i, from->kind, t->clock_hz);
    in->timeline_kind[i] = from->kind;
    in->timeline_hz[i] = t->clock_hz;
    t->new_run = true;
}

void ingest_tracks(struct ingest *in, const struct rtsp_track *tracks, size_t n, usec_t mono_us)
{
    ingest_end(in);
    /* A new process too: what is in the ring is of another run. */
    if (in->anchored || (in->ring && ring_writer_next(in->ring) > ring_writer_oldest(in->ring)))
        timeline_restart(in->timeline);
    in->anchored = true;
    in->describe = true;
    in->session_us = mono_us;
    in->report_us = mono_us + INGEST_REPORT_US;
    in->bad_row = 0;
    in->told_invalid = false;
    in->n = MIN(n, RTSP_CLIENT_TRACKS_MAX);
    for (size_t i = 0; i < in->n; i++) begin_track(in, (uint8_t)i, &tracks[i]);
    for (size_t i = 0; i < in->n; i++)
        if (in->track[i].depay && ingest_decides(in, &in->track[i]))
            watch_start(&in->track[i].watch, mono_us);
}

void ingest_hints(struct ingest *in, const struct rtsp_track *tracks, size_t n)
{
    for (size_t i = 0; i < MIN(n, in->n); i++)
        if (in->track[i].order && tracks[i].has_seq) rtp_order_hint(in->track[i].order, tracks[i].seq);
}

static void end_track(struct ingest *in, struct ingest_track *t)
{
    if (t->order) rtp_order_flush(t->order);
    if (t->depay) depay_flush(t->depay);
    if (t->order && in->ring) ingest_tell_counters(in, t);
    rtp_order_free(t->order);
    depay_free(t->depay);
    for (size_t i = 0; i < t->n_alt; i++) {
        mem_free(t->alt[i].fmtp);
        mem_free(t->alt[i].name);
    }
    watch_stop(&t->watch);
    t->order = NULL;
    t->depay = NULL;
    t->n_alt = 0;
}

void ingest_end(struct ingest *in)
{
    for (size_t i = 0; i < in->n; i++) end_track(in, &in->track[i]);
    in->n = 0;
    in->report_us = 0;
    /* Attempts that bring no media are not taken for a session that played. */
    in->view.key_us = in->view.first_frame_us = 0;
    measure_break(&in->measure);
}
