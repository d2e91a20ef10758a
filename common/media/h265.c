#include "common/media/h265.h"
#include "common/media/nal.h"

#define SPS_ID_MAX    15
#define PPS_ID_MAX    63
#define RPS_MAX       64 /* short-term reference picture sets of an SPS */
#define RPS_PICS_MAX  16 /* pictures of one set */
#define LONG_TERM_MAX 32
#define REORDER_MAX   15

/* 7.3.3: the general part is kept as bytes, those of the sub-layers are stepped over. */
static void read_tier_level(struct bits *b, struct h265_sps *s)
{
    bool profile[8] = {0}, level[8] = {0};
    unsigned subs = s->layers - 1u;

    for (unsigned i = 0; i < sizeof s->general; i++) s->general[i] = (uint8_t)bits_u(b, 8);
    for (unsigned i = 0; i < subs; i++) {
        profile[i] = bits_flag(b);
        level[i] = bits_flag(b);
    }
    if (subs > 0) bits_skip(b, 2 * (8 - subs));
    for (unsigned i = 0; i < subs; i++) {
        if (profile[i]) bits_skip(b, 88);
        if (level[i]) bits_skip(b, 8);
    }
}

static bool read_size(struct bits *b, struct h265_sps *s)
{
    uint32_t chroma = bits_ue(b), crop[4] = {0}, unit_x, unit_y;
    uint64_t w, h;

    if (chroma > 3) return false;
    s->chroma_format = (uint8_t)chroma;
    if (chroma == 3) s->planes_apart = bits_flag(b);
    w = bits_ue(b);
    h = bits_ue(b);
    if (bits_flag(b))
        for (unsigned i = 0; i < 4; i++) crop[i] = bits_ue(b);
    if (!bits_ok(b) || w == 0 || h == 0 || w > H265_SIZE_MAX || h > H265_SIZE_MAX) return false;
    unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
    unit_y = chroma == 1 ? 2 : 1;
    nal_crop(crop, unit_x, unit_y, &w, &h);
    s->width = (uint16_t)w;
    s->height = (uint16_t)h;
    return true;
}

/* 7.3.4 */
static void skip_scaling_lists(struct bits *b)
{
    for (unsigned size = 0; size < 4; size++)
        for (unsigned m = 0; m < 6 && bits_ok(b); m += size == 3 ? 3 : 1) {
            if (!bits_flag(b)) {
                bits_ue(b);
                continue;
            }
            if (size > 1) bits_se(b);
            for (unsigned i = 0; i < MIN(64u, 1u << (4 + 2 * size)) && bits_ok(b); i++) bits_se(b);
        }
}

/* 7.3.7. pics: number of pictures of each set so far, which inter prediction needs (7-61, 7-62). */
static void skip_rps(struct bits *b, unsigned at, uint8_t *pics)
{
    uint32_t negative, positive;

    if (at > 0 && bits_flag(b)) {
        unsigned n = 0;

        bits_flag(b);
        bits_ue(b);
        for (unsigned i = 0; i <= pics[at - 1] && bits_ok(b); i++) {
            bool used = bits_flag(b), delta = used || bits_flag(b);

            n += delta;
        }
        if (n > RPS_PICS_MAX) b->bad = true;
        pics[at] = (uint8_t)MIN(n, RPS_PICS_MAX);
        return;
    }
    negative = bits_ue(b);
    positive = bits_ue(b);
    if (negative > RPS_PICS_MAX || positive > RPS_PICS_MAX || negative + positive > RPS_PICS_MAX) {
        b->bad = true;
        return;
    }
    for (uint32_t i = 0; i < negative + positive && bits_ok(b); i++) {
        bits_ue(b);
        bits_flag(b);
    }
    pics[at] = (uint8_t)(negative + positive);
}

static void skip_reference_sets(struct bits *b, unsigned poc_lsb_bits)
{
    uint8_t pics[RPS_MAX] = {0};
    uint32_t n = bits_ue(b), long_term;

    if (n > RPS_MAX) b->bad = true;
    for (uint32_t i = 0; i < n && bits_ok(b); i++) skip_rps(b, i, pics);
    if (!bits_flag(b)) return;
    long_term = bits_ue(b);
    if (long_term > LONG_TERM_MAX) b->bad = true;
    for (uint32_t i = 0; i < long_term && bits_ok(b); i++) bits_skip(b, poc_lsb_bits + 1);
}

/* From log2_min_luma_coding_block_size to the VUI. */
static void skip_tools(struct bits *b, const struct h265_sps *s)
{
    bool lists;

    for (unsigned i = 0; i < 6; i++) bits_ue(b);
    lists = bits_flag(b); /* scaling_list_enabled_flag, then sps_scaling_list_data_present_flag */
    if (lists && bits_flag(b)) skip_scaling_lists(b);
    bits_skip(b, 2);    /* amp, sample adaptive offset */
    if (bits_flag(b)) { /* pcm */
        bits_skip(b, 8);
        bits_ue(b);
        bits_ue(b);
        bits_flag(b);
    }
    skip_reference_sets(b, s->poc_lsb_bits);
    bits_skip(b, 2); /* temporal mvp, strong intra smoothing */
}

static void read_reorder(struct bits *b, struct h265_sps *s)
{
    bool each = bits_flag(b);
    uint32_t reorder = 0;

    for (unsigned i = each ? 0 : s->layers - 1u; i < s->layers; i++) {
        bits_ue(b);
        reorder = bits_ue(b);
        bits_ue(b);
    }
    if (bits_ok(b) && reorder <= REORDER_MAX) s->reorder = (int8_t)reorder;
}

/* Bit depths, picture order count length and what follows; none of it can cost the size any more. */
static void read_behind_size(struct bits *b, struct bits start, size_t n, struct h265_sps *s)
{
    uint32_t luma = bits_ue(b), chroma = bits_ue(b), lsb = bits_ue(b);
    struct bits end;
    bool vui;

    if (bits_ok(b) && luma <= 8 && chroma <= 8) {
        s->depth_luma = (uint8_t)(8 + luma);
        s->depth_chroma = (uint8_t)(8 + chroma);
    }
    if (bits_ok(b) && lsb <= 12)
        s->poc_lsb_bits = (uint8_t)(lsb + 4);
    else
        b->bad = true;
    read_reorder(b, s);
    skip_tools(b, s);
    end = *b;
    if (!bits_ok(b)) end.at = n;
    /* E.2.1: only the aspect ratio is wanted, which comes first. */
    vui = bits_flag(b);
    if (vui && bits_flag(b)) nal_sar(b, &s->sar_w, &s->sar_h);
    s->core = nal_hash(start, &end) ^ ((uint64_t)s->sar_w << 32 | (uint64_t)s->sar_h << 16);
}

int h265_sps_parse(struct span nal, struct h265_sps *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 2)), start = b;
    struct h265_sps s = {.depth_luma = 8, .depth_chroma = 8, .sar_w = 1, .sar_h = 1, .reorder = -1};
    uint32_t id;

    if (nal.n < 4 || h265_type(nal.p[0]) != H265_SPS) return H265_E_BAD;
    s.vps_id = (uint8_t)bits_u(&b, 4);
    s.layers = (uint8_t)(bits_u(&b, 3) + 1);
    s.nested = bits_flag(&b);
    if (s.layers > 7) return H265_E_BAD;
    read_tier_level(&b, &s);
    id = bits_ue(&b);
    if (!bits_ok(&b) || id > SPS_ID_MAX || !read_size(&b, &s)) return H265_E_BAD;
    s.id = (uint8_t)id;
    read_behind_size(&b, start, nal.n, &s);
    *ret = s;
    return H265_OK;
}

int h265_pps_parse(struct span nal, struct h265_pps *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 2));
    uint32_t id = bits_ue(&b), sps_id = bits_ue(&b);

    if (nal.n < 3 || h265_type(nal.p[0]) != H265_PPS) return H265_E_BAD;
    if (!bits_ok(&b) || id > PPS_ID_MAX || sps_id > SPS_ID_MAX) return H265_E_BAD;
    *ret = (struct h265_pps){.id = (uint8_t)id, .sps_id = (uint8_t)sps_id};
    ret->dependent_slices = bits_flag(&b);
    ret->output_flag = bits_flag(&b);
    ret->extra_bits = (uint8_t)bits_u(&b, 3);
    return H265_OK;
}

static int slice_begin(struct bits *b, struct span nal, struct h265_slice *ret)
{
    uint32_t pps_id;

    *ret = (struct h265_slice){0};
    if (nal.n < 3) return H265_E_BAD;
    ret->nal_type = h265_type(nal.p[0]);
    ret->temporal_id = (uint8_t)MAX((nal.p[1] & 7) - 1, 0);
    ret->first = bits_flag(b);
    if (h265_is_irap(ret->nal_type)) bits_flag(b);
    pps_id = bits_ue(b);
    ret->pps_id = (uint8_t)MIN(pps_id, PPS_ID_MAX);
    return bits_ok(b) && pps_id <= PPS_ID_MAX ? H265_OK : H265_E_BAD;
}

int h265_slice_begin(struct span nal, struct h265_slice *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 2));

    return slice_begin(&b, nal, ret);
}

int h265_slice_parse(
    struct span nal, const struct h265_sps *sps, const struct h265_pps *pps, struct h265_slice *ret)
{
    struct bits b = bits_of_nal(span_from(nal, 2));
    int err = slice_begin(&b, nal, ret);

    if (err || !ret->first) return err;
    bits_skip(&b, pps->extra_bits);
    ret->type = bits_ue(&b);
    if (pps->output_flag) bits_flag(&b);
    if (sps->planes_apart) bits_u(&b, 2);
    if (!h265_is_idr(ret->nal_type)) ret->poc_lsb = bits_u(&b, sps->poc_lsb_bits);
    ret->has_poc = bits_ok(&b) && sps->poc_lsb_bits > 0;
    return bits_ok(&b) ? H265_OK : H265_E_BAD;
}

/* RADL, RASL (6 to 9) and the sub-layer non-reference types (even, up to 14) do not count (8.3.1). */
static bool is_poc_anchor(const struct h265_slice *s)
{
    return s->temporal_id == 0 && !(s->nal_type >= 6 && s->nal_type <= 9) &&
        !(s->nal_type <= 14 && s->nal_type % 2 == 0);
}

int32_t h265_poc_next(struct h265_poc *p, const struct h265_sps *sps, const struct h265_slice *s)
{
    int32_t lsb = (int32_t)s->poc_lsb, prev_lsb, msb;

    if (h265_is_idr(s->nal_type)) p->prev = 0;
    prev_lsb = p->prev & ((1 << sps->poc_lsb_bits) - 1);
    msb = nal_poc_msb(p->prev - prev_lsb, prev_lsb, lsb, sps->poc_lsb_bits);
    if (is_poc_anchor(s)) p->prev = msb + lsb;
    return msb + lsb;
}

bool h265_recovery_point(struct span nal, int32_t *ret_frames)
{
    struct bits b = bits_of_nal(span_from(nal, 2));

    if (nal.n < 3 || h265_type(nal.p[0]) != H265_SEI_PREFIX) return false;
    if (!nal_sei_recovery(&b)) return false;
    *ret_frames = bits_se(&b);
    return bits_ok(&b);
}

int h265_params_put(struct params *s, struct span nal)
{
    struct param what = {.kind = nal.n ? h265_type(nal.p[0]) : 0};

    if (what.kind == H265_VPS && nal.n > 2) {
        /* Decoders need little of it, and cameras change its timing: other bytes are no change. */
        what.id = nal.p[2] >> 4;
    } else if (what.kind == H265_SPS) {
        struct h265_sps sps;

        if (h265_sps_parse(nal, &sps) != H265_OK) return -1;
        what.id = sps.id;
        what.parent = sps.vps_id;
        what.core = sps.core;
    } else {
        struct h265_pps pps;

        if (h265_pps_parse(nal, &pps) != H265_OK) return -1;
        what.id = pps.id;
        what.parent = pps.sps_id;
        what.parent_kind = H265_SPS;
        what.core = nal_hash_bytes(nal);
    }
    return params_put(s, &what, nal);
}

static void write_array(struct wr *w, const struct params *s, uint8_t kind, enum params_pick pick)
{
    wr_u8(w, 0x80 | kind); /* array_completeness */
    wr_u16(w, (uint16_t)params_count(s, kind, pick));
    nal_write_sets(w, s, kind, pick);
}

bool h265_config(struct wr *w, const struct params *s, enum params_pick pick)
{
    static const uint8_t kinds[] = {H265_VPS, H265_SPS, H265_PPS};
    const struct param *first = params_next(s, H265_SPS, pick, -1);
    struct h265_sps sps;

    for (unsigned i = 0; i < ARRAY_N(kinds); i++)
        if (params_count(s, kinds[i], pick) == 0) return false;
    if (!first || h265_sps_parse(param_span(first), &sps) != H265_OK) return false;
    wr_u8(w, 1);
    wr_bytes(w, span(sps.general, sizeof sps.general));
    wr_u16(w, 0xf000); /* min_spatial_segmentation_idc: not stated */
    wr_u8(w, 0xfc);    /* parallelismType: not stated */
    wr_u8(w, 0xfc | sps.chroma_format);
    wr_u8(w, (uint8_t)(0xf8 | (sps.depth_luma - 8)));
    wr_u8(w, (uint8_t)(0xf8 | (sps.depth_chroma - 8)));
    wr_u16(w, 0); /* avgFrameRate: not stated */
    wr_u8(w, (uint8_t)(sps.layers << 3 | sps.nested << 2 | 3));
    wr_u8(w, ARRAY_N(kinds));
    for (unsigned i = 0; i < ARRAY_N(kinds); i++) write_array(w, s, kinds[i], pick);
    return wr_ok(w);
}
