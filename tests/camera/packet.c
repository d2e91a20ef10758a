#include "tests/camera/packet.h"

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define STAP_A      24
#define FU_A        28
#define H265_AP     48
#define H265_FU     49
#define FU_START    0x80
#define FU_END      0x40
#define FU_RESERVED 0x20
#define PACK_MAX    ((size_t)4 << 30)
#define ADTS_HDR    7

struct packer_state {
    struct pack *p;
    struct buf out;
    uint32_t frame_packets;
    size_t last_at; /* where the last packet begins */
};

static struct pack *packs;

uint8_t pack_payload_type(enum codec codec)
{
    static const uint8_t types[] = {[CODEC_H264] = 96,
        [CODEC_H265] = 98,
        [CODEC_AAC] = 97,
        [CODEC_PCMA] = 8,
        [CODEC_PCMU] = 0,
        [CODEC_OPUS] = 99,
        [CODEC_ONVIF] = 107};

    return types[codec];
}

static void *grown(void *p, size_t n, size_t item)
{
    if (n < 64 ? n != 0 : (n & (n - 1)) != 0) return p;
    return mem_renew(p, (n == 0 ? 64 : n * 2) * item);
}

/* Begins a packet; the payload follows with put(), the end with packet_end(). */
static void packet_begin(struct packer_state *k)
{
    uint8_t *h = buf_room(&k->out, PACKET_HDR);

    must(h != NULL);
    memset(h, 0, PACKET_HDR);
    h[0] = '$';
    h[4] = 0x80;
    h[5] = k->p->opts.pt;
    k->last_at = buf_n(&k->out);
    buf_added(&k->out, PACKET_HDR);
}

static void put(struct packer_state *k, struct span s)
{
    must(buf_put(&k->out, s));
}

static void put_u8(struct packer_state *k, unsigned v)
{
    uint8_t b = (uint8_t)v;

    put(k, span(&b, 1));
}

static void put_u16(struct packer_state *k, size_t v)
{
    put_u8(k, (unsigned)(v >> 8) & 0xff);
    put_u8(k, (unsigned)v & 0xff);
}

static void packet_end(struct packer_state *k, bool param)
{
    struct pack *p = k->p;
    uint8_t *h = k->out.mem + k->out.from + k->last_at;
    size_t len = buf_n(&k->out) - k->last_at;

    must(len <= UINT16_MAX);
    h[2] = (uint8_t)((len - INTERLEAVED_HDR) >> 8);
    h[3] = (uint8_t)(len - INTERLEAVED_HDR);
    p->packets = grown(p->packets, p->n_packets, sizeof *p->packets);
    p->packets[p->n_packets++] = (struct pack_packet){(uint32_t)len, param};
    k->frame_packets++;
}

static void set_marker(struct packer_state *k)
{
    k->out.mem[k->out.from + k->last_at + INTERLEAVED_HDR + 1] |= 0x80;
}

static void put_fragments(struct packer_state *k, struct span nal)
{
    bool h264 = k->p->source->codec == CODEC_H264;
    size_t head = h264 ? 1 : 2, room = k->p->opts.mtu - head - 1;
    enum pack_style style = k->p->opts.style;
    unsigned type = source_nal_type(k->p->source->codec, nal);
    struct span rest = span_from(nal, head);

    for (bool first = true; rest.n > 0; first = false) {
        struct span part = span_sub(rest, 0, room);
        rest = span_from(rest, part.n);
        unsigned fu = type;
        if (style == PACK_FU_TYPE && !first) fu = h264 ? 1 : 0;
        if (first) fu |= FU_START;
        if (rest.n == 0 && style != PACK_FU_NO_END) fu |= FU_END;
        if (style == PACK_FU_RESERVED && h264) fu |= FU_RESERVED;
        packet_begin(k);
        if (h264) {
            put_u8(k, (nal.p[0] & 0xe0u) | FU_A);
        } else {
            put_u8(k, (nal.p[0] & 0x81u) | H265_FU << 1);
            put_u8(k, nal.p[1]);
        }
        put_u8(k, fu);
        put(k, part);
        packet_end(k, false);
    }
}

static void put_nal(struct packer_state *k, struct span nal)
{
    bool vcl = source_is_vcl(k->p->source->codec, nal);
    size_t head = k->p->source->codec == CODEC_H264 ? 1 : 2;

    if (nal.n > k->p->opts.mtu || (k->p->opts.style == PACK_FU_WHOLE && vcl && nal.n > head)) {
        put_fragments(k, nal);
        return;
    }
    packet_begin(k);
    put(k, nal);
    packet_end(k, !vcl);
    if (!vcl && k->p->opts.style == PACK_MARKER_PARAMS) set_marker(k);
}

/* n NAL units that fit together: STAP-A (RFC 6184 5.7.1), AP (RFC 7798 4.4.2). */
static void put_joined(struct packer_state *k, const struct span *nals, size_t n)
{
    unsigned ref = 0;

    packet_begin(k);
    if (k->p->source->codec == CODEC_H264) {
        for (size_t i = 0; i < n; i++) ref = MAX(ref, nals[i].p[0] & 0x60u);
        put_u8(k, ref | STAP_A);
    } else {
        put_u8(k, H265_AP << 1);
        put_u8(k, 1);
    }
    for (size_t i = 0; i < n; i++) {
        put_u16(k, nals[i].n);
        put(k, nals[i]);
    }
    if (k->p->opts.style == PACK_STAP_ZERO) put_u16(k, 0);
    packet_end(k, true);
}

/* How many of the first units, none of them a slice, fit one packet. */
static size_t joinable(const struct pack *p, const struct span *nals, size_t n)
{
    size_t i = 0, size = 2;

    if (p->opts.style != PACK_NORMAL && p->opts.style != PACK_STAP_ZERO) return 0;
    while (i < n && !source_is_vcl(p->source->codec, nals[i]) && size + 2 + nals[i].n <= p->opts.mtu) {
        size += 2 + nals[i].n;
        i++;
    }
    return i;
}

static void put_annexb(struct packer_state *k, const struct span *nals, size_t n)
{
    CLEANUP(buf_done) struct buf joined;

    buf_init(&joined, PACK_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) must(buf_put(&joined, SPAN_LIT("\0\0\0\1")));
        must(buf_put(&joined, nals[i]));
    }
    put_nal(k, buf_span(&joined));
}

static void put_junk(struct packer_state *k)
{
    for (unsigned n = 0; n < 4; n++) {
        packet_begin(k);
        for (unsigned i = 0; i < n; i++) put_u8(k, 0);
        packet_end(k, false);
    }
}

static void put_video(struct packer_state *k, const struct source_au *au)
{
    const struct source *s = k->p->source;
    struct span nals[SOURCE_NALS_MAX];
    size_t n = 0;

    if (k->p->opts.params == PARAMS_EVERY_KEY && au->key)
        for (size_t i = 0; i < s->n_params; i++) nals[n++] = s->params[i];
    for (uint32_t i = 0; i < au->n && n < SOURCE_NALS_MAX; i++) {
        struct span nal = s->pieces[au->first + i];
        if (source_is_param(s->codec, nal) && k->p->opts.params != PARAMS_AS_IS) continue;
        nals[n++] = nal;
    }
    if (k->p->opts.style == PACK_ANNEXB) {
        put_annexb(k, nals, n);
        return;
    }
    if (k->p->opts.style == PACK_JUNK) put_junk(k);
    for (size_t i = 0; i < n;) {
        size_t join = joinable(k->p, nals + i, n - i);
        if (join > 1)
            put_joined(k, nals + i, join);
        else
            put_nal(k, nals[i]);
        i += MAX(join, 1u);
    }
}

static struct span with_adts(const struct source *s, struct span au, uint8_t *mem)
{
    size_t len = au.n + ADTS_HDR;
    unsigned type = s->config.p[0] >> 3, rate = (s->config.p[0] & 7u) << 1 | s->config.p[1] >> 7;

    mem[0] = 0xff;
    mem[1] = 0xf1;
    mem[2] = (uint8_t)((type - 1) << 6 | rate << 2 | s->channels >> 2);
    mem[3] = (uint8_t)((s->channels & 3u) << 6 | len >> 11);
    mem[4] = (uint8_t)(len >> 3);
    mem[5] = (uint8_t)((len & 7) << 5 | 0x1f);
    mem[6] = 0xfc;
    memcpy(mem + ADTS_HDR, au.p, au.n);
    return span(mem, len);
}

/* RFC 3640 3.3.6: sizelength 13, indexlength 3. An access unit above the packet size goes in fragments that
 * all carry the whole size. */
static void put_aac(struct packer_state *k, const struct source_au *au, size_t n)
{
    const struct source *s = k->p->source;
    size_t room = k->p->opts.mtu - 4;
    struct span first = s->pieces[au->first];
    uint8_t adts[8192 + ADTS_HDR];

    if (k->p->opts.style == PACK_ADTS && first.n <= 8192) first = with_adts(s, first, adts);
    if (n == 1) {
        for (struct span rest = first; rest.n > 0;) {
            struct span part = span_sub(rest, 0, room);
            packet_begin(k);
            put_u16(k, 16);
            put_u16(k, first.n << 3);
            put(k, part);
            packet_end(k, false);
            rest = span_from(rest, part.n);
        }
        return;
    }
    packet_begin(k);
    put_u16(k, 16 * n);
    for (size_t i = 0; i < n; i++) put_u16(k, s->pieces[au[i].first].n << 3);
    for (size_t i = 0; i < n; i++) put(k, s->pieces[au[i].first]);
    packet_end(k, false);
}

static void put_opaque(struct packer_state *k, const struct source_au *au)
{
    for (struct span rest = k->p->source->pieces[au->first]; rest.n > 0;) {
        struct span part = span_sub(rest, 0, k->p->opts.mtu);
        packet_begin(k);
        put(k, part);
        packet_end(k, false);
        rest = span_from(rest, part.n);
    }
}

/* How many access units go into one frame of ours. */
static size_t group_of(const struct pack *p, size_t i)
{
    size_t n = 1, size = 4;

    if (p->source->codec != CODEC_AAC || p->opts.style == PACK_ADTS) return 1;
    size += p->source->pieces[p->source->aus[i].first].n;
    while (n < p->opts.aggregate && i + n < p->source->n_aus) {
        size += 2 + p->source->pieces[p->source->aus[i + n].first].n;
        if (size > p->opts.mtu) break;
        n++;
    }
    return n;
}

/* G.711: the marker begins a talk spurt (RFC 3551 4.1), it is not set on every packet. */
static bool wants_marker(enum codec c)
{
    return c != CODEC_PCMA && c != CODEC_PCMU && c != CODEC_OPUS;
}

static void put_frame(struct packer_state *k, size_t i, size_t n)
{
    struct pack *p = k->p;
    const struct source_au *au = p->source->aus + i;
    size_t at = buf_n(&k->out);

    k->frame_packets = 0;
    if (source_is_video(p->source))
        put_video(k, au);
    else if (p->source->codec == CODEC_AAC)
        put_aac(k, au, n);
    else
        put_opaque(k, au);
    if (k->frame_packets == 0) return;
    if (wants_marker(p->source->codec)) set_marker(k);
    must(k->frame_packets <= PACKET_PER_FRAME);
    p->frames = grown(p->frames, p->n_frames, sizeof *p->frames);
    p->frames[p->n_frames++] = (struct pack_frame){at, (uint32_t)(buf_n(&k->out) - at),
        (uint32_t)(p->n_packets - k->frame_packets), k->frame_packets, au->pts, au->key, (uint32_t)i};
    p->frame_max = MAX(p->frame_max, buf_n(&k->out) - at);
}

static bool same_opts(const struct pack_opts *a, const struct pack_opts *b)
{
    return a->mtu == b->mtu && a->style == b->style && a->params == b->params &&
        a->aggregate == b->aggregate && a->pt == b->pt;
}

const struct pack *pack_get(const struct source *s, const struct pack_opts *o)
{
    for (struct pack *p = packs; p != NULL; p = p->next)
        if (p->source == s && same_opts(&p->opts, o)) return p;

    struct pack *p = NEW(struct pack);
    struct packer_state k = {.p = p};
    p->source = s;
    p->opts = *o;
    buf_init(&k.out, PACK_MAX);
    for (size_t i = 0, n; i < s->n_aus; i += n) {
        n = group_of(p, i);
        put_frame(&k, i, n);
    }
    if (p->n_frames == 0) source_bad(s, "nothing left to send");
    p->bytes = buf_n(&k.out);
    p->mem = mem_dup(buf_span(&k.out).p, p->bytes);
    buf_done(&k.out);
    p->next = packs;
    packs = p;
    return p;
}

void pack_free_all(void)
{
    while (packs != NULL) {
        struct pack *p = packs;
        packs = p->next;
        mem_free(p->mem);
        mem_free(p->packets);
        mem_free(p->frames);
        mem_free(p);
    }
}
