/* The four uuid boxes that make a plain MP4 a segment of ours, which players skip: head (behind moov), mark
 * (behind each fragment), table and info (the footer). Layout of a segment: segment.h. Tests:
 * tests/unit/archive/test_segment.c, tests/fuzz/fuzz_segment.c. */
#ifndef ARCHIVE_SEGBOX_H
#define ARCHIVE_SEGBOX_H

#include "archive/seginfo.h"
#include "common/base/buf.h"

#define SEGBOX_TYPE_N 16
#define SEGBOX_TABLE_AT                                                                                      \
    32 /* bytes of the table's box before the table: header, type, number of samples, CRC-32C */
#define SEGBOX_INFO_MAX (8 + SEGBOX_TYPE_N + SEG_INFO_WIRE_MAX + 4)

/* uid, id, start, flags, tracks_hash, clock and base_dts of the info. */
bool segbox_head(struct buf *to, const struct seg_info *info);
/* The body of a uuid box. false: of another kind, or damaged. Sets those and the path. */
bool segbox_head_read(struct span body, struct seg_info *ret);

/* Behind a fragment: the CRC-32C of the file up to here. After a power cut a file may be as long as it was
 * and hold zeros where its last bytes never reached the disk: what stands before a mark that holds is whole.
 */
#define SEGBOX_MARK_BYTES (8 + SEGBOX_TYPE_N + 4)
void segbox_mark(struct wr *w, uint32_t crc);
/* box: SEGBOX_MARK_BYTES of a file. false: no mark. */
bool segbox_mark_read(struct span box, uint32_t *ret_crc);

/* The footer of a file of info->table_at bytes whose CRC so far is info->crc: `head` gets what goes before
 * the table, `tail` what goes behind it. Completes info: bytes and crc. */
bool segbox_footer(struct buf *head, struct buf *tail, struct span table, struct seg_info *info);
/* The size of the info box, from the last four bytes of a file; 0: there is none. */
uint32_t segbox_info_size(struct span last4);
/* box: a whole info box. false: no such box, or damaged. */
bool segbox_info_read(struct span box, struct seg_info *ret);
/* from: a file's bytes from the table's box on. The table itself, or p == NULL: none, damaged, or not of
 * `samples`. */
struct span segbox_table_read(struct span from, uint32_t samples);

#endif
