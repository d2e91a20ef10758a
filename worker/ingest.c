#include "worker/ingest_impl.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"

#define REPORT_MAX 128
#define CNAME      "media-server"
#define STARVE_US  (10 * US_PER_S)

static void complain(struct ingest *in, unsigned kind, const char *what, unsigned track, uint64_t n)
{
    static const char *const events[] = {"rtp-loss", "time-repair", "frame-large"};
    uint32_t held;

    if (log_limited(&in->rate[kind], in->mono_us, &held))
        log_warn(kind < FAULTS ? "fault" : events[kind - FAULTS], "track=%u what=\"%s\" n=%llu held=%u",
            track, what, (unsigned long long)n, held);
}

static void add(_Atomic uint64_t *field, uint64_t n)
{
    if (n > 0)
        atomic_store_explicit(
            field, atomic_load_explicit(field, memory_order_relaxed) + n, memory_order_relaxed);
}

void ingest_fault(struct ingest *in, enum ring_fault f, unsigned track, uint64_t n)
{
    if (n == 0 || !in->ring) return;
    add(&ring_writer_status(in->ring)->faults[f], n);
    complain(in, f, ring_fault_word(f), track, n);
}

static void bad_packet(struct ingest *in)
{
    in->bad_row++;
    if (in->invalid_after == 0 || in->bad_row < in->invalid_after || in->told_invalid) return;
    in->told_invalid = true;
    in->ops.invalid(in->ops.arg, in->bad_row);
}

/* --- units to frames --- */

static bool video_undescribed(const struct ingest *in)
{
    struct track scratch;

    for (size_t i = 0; i < in->n; i++)
        if (in->track[i].kind == TRACK_VIDEO && in->track[i].depay &&
            !depay_track(in->track[i].depay, &scratch))
            return true;
    return false;
}

/* Describes the tracks in the ring. false: there is nothing to describe yet. */
static bool describe(struct ingest *in)
{
    struct track_set *set;
    uint8_t n = 0;

    if (in->mono_us - in->session_us < INGEST_WAIT_US && video_undescribed(in)) return false;
    set = NEW(struct track_set);
    for (size_t i = 0; i < in->n && n < TRACK_MAX; i++) {
        struct ingest_track *t = &in->track[i];

        t->ring_track = -1;
        if (!(in->keep >> t->kind & 1) || !t->depay || !depay_track(t->depay, &set->t[n])) continue;
        t->ring_track = (int8_t)n++;
    }
    set->n = n;
    if (n > 0) {
        ring_set_tracks(in->ring, set);
        in->describe = false;
        for (unsigned i = 0; i < n; i++)
            log_info("track", "gen=%u track=%u codec=%s hz=%u size=%ux%u", set->gen, i,
                codec_name(set->t[i].codec), set->t[i].clock_hz, set->t[i].width, set->t[i].height);
    }
    mem_free(set);
    return n > 0;
}

bool ingest_decides(const struct ingest *in, const struct ingest_track *t)
{
    if (t->kind == TRACK_VIDEO) return true;
    if (t->kind != TRACK_AUDIO) return false;
    for (size_t i = 0; i < in->n; i++)
        if (in->track[i].kind == TRACK_VIDEO && in->track[i].depay) return false;
    return true;
}

static void stored(struct ingest *in, const struct ingest_track *t, const struct frame *f, size_t bytes)
{
    struct ring_status *s = ring_writer_status(in->ring);
    bool life = ingest_decides(in, t), entry = life && (f->flags & FRAME_KEY);

    if (f->flags & FRAME_DISCONT) measure_break(&in->measure);
    measure_frame(&in->measure, entry && t->kind == TRACK_VIDEO, t->kind == TRACK_VIDEO, bytes,
        ticks_us((struct ticks){f->dts, t->clock_hz}));
    in->view.next_seq++;
    if (in->view.first_frame_us == 0) in->view.first_frame_us = f->arrival_us;
    if (entry) in->view.key_us = f->arrival_us;
    atomic_store_explicit(&s->last_frame_us, f->wall_us, memory_order_relaxed);
    if (entry) atomic_store_explicit(&s->last_key_us, f->wall_us, memory_order_relaxed);
    add(&s->frames_in, 1);
    add(&s->frames_damaged, (f->flags & FRAME_DAMAGED) != 0);
}

static void put(
    struct ingest *in, struct ingest_track *t, const struct depay_unit *u, const struct timeline_out *time)
{
    struct frame f = {.dts = time->dts,
        .cts = time->cts,
        .dur = u->dur,
        .wall_us = time->wall_us,
        .arrival_us = u->mono_us,
        .flags = u->flags | time->flags,
        .track = (uint8_t)t->ring_track};
    uint64_t seq;

    if (t->kind != TRACK_VIDEO) f.flags |= FRAME_KEY;
    if (f.flags & FRAME_KEY) t->hole = false;
    if (t->hole) f.flags |= FRAME_DAMAGED;
    if (ring_put(in->ring, &f, u->pieces, u->pieces_n, &seq) == RING_OK) {
        stored(in, t, &f, u->bytes);
        return;
    }
    t->hole = true;
    measure_large(&in->measure, u->bytes);
    in->view.dropped_large++;
    add(&ring_writer_status(in->ring)->frames_dropped, 1);
    complain(in, LARGE_FRAMES, "larger than a quarter of the ring", t->index, u->bytes);
}

static void on_unit(void *arg, const struct depay_unit *u)
{
    struct ingest_track *t = arg;
    struct ingest *in = t->in;
    struct timeline_in time = {.track = t->index,
        .timestamp = u->timestamp,
        .offset = u->offset,
        .dur = u->dur,
        .reorder = u->reorder,
        .backward = u->backward,
        .key = (u->flags & FRAME_KEY) != 0,
        .new_run = t->new_run,
        .mono_us = u->mono_us,
        .wall_us = u->wall_us};
    struct timeline_out out;

    in->bad_row = 0;
    if (ingest_decides(in, t)) watch_seen(&t->watch, u->mono_us);
    if (t->kind == TRACK_DATA && in->ops.document)
        in->ops.document(in->ops.arg, t->index, u->pieces, u->pieces_n, u->wall_us);
    if (!in->ring || (in->describe && !describe(in)) || t->ring_track < 0) return;
    t->new_run = false;
    timeline_unit(in->timeline, &time, &out);
    put(in, t, u, &out);
}

static void on_changed(void *arg)
{
    struct ingest_track *t = arg;

    t->in->describe = true;
}

/* --- packets to units --- */

const struct alternative *ingest_alternative(const struct ingest_track *t, int pt)
{
    for (size_t i = 0; i < t->n_alt; i++)
        if (t->alt[i].pt == pt) return &t->alt[i];
    return NULL;
}

void ingest_make_depay(struct ingest_track *t, const struct depay_media *m, int pt)
{
    struct depay_out out = {.unit = on_unit, .changed = on_changed, .arg = t};
    int err = depay_new(m, &out, &t->depay);

    t->pt = pt;
    t->clock_hz = m->clock_hz;
    t->units_said = (struct depay_counters){0};
    if (err == DEPAY_OK) return;
    t->depay = NULL;
    log_warn("track-refused", "track=%u codec=%s why=\"%s\"", t->index, codec_name(m->codec),
        err == DEPAY_E_MODE ? "interleaved packetization mode" : "codec not supported");
}

/* The payload type on the wire chooses among the formats of the description. */
static void follow_pt(struct ingest_track *t)
{
    int pt = rtp_order_pt(t->order);
    const struct alternative *a = pt == t->pt ? NULL : ingest_alternative(t, pt);

    if (!a) return;
    depay_free(t->depay);
    ingest_make_depay(t, &a->media, pt);
    t->in->describe = true;
}

static bool lies_in(struct span whole, struct span part)
{
    uintptr_t from = (uintptr_t)whole.p, at = (uintptr_t)part.p;

    return at >= from && at + part.n <= from + whole.n;
}

void ingest_on_packet(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run)
{
    struct ingest_track *t = arg;
    struct depay_packet packet = {.payload = p->payload,
        .timestamp = p->timestamp,
        .marker = p->marker,
        .lost = lost,
        .mono_us = p->mono_us,
        .wall_us = p->wall_us};
    uint64_t bad;

    if (t->pt != p->pt) follow_pt(t);
    if (!t->depay) return;
    if (new_run) {
        depay_reset(t->depay);
        t->new_run = true;
    }
    bad = depay_counters(t->depay)->bad;
    depay_feed(t->depay, &packet);
    if (!lies_in(t->in->packet, p->payload)) depay_detach(t->depay);
    if (t->depay && depay_counters(t->depay)->bad > bad) bad_packet(t->in);
}

static void rtp(struct ingest *in, struct ingest_track *t, struct span packet)
{
    struct rtp_packet p;
    int err = rtp_parse(packet, &p);
    struct rtp_order_packet ordered;
    usec_t camera_us;

    if (err == RTP_E_EMPTY) p.payload = SPAN_NONE;
    if (err != 0 && err != RTP_E_EMPTY) {
        ingest_fault(in, FAULT_RTP, t->index, 1);
        bad_packet(in);
        return;
    }
    ordered = (struct rtp_order_packet){.payload = p.payload,
        .ssrc = p.ssrc,
        .timestamp = p.ts,
        .seq = p.seq,
        .pt = p.pt,
        .marker = p.marker,
        .mono_us = in->mono_us,
        .wall_us = in->wall_us};
    in->packet = packet;
    rtp_order_feed(t->order, &ordered);
    in->packet = SPAN_NONE;
    if (rtp_onvif_time(&p, &camera_us) && rtp_order_is_ssrc(t->order, p.ssrc))
        timeline_camera_time(in->timeline, t->index, camera_us, p.ts, in->wall_us);
}

static void sender_report(struct ingest *in, struct ingest_track *t, const struct rtcp_packet *p)
{
    if (!rtp_order_is_ssrc(t->order, p->ssrc)) return;
    t->sr_ntp = p->ntp;
    t->sr_us = in->mono_us;
    timeline_sr(in->timeline, t->index, p->ntp, p->rtp_ts, in->wall_us);
}

/* BYE ends nothing (T17): media that stops is noticed by its silence. */
static void rtcp(struct ingest *in, struct ingest_track *t, struct span compound)
{
    struct rtcp_packet p;
    unsigned bad = 0;

    while (rtcp_next(&compound, &p, &bad))
        if (p.type == RTCP_SR) sender_report(in, t, &p);
    ingest_fault(in, FAULT_RTCP, t->index, bad);
}

void ingest_packet(struct ingest *in, uint8_t track, bool is_rtcp, struct span packet)
{
    struct ingest_track *t = track < in->n ? &in->track[track] : NULL;

    if (!t || !t->order || !in->ring) return;
    /* Either may come on either channel (P9). */
    if (rtp_is_rtcp(packet))
        rtcp(in, t, packet);
    else if (!is_rtcp || packet.n >= RTP_HEADER_MIN)
        rtp(in, t, packet);
    else
        ingest_fault(in, FAULT_RTCP, track, 1);
}

void ingest_detach(struct ingest *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (in->track[i].depay) depay_detach(in->track[i].depay);
}

/* --- reports and counters --- */

static void report(struct ingest *in, struct ingest_track *t)
{
    uint8_t bytes[REPORT_MAX];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct rtp_order_report r;
    struct rtcp_block b;

    if (!rtp_order_report(t->order, &r)) return;
    b = (struct rtcp_block){.ssrc = r.ssrc,
        .fraction = r.fraction_lost,
        .lost = r.lost,
        .high_seq = r.highest_seq,
        .jitter = r.jitter};
    if (t->sr_us != 0) {
        b.lsr = (uint32_t)(t->sr_ntp >> 16);
        b.dlsr = (uint32_t)scale_i64(in->mono_us - t->sr_us, 65536, 1000000);
    }
    rtcp_write_rr(&w, in->ssrc, &b, 1);
    rtcp_write_sdes(&w, in->ssrc, CNAME);
    if (wr_ok(&w)) in->ops.rtcp(in->ops.arg, t->index, wr_span(&w));
}

void ingest_tell_counters(struct ingest *in, struct ingest_track *t)
{
    struct ring_status *s = ring_writer_status(in->ring);
    const struct rtp_order_counters *c = rtp_order_counters(t->order), *was = &t->said;
    uint64_t lost = c->lost - was->lost;

    add(&s->packets_in, c->packets - was->packets);
    add(&s->packets_lost, lost);
    add(&s->packets_reordered, c->reordered - was->reordered);
    if (lost > 0) complain(in, LOST_PACKETS, "packets lost", t->index, lost);
    ingest_fault(
        in, FAULT_FOREIGN, t->index, c->foreign_pt + c->foreign_ssrc - was->foreign_pt - was->foreign_ssrc);
    t->said = *c;
    if (t->depay) {
        const struct depay_counters *u = depay_counters(t->depay);

        add(&s->frames_dropped, u->dropped - t->units_said.dropped);
        ingest_fault(in, FAULT_PAYLOAD, t->index, u->bad - t->units_said.bad);
        t->units_said = *u;
    }
}

static void tell_repairs(struct ingest *in)
{
    uint64_t repairs = timeline_counters(in->timeline)->repairs;

    if (repairs == in->repairs_said) return;
    add(&ring_writer_status(in->ring)->ts_repairs, repairs - in->repairs_said);
    complain(in, TIME_REPAIRS, "timestamps repaired", 0, repairs - in->repairs_said);
    in->repairs_said = repairs;
}

void ingest_tick(struct ingest *in)
{
    bool due = in->report_us != 0 && in->mono_us >= in->report_us;

    if (!in->ring) return;
    for (size_t i = 0; i < in->n; i++) {
        struct ingest_track *t = &in->track[i];

        if (!t->order) continue;
        rtp_order_tick(t->order, in->mono_us);
        ingest_tell_counters(in, t);
        if (due) report(in, t);
    }
    if (due) in->report_us = in->mono_us + INGEST_REPORT_US;
    tell_repairs(in);
}

usec_t ingest_due(const struct ingest *in)
{
    usec_t due_us = 0;

    for (size_t i = 0; i < in->n; i++) {
        usec_t t_us = in->track[i].order ? rtp_order_due(in->track[i].order) : 0;

        if (t_us != 0 && (due_us == 0 || t_us < due_us)) due_us = t_us;
    }
    return due_us;
}

void ingest_now(struct ingest *in, usec_t mono_us, usec_t wall_us)
{
    in->mono_us = mono_us;
    in->wall_us = wall_us;
}

struct ingest_view ingest_view(const struct ingest *in)
{
    struct ingest_view v = in->view;

    for (size_t i = 0; i < in->n; i++) {
        const struct ingest_track *t = &in->track[i];
        usec_t due_us = watch_due_us(&t->watch),
               starve_us = MAX(STARVE_US, 2 * in->measure.done_ms * US_PER_MS);

        if (due_us == 0) continue;
        v.unit_us = MAX(v.unit_us, t->watch.last_us);
        v.silent = v.silent || in->mono_us >= due_us;
        v.starving = v.starving || (v.key_us == 0 && in->mono_us - in->session_us > starve_us);
    }
    return v;
}

usec_t ingest_silent_at(const struct ingest *in)
{
    usec_t at_us = 0;

    for (size_t i = 0; i < in->n; i++) {
        usec_t due_us = watch_due_us(&in->track[i].watch);

        if (due_us != 0 && (at_us == 0 || due_us < at_us)) at_us = due_us;
    }
    return at_us;
}

bool ingest_camera_clock(const struct ingest *in, usec_t *ret_us)
{
    return timeline_camera_clock(in->timeline, ret_us);
}

const struct measure *ingest_measure(const struct ingest *in)
{
    return &in->measure;
}

void ingest_ring(struct ingest *in, struct ring_writer *w)
{
    in->ring = w;
}

struct ingest *ingest_new(const struct ingest_ops *ops)
{
    struct ingest *in = NEW(struct ingest);

    in->ops = *ops;
    in->timeline = timeline_new();
    in->ssrc = rng_u32();
    in->keep = ~0u;
    return in;
}

void ingest_invalid_after(struct ingest *in, uint32_t packets)
{
    in->invalid_after = packets;
}

void ingest_keep(struct ingest *in, unsigned kinds)
{
    in->keep = kinds;
    in->describe = true;
}

void ingest_free(struct ingest *in)
{
    if (!in) return;
    ingest_end(in);
    timeline_free(in->timeline);
    mem_free(in);
}
