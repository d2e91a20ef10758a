/* Segments that the index does not know yet, found by their names in the day's folder: closed ones, until the
 * keeper's next syncfs has covered them, and the one that is still written. Whoever reads an archive's index
 * asks here for what lies behind its newest segment. May block on the disk. Tests:
 * tests/unit/httpd/test_archive.c. */
#ifndef ARCHIVE_FRESH_H
#define ARCHIVE_FRESH_H

#include "archive/index.h"

#define FRESH_MOST_US                                                                                        \
    (1800 * US_PER_S) /* older than this, what is not in the index is the keeper's to find */
#define FRESH_MAX 64

struct fresh_ask {
    const char *storage, *uid; /* path of the storage */
    usec_t newest_us;          /* what begins then, or later, is not looked for: the open segment; now */
    uint64_t open;             /* this one neither; 0: none is known */
    usec_t from_us;            /* nothing is wanted of what ended before */
};
struct fresh_ops {
    void (*closed)(void *arg, const struct seg_info *info);
    /* It has no footer: it is being written, or a crash left it. NULL: not of interest. */
    void (*unclosed)(void *arg, uint64_t id, int fd);
};
/* In no order. */
void fresh_find(struct index *ix, const struct fresh_ask *q, const struct fresh_ops *ops, void *arg);

#endif
