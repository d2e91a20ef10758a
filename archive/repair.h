/* Repair of one segment that has no footer, as its writer died, or of which some was damaged since: reads its
 * fragments, cuts off the end that is not whole (no mark that holds stands behind it), and writes a footer
 * that knows what is whole. The caller makes sure that nobody writes it any more. Tests:
 * tests/unit/archive/test_repair.c. */
#ifndef ARCHIVE_REPAIR_H
#define ARCHIVE_REPAIR_H

#include "archive/segproof.h"

/* Conditions (positive). */
enum {
    REPAIR_OK = 0,
    REPAIR_E_EMPTY = 1, /* nothing was in it: the file has been removed */
    REPAIR_E_BAD = 2    /* not readable as a segment of this stream: renamed to <path>.bad */
};

/* Removes a segment's file, and the folders of its day, month and year where they are empty and the day is
 * over. 0, -ENOENT, other -errno. */
int repair_remove(int records_fd, uint64_t id, usec_t now_us);
/* What a file with a footer says of itself, and whose it is (origin.h), when it is this stream's segment of
 * that id. SEG_OK, SEG_E_BAD, SEG_E_NO_FOOTER, -errno. */
int repair_look(int records_fd, const char *uid, uint64_t id, struct seg_info *ret);
/* REPAIR_*, -errno. */
int repair_segment(
    int records_fd, const char *uid, uint64_t id, const struct segproof_watch *watch, struct seg_info *ret);
/* Of one that was closed once: where nothing of it is whole the file stays as it is, REPAIR_E_BAD. */
int repair_closed(
    int records_fd, const char *uid, uint64_t id, const struct segproof_watch *watch, struct seg_info *ret);
/* Reads the segment back, from the disk and not from the page cache: is every byte what its footer says?
 * SEG_OK, SEG_E_BAD, SEG_E_NO_FOOTER (or it is another's footer), -errno. */
int repair_verify(int records_fd, const struct seg_info *info, const struct segproof_watch *watch);

#endif
