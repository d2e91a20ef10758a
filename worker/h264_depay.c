/* H.264 over RTP: single NAL units, STAP-A, FU-A whatever packetization-mode says (V7). Interleaved mode
 * (STAP-B, MTAP, FU-B) is refused: no camera was seen to use it. Source: RFC 6184 5.4 to 5.8, 8.1. */
#include "common/media/h264.h"
#include "common/proto/sdp.h"
#include "worker/video.h"

#define STAP_A           24
#define FU_A             28
#define STAP_B           25
#define FU_B             29
#define MODE_INTERLEAVED 2

struct h264_state {
    struct video v;
    struct h264_sps sps; /* of the slice before */
    uint32_t sps_rev;    /* its number in the store, 0: none */
    uint8_t pps_id;
    struct h264_slice last;
    bool has_last;
    struct h264_poc poc;
};

static enum video_class classify(const uint8_t *head)
{
    uint8_t type = h264_type(head[0]);

    if (head[0] & 0x80) return VIDEO_BAD; /* forbidden_zero_bit (V16) */
    if (type >= H264_SLICE && type <= H264_IDR) return VIDEO_SLICE;
    if (type == H264_SEI) return VIDEO_SEI;
    if (type == H264_SPS || type == H264_PPS) return VIDEO_PARAMS;
    if (type >= H264_AUD && type <= H264_END_STREAM) return VIDEO_BOUNDARY;
    if (type == 0 || type >= STAP_A) return VIDEO_BAD;
    return VIDEO_DROP; /* filler (V4), scalable and auxiliary layers */
}

/* Finds the sets a slice refers to and marks them. */
static bool find_sets(struct h264_state *h, const struct h264_slice *s, struct video_slice *ret)
{
    struct params *store = &h->v.params;
    struct param *pps = params_find(store, H264_PPS, s->pps_id), *sps;

    if (!pps || !(sps = params_find(store, H264_SPS, pps->parent))) return false;
    params_use(store, pps);
    params_use(store, sps);
    ret->fresh = !pps->in_config || !sps->in_config;
    h->pps_id = s->pps_id;
    if (sps->rev == h->sps_rev) return true;
    if (h264_sps_parse(param_span(sps), &h->sps) != H264_OK) return false;
    h->sps_rev = sps->rev;
    return true;
}

static void slice(struct video *v, struct span begin, struct video_slice *ret)
{
    struct h264_state *h = (struct h264_state *)(void *)v;
    struct h264_slice s = {0};
    bool whole;

    /* Partitions B and C belong to the picture of their A. */
    if (h264_type(begin.p[0]) > H264_PART_A && h264_type(begin.p[0]) <= H264_PART_C) return;
    if (h264_slice_begin(begin, &s) != H264_OK) {
        video_bad(v);
        return;
    }
    ret->first = s.first_mb == 0;
    ret->idr = ret->key = s.nal_type == H264_IDR;
    ret->intra = s.type % 5 == 2 || s.type % 5 == 4;
    ret->missing = !find_sets(h, &s, ret);
    if (ret->missing) return;
    ret->reorder = h->sps.reorder;
    whole = h264_slice_parse(begin, &h->sps, &s) == H264_OK;
    ret->told = whole && h->has_last;
    ret->other = ret->told && h264_other_picture(&h->last, &s);
    if (whole && s.has_poc && (!h->has_last || ret->other || !v->u.slices)) {
        ret->poc = h264_poc_next(&h->poc, &h->sps, &s);
        ret->has_poc = true;
    }
    h->last = s;
    h->has_last = whole;
}

static void describe(const struct video *v, struct track *t)
{
    const struct h264_state *h = (const struct h264_state *)(const void *)v;

    t->width = h->sps.width;
    t->height = h->sps.height;
    t->sar_w = h->sps.sar_w;
    t->sar_h = h->sps.sar_h;
}

static enum video_recovery recovery(struct span nal)
{
    struct h264_recovery r;

    if (!h264_recovery_point(nal, &r)) return RECOVERY_NONE;
    if (r.frames > 0) return RECOVERY_LATER;
    return r.exact ? RECOVERY_EXACT : RECOVERY_HERE;
}

static const struct video_codec h264_codec = {.head_n = 1,
    .classify = classify,
    .slice = slice,
    .params_put = h264_params_put,
    .config = h264_config,
    .describe = describe,
    .recovery = recovery,
    .kinds = {H264_SPS, H264_PPS}};

static int init(struct depay *d, const struct depay_media *m)
{
    struct video *v = (struct video *)(void *)d;
    struct span sets = sdp_fmtp(m->fmtp, "sprop-parameter-sets"), nal;
    uint8_t mem[PARAMS_SET_MAX];

    if (sdp_fmtp_u32(m->fmtp, "packetization-mode", 0) == MODE_INTERLEAVED) return DEPAY_E_MODE;
    video_init(v, &h264_codec);
    while (sdp_sprop_next(&sets, mem, sizeof mem, &nal)) video_hint(v, nal);
    return DEPAY_OK;
}

/* The reserved bit of its header is not looked at. */
static void fu(struct video *v, struct span payload)
{
    uint8_t head;

    if (payload.n < 2) {
        video_bad(v);
        return;
    }
    head = (uint8_t)((payload.p[0] & 0xe0) | h264_type(payload.p[1]));
    video_fu(v, &head, payload.p[1], span_from(payload, 2));
}

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct video *v = (struct video *)(void *)d;
    uint8_t type;

    if (p->payload.n == 0) return;
    type = h264_type(p->payload.p[0]);
    video_packet_begin(v, p);
    if (type == FU_A)
        fu(v, p->payload);
    else if (type == STAP_A)
        video_items(v, rd_of(span_from(p->payload, 1)), 0);
    else if (type >= STAP_B)
        video_bad(v);
    else
        video_nal(v, p->payload);
    video_packet_end(v, p);
}

static void reset(struct depay *d)
{
    struct h264_state *h = (struct h264_state *)(void *)d;

    video_reset(d);
    h->has_last = false;
    h->poc = (struct h264_poc){0};
}

const struct depay_ops h264_depay = {.codec = CODEC_H264,
    .bytes = sizeof(struct h264_state),
    .clock_hz = 90000,
    .init = init,
    .done = video_done,
    .feed = feed,
    .detach = video_detach,
    .flush = video_flush,
    .reset = reset,
    .track = video_track};
