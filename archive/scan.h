/* Finds the segments that are on a disk and not in its index: after a start, after a worker's death, to
 * rebuild it. Goes in small steps, one file each, newest first, so that the storage's thread can do other
 * work in between.
 *
 * A segment without a footer is repaired when nobody writes it: its folder's lock is free, or its writer (a
 * worker writes one at a time) has long gone on to a newer one. Tests: tests/unit/archive/test_scan.c. */
#ifndef ARCHIVE_SCAN_H
#define ARCHIVE_SCAN_H

#include "archive/seginfo.h"
#include "archive/storage.h"

#define SCAN_SETTLE_US                                                                                       \
    (10 * US_PER_S) /* a file that is not the newest and was not written for so long is nobody's */
#define SCAN_RECENT_US (48LL * 3600 * US_PER_S) /* what is looked at before the newest one in the index */

/* Why a folder has to be looked at again; both may be. */
enum {
    SCAN_BUSY = 1,  /* something is being written, perhaps */
    SCAN_FAILED = 2 /* the disk said no, or a repair has to wait */
};

struct scan_ops {
    /* Is it in the index, or on its way there? */
    bool (*known)(void *arg, const char *uid, uint64_t id);
    /* Is it being written, as its worker says? */
    bool (*writing)(void *arg, const char *uid, uint64_t id);
    /* Wall clock of the newest one in the index that is not in the future; 0: look at all. */
    usec_t (*newest)(void *arg, const char *uid);
    void (*found)(void *arg, const struct seg_info *info);
    /* May a segment of this stream be repaired now? A repair reads the whole file. */
    bool (*may_repair)(void *arg, const char *uid);
    void (*unrepaired)(void *arg, const char *uid, int err); /* negative */
    void (*alive)(void *arg);                                /* between the reads of a long file */
    /* The folder has been looked at. left: SCAN_*. */
    void (*done)(void *arg, const char *uid, unsigned left);
};

struct scan;
struct scan *scan_new(const struct storage *s, const struct scan_ops *ops, void *arg);
void scan_free(struct scan *c);
/* Looks at this stream's folder; again, when it is being looked at now. */
void scan_uid(struct scan *c, const char *uid);
/* Looks at every folder of the storage. 0 or -errno. */
int scan_all(struct scan *c);
/* One small step. false: there is nothing to do. */
bool scan_step(struct scan *c);

#endif
