/* A segment's record in the index: seg_info without what its key says (uid, id, and the path that follows
 * from them), and small. About 120 bytes with 30 key frames, where seg_info_write needs 420.
 *
 *   u8 form (1) | varints: start less the id's millisecond (zigzag), length, bytes, bytes behind table_at,
 *   samples, flags | u64 tracks_hash | u8 bits of the tracks with a base_dts, zigzag each | damaged,
 * repaired, clock, clock_offset_us (zigzag) | u32 crc | n_keys, and of each its distance in ms and in samples
 * from the one before, less the distance of the one before (zigzag: regular key frames are two bytes) |
 * CRC-32C of the key and all of this
 *
 * A record of an older server, as seg_info_write writes it, is read as well. Tests:
 * tests/unit/archive/test_segrow.c, tests/fuzz/fuzz_segrow.c. */
#ifndef ARCHIVE_SEGROW_H
#define ARCHIVE_SEGROW_H

#include "archive/seginfo.h"

#define SEGROW_MAX (160 + SEG_KEYS_MAX * 20)

void segrow_write(struct wr *w, const struct seg_info *s);
/* false: damaged, or another segment's. */
bool segrow_read(struct span in, const char *uid, uint64_t id, struct seg_info *ret);

#endif
