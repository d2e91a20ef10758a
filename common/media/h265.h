/* H.265: NAL unit kinds, parameter sets as far as a recorder needs them, slice headers up to the picture
 * order count, the decoder configuration. Sources: ITU-T H.265 (7.3.1.2, 7.3.2.1
 * to 7.3.2.3, 7.3.3, 7.3.6.1, 8.3.1, D.2.8, E.2.1), ISO 14496-15 8.3.3. NAL units are given with their two
 * header bytes and without start code. Read leniently (V10, V11): once the size is known nothing fails any
 * more, the rest falls back to defaults. Tests: tests/unit/media/test_h265.c, fuzz_h265_params. */
#ifndef MEDIA_H265_H
#define MEDIA_H265_H

#include "common/base/wr.h"
#include "common/media/params.h"

enum h265_nal {
    H265_TRAIL_N = 0, /* a slice like any other (V11) */
    H265_BLA_W_LP = 16,
    H265_BLA_N_LP = 18,
    H265_IDR_W_RADL = 19,
    H265_IDR_N_LP = 20,
    H265_CRA = 21,
    H265_IRAP_LAST = 23,
    H265_VCL_LAST = 31,
    H265_VPS = 32,
    H265_SPS = 33,
    H265_PPS = 34,
    H265_AUD = 35,
    H265_END_SEQ = 36,
    H265_END_STREAM = 37,
    H265_FILLER = 38,
    H265_SEI_PREFIX = 39,
    H265_SEI_SUFFIX = 40
};

#define H265_SIZE_MAX 16384 /* luma samples a side */

/* Conditions (positive). */
enum { H265_OK = 0, H265_E_BAD = 1 };

struct h265_sps {
    uint8_t id, vps_id;
    uint8_t general[12]; /* profile, compatibility, constraints, level: as the configuration wants them */
    uint8_t layers;      /* sub-layers, at least 1 */
    bool nested;         /* sps_temporal_id_nesting_flag */
    uint8_t chroma_format, depth_luma, depth_chroma;
    bool planes_apart;
    uint8_t poc_lsb_bits;
    uint16_t width, height; /* after the conformance window */
    uint16_t sar_w, sar_h;
    int8_t reorder; /* sps_max_num_reorder_pics of the highest sub-layer; -1: not read */
    uint64_t core;  /* of everything before the VUI, with SAR */
};

struct h265_pps {
    uint8_t id, sps_id;
    bool dependent_slices, output_flag;
    uint8_t extra_bits; /* num_extra_slice_header_bits */
};

struct h265_slice {
    uint8_t nal_type, temporal_id;
    bool first; /* first_slice_segment_in_pic_flag */
    uint8_t pps_id;
    uint32_t type; /* 0 B, 1 P, 2 I */
    uint32_t poc_lsb;
    bool has_poc;
};

static inline uint8_t h265_type(uint8_t head)
{
    return head >> 1 & 63;
}
static inline bool h265_is_irap(uint8_t type)
{
    return type >= H265_BLA_W_LP && type <= H265_IRAP_LAST;
}
static inline bool h265_is_idr(uint8_t type)
{
    return type == H265_IDR_W_RADL || type == H265_IDR_N_LP;
}

int h265_sps_parse(struct span nal, struct h265_sps *ret);
int h265_pps_parse(struct span nal, struct h265_pps *ret);
/* First flag and PPS id: all that can be read without parameter sets. */
int h265_slice_begin(struct span nal, struct h265_slice *ret);
/* The whole, of a first slice. Only the first 32 bytes or so of nal are needed. */
int h265_slice_parse(
    struct span nal, const struct h265_sps *sps, const struct h265_pps *pps, struct h265_slice *ret);

/* Picture order count (8.3.1). A zeroed one is at an IDR. */
struct h265_poc {
    int32_t prev; /* of the last picture of temporal layer 0 that is neither RASL, RADL nor a sub-layer
                     non-reference */
};
int32_t h265_poc_next(struct h265_poc *p, const struct h265_sps *sps, const struct h265_slice *s);

/* Is there a recovery point in a prefix SEI NAL unit (D.2.8)? *ret_frames: until the picture is right. */
bool h265_recovery_point(struct span nal, int32_t *ret_frames);

/* Reads a parameter set and keeps it. PARAMS_OK, _NEW, _CHANGED, _FULL, or -1: not a parameter set that makes
 * sense. */
int h265_params_put(struct params *s, struct span nal);
/* HEVCDecoderConfigurationRecord of the sets picked. false: no VPS,
 * SPS and PPS, or it does not fit. */
bool h265_config(struct wr *w, const struct params *s, enum params_pick pick);

#endif
