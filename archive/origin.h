/* Which node recorded a segment that came from another one, beside its bytes, which are that node's: an
 * extended attribute of its file, so that an index which is built anew from the files knows it too. Where the
 * file system has none (FAT, NFS before 4.2) the index alone knows. A worker may write what it likes there,
 * as anywhere in its folder: it names a node, and gives no right. Tests: tests/unit/archive/test_fill.c. */
#ifndef ARCHIVE_ORIGIN_H
#define ARCHIVE_ORIGIN_H

#include "archive/seginfo.h"

void origin_note(int fd, uint16_t node);
/* Bits of seg_info's flags: SEG_FILLED and the node; 0: it is this node's own, as far as is known. */
uint32_t origin_flags(int fd);
/* As an index says it. */
static inline uint32_t origin_bits(uint16_t node)
{
    return SEG_FILLED | (uint32_t)node << SEG_ORIGIN_SHIFT;
}

#endif
