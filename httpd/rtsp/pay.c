#include "common/base/rd.h"
#include "common/base/types.h"
#include "common/proto/rtcp.h"
#include "httpd/rtsp/pay_impl.h"

#define PT_DYNAMIC    96
#define REPLAY_WORDS  3
#define REPLAY_BYTES  (4 + 4 * REPLAY_WORDS)
#define RTP_EXTENSION 0x10 /* bit of the first byte of the header */

static const struct pay_form *const forms[] = {
    &pay_h264, &pay_h265, &pay_aac, &pay_pcma, &pay_pcmu, &pay_opus, &pay_onvif};

static const struct pay_form *form_of(enum codec codec)
{
    for (size_t i = 0; i < ARRAY_N(forms); i++)
        if (forms[i]->codec == codec) return forms[i];
    return NULL;
}

static bool is_fixed(const struct pay_form *f, const struct track *t)
{
    return f->fixed && t->clock_hz == 8000 && t->channels <= 1;
}

bool pay_init(struct pay *p, const struct track *t, unsigned i, uint32_t random)
{
    const struct pay_form *f = form_of(t->codec);

    if (!f || t->clock_hz == 0) return false;
    *p = (struct pay){.form = f, .track = *t, .channel = (uint8_t)(2 * i)};
    p->pt = is_fixed(f, t) ? f->pt : (uint8_t)(PT_DYNAMIC + i);
    p->hz = f->hz ? f->hz : t->clock_hz;
    p->ssrc = random ^ (i + 1) * 0x9e3779b9u;
    p->ts_base = random * 0x85ebca6bu + i;
    p->seq = (uint16_t)(random >> 8 ^ random >> 20);
    return true;
}

uint32_t pay_ts(const struct pay *p, int64_t ticks)
{
    return p->ts_base + (uint32_t)scale_i64(ticks, p->hz, p->track.clock_hz);
}

size_t pay_room(const struct pay_out *o)
{
    return PAY_PACKET_MAX - RTP_HEADER_MIN - (o->replay ? REPLAY_BYTES : 0);
}

static void write_replay(const struct pay_out *o)
{
    const struct pay_replay *r = o->replay;

    wr_u16(o->w, RTP_EXT_ONVIF);
    wr_u16(o->w, REPLAY_WORDS);
    wr_u64(o->w, rtcp_ntp_of_us(o->f->wall_us));
    wr_u8(o->w, (uint8_t)(r->clean << 7 | r->end << 6 | r->discont << 5));
    wr_u8(o->w, r->cseq);
    wr_u16(o->w, 0);
}

static void write_head(struct pay_out *o, bool marker, size_t n)
{
    struct pay *p = o->p;
    struct rtp_packet h = {.marker = marker, .pt = p->pt, .seq = p->seq++, .ts = o->ts, .ssrc = p->ssrc};
    uint8_t *at;

    wr_u8(o->w, '$');
    wr_u8(o->w, p->channel);
    wr_u16(o->w, (uint16_t)n);
    at = wr_reserve(o->w, RTP_HEADER_MIN);
    if (!at) return;
    rtp_write_header(at, &h);
    if (!o->replay) return;
    at[0] |= RTP_EXTENSION;
    write_replay(o);
}

void pay_packet(struct pay_out *o, bool marker, struct span head, struct span body)
{
    size_t n = RTP_HEADER_MIN + (o->replay ? REPLAY_BYTES : 0) + head.n + body.n;

    if (n > RTP_PACKET_MAX) return;
    o->bytes += PAY_FRAMING + n;
    if (o->p) {
        write_head(o, marker, n);
        wr_bytes(o->w, head);
        wr_bytes(o->w, body);
        o->p->packets++;
        o->p->octets += (uint32_t)(head.n + body.n);
    }
    o->replay = NULL;
}

size_t pay_size(const struct pay *p, const struct frame *f, const struct pay_replay *replay)
{
    struct pay_out o = {.f = f, .replay = replay};

    p->form->frame(&o, &p->track);
    return o.bytes;
}

void pay_write(
    struct pay *p, const struct frame *f, uint32_t ts, const struct pay_replay *replay, struct wr *w)
{
    struct pay_out o = {.p = p, .w = w, .f = f, .replay = replay, .ts = ts};

    p->form->frame(&o, &p->track);
}

bool pay_next(struct span *rest, struct span *ret_packet)
{
    struct rd r = rd_of(*rest);
    size_t n;

    rd_skip(&r, 2);
    n = rd_u16(&r);
    *ret_packet = rd_bytes(&r, n);
    if (!rd_ok(&r)) return false;
    *rest = span_from(*rest, PAY_FRAMING + n);
    return true;
}

void pay_rechannel(uint8_t *bytes, size_t n, uint8_t channel)
{
    for (size_t at = 0; at + PAY_FRAMING <= n;) {
        bytes[at + 1] = channel;
        at += PAY_FRAMING + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
    }
}

/* What the camera called its documents, where it did. */
static void put_subtype(const struct track *t, struct wr *w)
{
    for (size_t i = 0; i < t->config_n; i++)
        wr_u8(w, t->config[i] > ' ' && t->config[i] < 0x7f ? t->config[i] : '?');
}

void pay_rtpmap(const struct pay *p, struct wr *w)
{
    if (p->track.codec == CODEC_ONVIF && p->track.config_n > 0)
        put_subtype(&p->track, w);
    else
        wr_text(w, p->form->name);
    wr_fmt(w, "/%u", p->hz);
    if (p->track.codec == CODEC_OPUS)
        wr_text(w, "/2"); /* whatever it holds: RFC 7587 7 */
    else if (p->track.kind == TRACK_AUDIO && p->track.channels > 1)
        wr_fmt(w, "/%u", p->track.channels);
}

void pay_fmtp(const struct pay *p, struct wr *w)
{
    if (p->form->fmtp) p->form->fmtp(&p->track, w);
}
