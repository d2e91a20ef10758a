/* H.265 over RTP: single NAL units, aggregation packets, fragmentation units; decoding order numbers are
 * stepped over where sprop-max-don-diff says that they are there (V12). PACI packets are dropped. Source: RFC
 * 7798 4.4, 7.1. */
#include "common/media/h265.h"
#include "common/proto/sdp.h"
#include "worker/video.h"

#define AP   48
#define FU   49
#define PACI 50
#define HEAD 2

struct h265_state {
    struct video v;
    bool don; /* DONL and DOND fields are there */
    struct h265_sps sps;
    struct h265_pps pps;
    uint32_t sps_rev, pps_rev; /* their numbers in the store, 0: none */
    struct h265_slice last;    /* first slice of the picture before */
    bool has_last;
    struct h265_poc poc;
};

static enum video_class classify(const uint8_t *head)
{
    uint8_t type = h265_type(head[0]);
    bool base_layer = (head[0] & 1) == 0 && head[1] >> 3 == 0;

    if (head[0] & 0x80 || (head[1] & 7) == 0) return VIDEO_BAD; /* V16: forbidden bit, temporal id -1 */
    if (!base_layer) return VIDEO_DROP;
    if (type <= 9 || h265_is_irap(type)) return VIDEO_SLICE;
    if (type >= H265_VPS && type <= H265_PPS) return VIDEO_PARAMS;
    if (type >= H265_AUD && type <= H265_END_STREAM) return VIDEO_BOUNDARY;
    if (type == H265_SEI_PREFIX) return VIDEO_SEI;
    if (type == H265_SEI_SUFFIX) return VIDEO_SUFFIX;
    return type >= AP && type <= PACI ? VIDEO_BAD : VIDEO_DROP;
}

/* Finds the sets a slice refers to and marks them. */
static bool find_sets(struct h265_state *h, const struct h265_slice *s, struct video_slice *ret)
{
    struct params *store = &h->v.params;
    struct param *pps = params_find(store, H265_PPS, s->pps_id), *sps, *vps;

    if (!pps || !(sps = params_find(store, H265_SPS, pps->parent))) return false;
    if (!(vps = params_find(store, H265_VPS, sps->parent))) return false;
    params_use(store, pps);
    params_use(store, sps);
    params_use(store, vps);
    ret->fresh = !pps->in_config || !sps->in_config || !vps->in_config;
    if (pps->rev != h->pps_rev && h265_pps_parse(param_span(pps), &h->pps) != H265_OK) return false;
    h->pps_rev = pps->rev;
    if (sps->rev != h->sps_rev && h265_sps_parse(param_span(sps), &h->sps) != H265_OK) return false;
    h->sps_rev = sps->rev;
    return true;
}

/* V13: two first slices of equal picture order count at one timestamp are one picture. */
static bool is_other(const struct h265_slice *a, const struct h265_slice *b)
{
    return h265_is_irap(a->nal_type) != h265_is_irap(b->nal_type) || h265_is_idr(b->nal_type) ||
        a->poc_lsb != b->poc_lsb;
}

static void slice(struct video *v, struct span begin, struct video_slice *ret)
{
    struct h265_state *h = (struct h265_state *)(void *)v;
    struct h265_slice s = {0};
    bool whole;

    if (h265_slice_begin(begin, &s) != H265_OK) {
        video_bad(v);
        return;
    }
    ret->first = s.first;
    ret->idr = h265_is_idr(s.nal_type);
    ret->key = h265_is_irap(s.nal_type);
    ret->missing = !find_sets(h, &s, ret);
    if (ret->missing) return;
    ret->reorder = h->sps.reorder;
    if (!s.first) {
        ret->intra = v->u.intra;
        return;
    }
    whole = h265_slice_parse(begin, &h->sps, &h->pps, &s) == H265_OK;
    ret->intra = whole && s.type == 2;
    ret->told = whole && s.has_poc && h->has_last;
    ret->other = ret->told && is_other(&h->last, &s);
    if (whole && s.has_poc) {
        ret->poc = h265_poc_next(&h->poc, &h->sps, &s);
        ret->has_poc = true;
    }
    h->last = s;
    h->has_last = whole;
}

static void describe(const struct video *v, struct track *t)
{
    const struct h265_state *h = (const struct h265_state *)(const void *)v;

    t->width = h->sps.width;
    t->height = h->sps.height;
    t->sar_w = h->sps.sar_w;
    t->sar_h = h->sps.sar_h;
}

static enum video_recovery recovery(struct span nal)
{
    int32_t frames;

    if (!h265_recovery_point(nal, &frames)) return RECOVERY_NONE;
    return frames == 0 ? RECOVERY_HERE : RECOVERY_LATER;
}

static const struct video_codec h265_codec = {.head_n = HEAD,
    .classify = classify,
    .slice = slice,
    .params_put = h265_params_put,
    .config = h265_config,
    .describe = describe,
    .recovery = recovery,
    .kinds = {H265_VPS, H265_SPS, H265_PPS}};

/* S14: taken set by set; the store describes the track only when all three kinds are there. */
static int init(struct depay *d, const struct depay_media *m)
{
    static const char *const keys[] = {"sprop-vps", "sprop-sps", "sprop-pps"};
    struct h265_state *h = (struct h265_state *)(void *)d;
    uint8_t mem[PARAMS_SET_MAX];

    video_init(&h->v, &h265_codec);
    h->don = sdp_fmtp_u32(m->fmtp, "sprop-max-don-diff", 0) > 0;
    for (unsigned i = 0; i < ARRAY_N(keys); i++) {
        struct span sets = sdp_fmtp(m->fmtp, keys[i]), nal;

        while (sdp_sprop_next(&sets, mem, sizeof mem, &nal)) video_hint(&h->v, nal);
    }
    return DEPAY_OK;
}

static void aggregation(struct h265_state *h, struct span items)
{
    struct rd r = rd_of(items);

    if (h->don) rd_skip(&r, 2);
    video_items(&h->v, r, h->don ? 1 : 0);
}

static void fragment(struct h265_state *h, struct span payload)
{
    struct video *v = &h->v;
    struct rd r = rd_of(payload);
    uint8_t head[HEAD], bits;
    struct span body;

    head[0] = rd_u8(&r);
    head[1] = rd_u8(&r);
    bits = rd_u8(&r);
    head[0] = (uint8_t)((head[0] & 0x81) | (bits & 63) << 1);
    if (h->don && bits & VIDEO_FU_START) rd_skip(&r, 2);
    body = rd_rest(&r);
    if (!rd_ok(&r)) {
        video_bad(v);
        return;
    }
    video_fu(v, head, bits, body);
}

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct h265_state *h = (struct h265_state *)(void *)d;
    uint8_t type;

    if (p->payload.n < HEAD) {
        h->v.base.c.bad += p->payload.n > 0;
        return;
    }
    type = h265_type(p->payload.p[0]);
    video_packet_begin(&h->v, p);
    if (type == FU) {
        fragment(h, p->payload);
    } else if (type == AP) {
        aggregation(h, span_from(p->payload, HEAD));
    } else if (type == PACI) {
        video_bad(&h->v);
    } else if (h->don && p->payload.n > HEAD + 2) {
        /* DONL stands between header and body. */
        video_fu_begin(&h->v, p->payload.p, span_from(p->payload, HEAD + 2));
        video_fu_end(&h->v);
    } else {
        video_nal(&h->v, p->payload);
    }
    video_packet_end(&h->v, p);
}

static void reset(struct depay *d)
{
    struct h265_state *h = (struct h265_state *)(void *)d;

    video_reset(d);
    h->has_last = false;
    h->poc = (struct h265_poc){0};
}

const struct depay_ops h265_depay = {.codec = CODEC_H265,
    .bytes = sizeof(struct h265_state),
    .clock_hz = 90000,
    .init = init,
    .done = video_done,
    .feed = feed,
    .detach = video_detach,
    .flush = video_flush,
    .reset = reset,
    .track = video_track};
