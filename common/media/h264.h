/* H.264: NAL unit kinds, parameter sets as far as a recorder needs them, slice headers up to the picture
 * order count, the decoder configuration. Sources: ITU-T H.264
 * (7.3.1, 7.3.2.1, 7.3.2.2, 7.3.3, 7.4.1.2.4, 8.2.1.1, D.2.8, E.1), ISO 14496-15 5.3.3. NAL units are given
 * with their header byte and without start code. Read leniently (V10): once the size is known nothing fails
 * any more, the rest falls back to defaults. Tests: tests/unit/media/test_h264.c, fuzz_h264_params. */
#ifndef MEDIA_H264_H
#define MEDIA_H264_H

#include "common/base/wr.h"
#include "common/media/params.h"

enum h264_nal {
    H264_SLICE = 1,
    H264_PART_A = 2,
    H264_PART_C = 4,
    H264_IDR = 5,
    H264_SEI = 6,
    H264_SPS = 7,
    H264_PPS = 8,
    H264_AUD = 9,
    H264_END_SEQ = 10,
    H264_END_STREAM = 11,
    H264_FILLER = 12
};

#define H264_SIZE_MAX 16384 /* luma samples a side */

/* Conditions (positive). */
enum { H264_OK = 0, H264_E_BAD = 1 };

struct h264_sps {
    uint8_t id, profile, compat, level;
    uint8_t chroma_format, depth_luma, depth_chroma; /* depths in bits */
    bool planes_apart, frames_only;
    uint8_t frame_num_bits, poc_type, poc_lsb_bits; /* poc_lsb_bits: 0 unless poc_type is 0 */
    uint16_t width, height;                         /* after cropping */
    uint16_t sar_w, sar_h;                          /* 1:1 where not stated */
    int8_t reorder;                                 /* max_num_reorder_frames; -1: not stated */
    uint64_t core;                                  /* of everything before the VUI, with SAR and reorder */
};

struct h264_pps {
    uint8_t id, sps_id;
};

/* Of a slice, as far as it tells pictures apart. has_poc: poc_lsb was reached. */
struct h264_slice {
    uint8_t nal_type, ref_idc;
    uint32_t first_mb, type; /* type: 0 to 9 */
    uint8_t pps_id;
    uint32_t frame_num, idr_id, poc_lsb;
    bool field, bottom, has_poc;
};

static inline uint8_t h264_type(uint8_t head)
{
    return head & 31;
}

int h264_sps_parse(struct span nal, struct h264_sps *ret);
int h264_pps_parse(struct span nal, struct h264_pps *ret);
/* First macroblock, type, PPS id: all that can be read without an SPS. */
int h264_slice_begin(struct span nal, struct h264_slice *ret);
/* The whole as far as the SPS lets it be read. Only the first 32 bytes or so of nal are needed. */
int h264_slice_parse(struct span nal, const struct h264_sps *sps, struct h264_slice *ret);
/* Is b the first slice of another picture than a (7.4.1.2.4)? The two fields of one frame count as one
 * picture. */
bool h264_other_picture(const struct h264_slice *a, const struct h264_slice *b);

/* Picture order count (8.2.1.1), for type 0. A zeroed one is at an IDR. */
struct h264_poc {
    int32_t prev_msb, prev_lsb; /* of the last reference picture */
};
int32_t h264_poc_next(struct h264_poc *p, const struct h264_sps *sps, const struct h264_slice *s);

/* The recovery point in an SEI NAL unit (D.2.8). false: there is none. */
struct h264_recovery {
    uint32_t frames; /* until the picture is right */
    bool exact;
};
bool h264_recovery_point(struct span nal, struct h264_recovery *ret);

/* Reads a parameter set and keeps it. PARAMS_OK, _NEW, _CHANGED, _FULL, or -1: not a parameter set that makes
 * sense. */
int h264_params_put(struct params *s, struct span nal);
/* AVCDecoderConfigurationRecord of the sets picked. false: no SPS and
 * PPS, or it does not fit. */
bool h264_config(struct wr *w, const struct params *s, enum params_pick pick);

#endif
