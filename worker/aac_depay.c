/* AAC over RTP: access units behind AU headers, one or several a packet, or one over several packets. ADTS is
 * taken off where cameras send it, inside access units or instead of AU headers (A1). Source: RFC
 * 3640 2.11, 3.2, 3.3.6, 4.1. */
#include "common/base/bits.h"
#include "common/media/aac.h"
#include "common/proto/sdp.h"
#include "worker/depay_impl.h"
#include "worker/gather.h"

#define AU_MAX     (64u << 10) /* bytes of one access unit */
#define CONFIG_MAX 64
#define FIELD_MAX  32 /* bits of one AU header field */

struct aac_state {
    struct depay base;
    struct gather g; /* an access unit over several packets */
    size_t want;     /* its bytes; 0: none at hand */
    uint32_t timestamp;
    uint32_t frame_ticks;
    struct aac_config c;
    bool from_sdp; /* the configuration came with the session description: it wins (S17) */
    uint8_t size_bits, index_bits, delta_bits, cts_bits, dts_bits, stream_bits, aux_bits;
    bool rap;
    uint32_t constant_size;
    uint8_t config_n, config[CONFIG_MAX];
};

/* --- description --- */

static void use_config(struct aac_state *a, const struct aac_config *c)
{
    a->c = *c;
    a->frame_ticks = (uint32_t)scale_i64(c->frame, a->base.clock_hz, c->rate);
}

static void make_config(struct aac_state *a, uint8_t object, uint32_t rate, uint8_t channels)
{
    struct wr w = wr_of(a->config, sizeof a->config);
    struct aac_config c;

    aac_config_write(&w, object, rate, channels);
    a->config_n = (uint8_t)w.n;
    if (aac_config_parse(wr_span(&w), &c)) use_config(a, &c);
}

/* Hexadecimal digits of the fmtp as bytes; false: other characters, odd number, too long. */
static bool read_hex(struct aac_state *a, struct span hex)
{
    uint64_t byte;

    if (hex.n == 0 || hex.n % 2 || hex.n / 2 > sizeof a->config) return false;
    for (size_t i = 0; i < hex.n; i += 2) {
        if (!span_hex64(span_sub(hex, i, 2), &byte)) return false;
        a->config[i / 2] = (uint8_t)byte;
    }
    a->config_n = (uint8_t)(hex.n / 2);
    return true;
}

static uint8_t field_bits(struct span fmtp, const char *key, uint32_t otherwise)
{
    return (uint8_t)MIN(sdp_fmtp_u32(fmtp, key, otherwise), FIELD_MAX);
}

/* A2: keys in any case; what is missing is as in AAC-hbr. */
static int init(struct depay *d, const struct depay_media *m)
{
    struct aac_state *a = (struct aac_state *)(void *)d;
    bool low = span_iis(sdp_fmtp(m->fmtp, "mode"), "AAC-lbr");
    uint8_t channels = (uint8_t)CLAMP(m->channels, 1, AAC_CHANNELS_MAX);
    struct aac_config c;

    gather_init(&a->g, AU_MAX);
    a->size_bits = field_bits(m->fmtp, "sizelength", low ? 6 : 13);
    a->index_bits = field_bits(m->fmtp, "indexlength", low ? 2 : 3);
    a->delta_bits = field_bits(m->fmtp, "indexdeltalength", low ? 2 : 3);
    a->cts_bits = field_bits(m->fmtp, "ctsdeltalength", 0);
    a->dts_bits = field_bits(m->fmtp, "dtsdeltalength", 0);
    a->stream_bits = field_bits(m->fmtp, "streamstateindication", 0);
    a->aux_bits = field_bits(m->fmtp, "auxiliarydatasizelength", 0);
    a->rap = sdp_fmtp_u32(m->fmtp, "randomaccessindication", 0) != 0;
    a->constant_size = MIN(sdp_fmtp_u32(m->fmtp, "constantsize", 0), AU_MAX);
    if (a->constant_size == 0 && a->size_bits == 0) a->size_bits = 13;
    if (read_hex(a, sdp_fmtp(m->fmtp, "config")) && aac_config_parse(span(a->config, a->config_n), &c)) {
        a->from_sdp = true;
        use_config(a, &c);
    } else {
        make_config(a, AAC_LC, d->clock_hz, channels);
    }
    return DEPAY_OK;
}

static void done(struct depay *d)
{
    struct aac_state *a = (struct aac_state *)(void *)d;

    gather_done(&a->g);
}

static bool track(const struct depay *d, struct track *ret)
{
    const struct aac_state *a = (const struct aac_state *)(const void *)d;

    memcpy(ret->config, a->config, a->config_n);
    ret->config_n = a->config_n;
    ret->sample_rate = a->c.rate;
    ret->channels = a->c.channels;
    return true;
}

/* Without a configuration of its own the stream is what its ADTS headers say. */
static void learn(struct aac_state *a, const struct aac_adts *h)
{
    if (a->from_sdp || h->channels == 0) return;
    if (a->c.object == h->object && a->c.rate == h->rate && a->c.channels == h->channels) return;
    make_config(a, h->object, h->rate, h->channels);
    depay_changed(&a->base);
}

/* --- access units --- */

static void block(struct aac_state *a, const struct depay_packet *p, struct span au, unsigned index)
{
    struct aac_adts h;

    if (aac_adts_parse(au, &h) && h.frame_n == au.n) {
        learn(a, &h);
        au = span_from(au, h.head_n);
    }
    if (au.n == 0) {
        a->base.c.bad++;
        return;
    }
    depay_emit_block(&a->base, p, au, index * a->frame_ticks, a->frame_ticks);
}

/* ADTS frames instead of AU headers: true when the payload is a chain of them to its end. */
static bool is_adts(struct span payload)
{
    struct aac_adts h;

    while (payload.n > 0) {
        if (!aac_adts_parse(payload, &h) || h.frame_n > payload.n) return false;
        payload = span_from(payload, h.frame_n);
    }
    return true;
}

static void adts(struct aac_state *a, const struct depay_packet *p)
{
    struct span rest = p->payload;
    struct aac_adts h;

    for (unsigned i = 0; rest.n > 0 && aac_adts_parse(rest, &h); i++) {
        block(a, p, span_sub(rest, 0, h.frame_n), i);
        rest = span_from(rest, h.frame_n);
    }
}

static size_t header(const struct aac_state *a, struct bits *b, bool first)
{
    size_t size = a->constant_size ? a->constant_size : bits_u(b, a->size_bits);

    bits_skip(b, first ? a->index_bits : a->delta_bits);
    if (a->cts_bits && bits_flag(b)) bits_skip(b, a->cts_bits);
    if (a->dts_bits && bits_flag(b)) bits_skip(b, a->dts_bits);
    bits_skip(b, a->rap + (size_t)a->stream_bits);
    return size;
}

static void fragment_drop(struct aac_state *a)
{
    if (a->want == 0) return;
    a->want = 0;
    a->base.c.dropped++;
    gather_clear(&a->g);
}

/* One access unit over several packets: each says the size of the whole. */
static void fragment(struct aac_state *a, const struct depay_packet *p, size_t size, struct span part)
{
    struct span whole;

    if (a->want > 0 && (a->timestamp != p->timestamp || a->want != size)) fragment_drop(a);
    if (a->want == 0 && p->lost) return; /* its beginning may be what is missing */
    a->want = size;
    a->timestamp = p->timestamp;
    if (!gather_more(&a->g, part) || a->g.bytes > size) {
        a->base.c.bad++;
        fragment_drop(a);
        return;
    }
    if (a->g.bytes < size) {
        if (p->marker) fragment_drop(a);
        return;
    }
    if (gather_join(&a->g, 0, &whole)) block(a, p, whole, 0);
    a->want = 0;
    gather_clear(&a->g);
}

/* 3.2.1: bits of all headers as u16, the headers, the auxiliary section, the access units. */
static void units(struct aac_state *a, const struct depay_packet *p)
{
    struct rd r = rd_of(p->payload);
    size_t bits_n = rd_u16(&r);
    struct bits b = bits_of(rd_bytes(&r, (bits_n + 7) / 8));
    struct bits aux;

    if (bits_n == 0 || !rd_ok(&r)) {
        a->base.c.bad++; /* A1: no headers, nothing to go by */
        return;
    }
    if (a->aux_bits) {
        aux = bits_of(rd_peek(&r, (a->aux_bits + 7) / 8));
        rd_skip(&r, (a->aux_bits + bits_u(&aux, a->aux_bits) + 7) / 8);
    }
    for (unsigned i = 0; rd_left(&r) > 0; i++) {
        size_t size;

        if (b.at * 8 + b.bit >= bits_n) break;
        size = header(a, &b, i == 0);
        if (!bits_ok(&b) || size == 0) {
            a->base.c.bad++;
            return;
        }
        if (size > rd_left(&r)) {
            if (i == 0)
                fragment(a, p, size, rd_rest(&r));
            else
                a->base.c.bad++;
            return;
        }
        if (a->want == size && a->timestamp == p->timestamp) {
            fragment(a, p, size, rd_bytes(&r, size));
            continue;
        }
        fragment_drop(a);
        block(a, p, rd_bytes(&r, size), i);
    }
}

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct aac_state *a = (struct aac_state *)(void *)d;

    if (p->payload.n == 0) return;
    if (p->lost) fragment_drop(a);
    if (is_adts(p->payload))
        adts(a, p);
    else
        units(a, p);
}

static bool detach(struct depay *d)
{
    struct aac_state *a = (struct aac_state *)(void *)d;

    return gather_detach(&a->g);
}

static void reset(struct depay *d)
{
    fragment_drop((struct aac_state *)(void *)d);
}

const struct depay_ops aac_depay = {.codec = CODEC_AAC,
    .bytes = sizeof(struct aac_state),
    .clock_hz = 8000,
    .init = init,
    .done = done,
    .feed = feed,
    .detach = detach,
    .flush = reset,
    .reset = reset,
    .track = track};
