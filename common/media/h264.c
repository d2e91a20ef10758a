#include "common/media/h264.h"
#include "common/media/nal.h"

#define SPS_ID_MAX    31
#define PPS_ID_MAX    255
#define REORDER_MAX   16 /* frames: MaxDpbFrames of every level */
#define POC_CYCLE_MAX 255
#define NRI_OF(head)  ((head) >> 5 & 3)

/* Profiles whose SPS says chroma format and scaling lists (7.3.2.1.1). */
static const uint8_t high_profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};

static bool is_high(uint8_t profile)
{
    return memchr(high_profiles, profile, sizeof high_profiles) != NULL;
}

static void skip_scaling_list(struct bits *b, unsigned n)
{
    uint32_t last = 8, next = 8;

    for (unsigned i = 0; i < n && bits_ok(b); i++) {
        if (next != 0) next = (last + (uint32_t)bits_se(b)) % 256;
        last = next == 0 ? last : next;
    }
}

static void read_high(struct bits *b, struct h264_sps *s)
{
    uint32_t chroma = bits_ue(b), luma_depth, chroma_depth;

    if (chroma > 3) b->bad = true;
    s->chroma_format = (uint8_t)MIN(chroma, 3);
    if (chroma == 3) s->planes_apart = bits_flag(b);
    luma_depth = bits_ue(b);
    chroma_depth = bits_ue(b);
    if (luma_depth > 6 || chroma_depth > 6) b->bad = true;
    s->depth_luma = (uint8_t)(8 + MIN(luma_depth, 6));
    s->depth_chroma = (uint8_t)(8 + MIN(chroma_depth, 6));
    bits_flag(b); /* qpprime_y_zero_transform_bypass_flag */
    if (!bits_flag(b)) return;
    for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); i++)
        if (bits_flag(b)) skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void read_poc(struct bits *b, struct h264_sps *s)
{
    uint32_t type = bits_ue(b), n;

    if (type > 2) b->bad = true;
    s->poc_type = (uint8_t)MIN(type, 2);
    if (type == 0) {
        n = bits_ue(b) + 4;
        if (n > 16) b->bad = true;
        s->poc_lsb_bits = (uint8_t)MIN(n, 16);
    } else if (type == 1) {
        bits_flag(b);
        bits_se(b);
        bits_se(b);
        n = bits_ue(b);
        if (n > POC_CYCLE_MAX) b->bad = true;
        for (uint32_t i = 0; i < n && bits_ok(b); i++) bits_se(b);
    }
}

/* Size in macroblocks and the cropping, in units of 7.4.2.1.1. */
static bool read_size(struct bits *b, struct h264_sps *s)
{
    uint32_t wide = bits_ue(b), high = bits_ue(b), crop[4] = {0}, unit_x, unit_y;
    uint64_t w, h;

    s->frames_only = bits_flag(b);
    if (!s->frames_only) bits_flag(b);
    bits_flag(b); /* direct_8x8_inference_flag */
    if (bits_flag(b))
        for (unsigned i = 0; i < 4; i++) crop[i] = bits_ue(b);
    if (!bits_ok(b) || wide >= H264_SIZE_MAX / 16 || high >= H264_SIZE_MAX / 16) return false;
    w = 16 * (wide + 1);
    h = 16 * (high + 1) * (s->frames_only ? 1 : 2);
    unit_x = s->chroma_format == 1 || s->chroma_format == 2 ? 2 : 1;
    unit_y = (s->chroma_format == 1 ? 2 : 1) * (s->frames_only ? 1 : 2);
    nal_crop(crop, unit_x, unit_y, &w, &h);
    if (h > H264_SIZE_MAX) return false;
    s->width = (uint16_t)w;
    s->height = (uint16_t)h;
    return true;
}

static void skip_hrd(struct bits *b)
{
    uint32_t n = bits_ue(b);

    if (n > 31) b->bad = true;
    bits_skip(b, 8);
    for (uint32_t i = 0; i <= n && bits_ok(b); i++) {
        bits_ue(b);
        bits_ue(b);
        bits_flag(b);
    }
    bits_skip(b, 20);
}

/* E.1.1. Each field is kept as soon as it was read whole; a broken VUI costs what stands behind the break. */
static void read_vui(struct bits *b, struct h264_sps *s)
{
    bool nal_hrd, vcl_hrd;

    if (bits_flag(b)) nal_sar(b, &s->sar_w, &s->sar_h);
    if (bits_flag(b)) bits_flag(b); /* overscan */
    if (bits_flag(b)) {             /* video signal type */
        bits_skip(b, 4);
        if (bits_flag(b)) bits_skip(b, 24);
    }
    if (bits_flag(b)) { /* chroma location */
        bits_ue(b);
        bits_ue(b);
    }
    if (bits_flag(b)) bits_skip(b, 65); /* timing: not believed (S15) */
    nal_hrd = bits_flag(b);
    if (nal_hrd) skip_hrd(b);
    vcl_hrd = bits_flag(b);
    if (vcl_hrd) skip_hrd(b);
    if (nal_hrd || vcl_hrd) bits_flag(b);
    bits_flag(b); /* pic_struct_present_flag */
    if (bits_flag(b)) {
        uint32_t reorder, buffering;

        bits_flag(b);
        for (unsigned i = 0; i < 4; i++) bits_ue(b);
        reorder = bits_ue(b);
        buffering = bits_ue(b);
        if (bits_ok(b) && reorder <= buffering && reorder <= REORDER_MAX) s->reorder = (int8_t)reorder;
    }
}

int h264_sps_parse(struct span nal, struct h264_sps *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 1)), start = b, end;
    struct h264_sps s = {
        .chroma_format = 1, .depth_luma = 8, .depth_chroma = 8, .sar_w = 1, .sar_h = 1, .reorder = -1};
    uint32_t id, frame_num_bits;

    if (nal.n < 4 || h264_type(nal.p[0]) != H264_SPS) return H264_E_BAD;
    s.profile = (uint8_t)bits_u(&b, 8);
    s.compat = (uint8_t)bits_u(&b, 8);
    s.level = (uint8_t)bits_u(&b, 8);
    id = bits_ue(&b);
    if (is_high(s.profile)) read_high(&b, &s);
    frame_num_bits = bits_ue(&b) + 4;
    read_poc(&b, &s);
    bits_ue(&b); /* max_num_ref_frames */
    bits_flag(&b);
    if (id > SPS_ID_MAX || frame_num_bits > 16 || !read_size(&b, &s)) return H264_E_BAD;
    s.id = (uint8_t)id;
    s.frame_num_bits = (uint8_t)frame_num_bits;
    end = b;
    if (bits_flag(&b)) read_vui(&b, &s);
    /* Output order is decoding order (8.2.1, A.2.1). */
    if (s.poc_type == 2 || s.profile == 66) s.reorder = 0;
    s.core = nal_hash(start, &end) ^ ((uint64_t)s.sar_w << 32 | (uint64_t)s.sar_h << 16 | (uint8_t)s.reorder);
    *ret = s;
    return H264_OK;
}

int h264_pps_parse(struct span nal, struct h264_pps *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 1));
    uint32_t id = bits_ue(&b), sps_id = bits_ue(&b);

    if (nal.n < 2 || h264_type(nal.p[0]) != H264_PPS) return H264_E_BAD;
    if (!bits_ok(&b) || id > PPS_ID_MAX || sps_id > SPS_ID_MAX) return H264_E_BAD;
    *ret = (struct h264_pps){(uint8_t)id, (uint8_t)sps_id};
    return H264_OK;
}

static int slice_begin(struct bits *b, struct span nal, struct h264_slice *ret)
{
    uint32_t pps_id;

    *ret = (struct h264_slice){0};
    if (nal.n < 2) return H264_E_BAD;
    ret->nal_type = h264_type(nal.p[0]);
    ret->ref_idc = NRI_OF(nal.p[0]);
    ret->first_mb = bits_ue(b);
    ret->type = bits_ue(b);
    pps_id = bits_ue(b);
    ret->pps_id = (uint8_t)MIN(pps_id, PPS_ID_MAX);
    return bits_ok(b) && ret->type <= 9 && pps_id <= PPS_ID_MAX ? H264_OK : H264_E_BAD;
}

int h264_slice_begin(struct span nal, struct h264_slice *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 1));

    return slice_begin(&b, nal, ret);
}

int h264_slice_parse(struct span nal, const struct h264_sps *sps, struct h264_slice *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 1));
    int err = slice_begin(&b, nal, ret);

    if (err) return err;
    if (sps->planes_apart) bits_u(&b, 2);
    ret->frame_num = bits_u(&b, sps->frame_num_bits);
    if (!sps->frames_only && bits_flag(&b)) {
        ret->field = true;
        ret->bottom = bits_flag(&b);
    }
    if (ret->nal_type == H264_IDR) ret->idr_id = bits_ue(&b);
    if (sps->poc_type == 0) ret->poc_lsb = bits_u(&b, sps->poc_lsb_bits);
    ret->has_poc = sps->poc_type == 0 && bits_ok(&b);
    return bits_ok(&b) ? H264_OK : H264_E_BAD;
}

bool h264_other_picture(const struct h264_slice *a, const struct h264_slice *b)
{
    bool idr_a = a->nal_type == H264_IDR, idr_b = b->nal_type == H264_IDR;

    if (a->frame_num != b->frame_num) return true;
    /* The second field of a frame: an IDR picture's may be a P field. */
    if (a->field && b->field && a->bottom != b->bottom) return false;
    if (a->field != b->field || (a->ref_idc == 0) != (b->ref_idc == 0) || idr_a != idr_b) return true;
    if (idr_a && a->idr_id != b->idr_id) return true;
    return a->has_poc && b->has_poc && a->poc_lsb != b->poc_lsb;
}

int32_t h264_poc_next(struct h264_poc *p, const struct h264_sps *sps, const struct h264_slice *s)
{
    int32_t lsb = (int32_t)s->poc_lsb, msb;

    if (s->nal_type == H264_IDR) *p = (struct h264_poc){0};
    msb = nal_poc_msb(p->prev_msb, p->prev_lsb, lsb, sps->poc_lsb_bits);
    if (s->ref_idc != 0) *p = (struct h264_poc){msb, lsb};
    return msb + lsb;
}

bool h264_recovery_point(struct span nal, struct h264_recovery *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 1));

    if (nal.n < 2 || h264_type(nal.p[0]) != H264_SEI) return false;
    if (!nal_sei_recovery(&b)) return false;
    *ret = (struct h264_recovery){.frames = bits_ue(&b)};
    ret->exact = bits_flag(&b);
    return bits_ok(&b);
}

int h264_params_put(struct params *s, struct span nal)
{
    struct param what = {.kind = nal.n ? h264_type(nal.p[0]) : 0};

    if (what.kind == H264_SPS) {
        struct h264_sps sps;

        if (h264_sps_parse(nal, &sps) != H264_OK) return -1;
        what.id = sps.id;
        what.core = sps.core;
    } else {
        struct h264_pps pps;

        if (h264_pps_parse(nal, &pps) != H264_OK) return -1;
        what.id = pps.id;
        what.parent = pps.sps_id;
        what.parent_kind = H264_SPS;
        what.core = nal_hash_bytes(nal);
    }
    return params_put(s, &what, nal);
}

bool h264_config(struct wr *w, const struct params *s, enum params_pick pick)
{
    unsigned sps_n = params_count(s, H264_SPS, pick), pps_n = params_count(s, H264_PPS, pick);
    const struct param *first = params_next(s, H264_SPS, pick, -1);
    struct h264_sps sps;

    if (!first || pps_n == 0 || sps_n > 31 || h264_sps_parse(param_span(first), &sps) != H264_OK)
        return false;
    wr_u8(w, 1);
    wr_u8(w, sps.profile);
    wr_u8(w, sps.compat);
    wr_u8(w, sps.level);
    wr_u8(w, 0xfc | 3); /* lengths of 4 bytes */
    wr_u8(w, (uint8_t)(0xe0 | sps_n));
    nal_write_sets(w, s, H264_SPS, pick);
    wr_u8(w, (uint8_t)pps_n);
    nal_write_sets(w, s, H264_PPS, pick);
    if (sps.profile == 100 || sps.profile == 110 || sps.profile == 122 || sps.profile == 144 ||
        sps.profile == 244) {
        wr_u8(w, 0xfc | sps.chroma_format);
        wr_u8(w, (uint8_t)(0xf8 | (sps.depth_luma - 8)));
        wr_u8(w, (uint8_t)(0xf8 | (sps.depth_chroma - 8)));
        wr_u8(w, 0);
    }
    return wr_ok(w);
}
