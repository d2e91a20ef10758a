/* What NAL units of H.264 and H.265 have in common: places in their syntax that are read alike, and parameter
 * sets as decoder configurations write them. Sources: ITU-T H.264 and H.265, ISO/IEC 14496-15. Tests:
 * tests/unit/media/test_h264.c, test_h265.c. */
#ifndef MEDIA_NAL_H
#define MEDIA_NAL_H

#include "common/base/bits.h"
#include "common/base/wr.h"
#include "common/media/params.h"

/* Sample aspect ratio, table E-1 of both (E.1 in H.265): aspect_ratio_idc and what follows. Nothing is
 * written for a ratio that is not stated or none. */
void nal_sar(struct bits *b, uint16_t *w, uint16_t *h);
/* Takes a cropping in units of samples off. One that leaves nothing is nonsense: the coded size is shown
 * then. */
void nal_crop(const uint32_t crop[4], uint32_t unit_x, uint32_t unit_y, uint64_t *w, uint64_t *h);
/* FNV-1a over the bits between two places of the same NAL unit. */
uint64_t nal_hash(struct bits from, const struct bits *to);
uint64_t nal_hash_bytes(struct span nal);
/* High part of a picture order count whose low `bits` bits are lsb (H.264 8.2.1.1, H.265 8.3.1), from the
 * parts of the count before. */
int32_t nal_poc_msb(int32_t prev_msb, int32_t prev_lsb, int32_t lsb, unsigned bits);
/* Goes to the recovery point in an SEI, behind the NAL unit's header. false: there is none. */
bool nal_sei_recovery(struct bits *b);
/* The picked sets of a kind, each behind its length of 16 bits. */
void nal_write_sets(struct wr *w, const struct params *s, uint8_t kind, enum params_pick pick);

#endif
