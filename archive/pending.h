/* Segments on their way into a storage's index, in the order they came. After a syncfs that failed, what was
 * being written then may not be on the disk, whatever a later one says (the kernel tells each error once):
 * those are doubtful until they have been read back, and so are those that a power cut may have hit. Tests:
 * tests/unit/archive/test_work.c. */
#ifndef ARCHIVE_PENDING_H
#define ARCHIVE_PENDING_H

#include "archive/index.h"
#include "common/base/list.h"

#define PENDING_MAX 4000 /* more are found again on the disk later */

struct pending {
    struct list sure, doubtful; /* struct pending_seg */
    size_t n_sure, n_doubtful;
    usec_t doubt_us; /* wall clock of the last syncfs that failed, 0: none */
};
struct pending_seg {
    struct list link;
    struct seg_info info;
};

void pending_init(struct pending *p);
/* Takes all out; when a syncfs failed stays known. */
void pending_clear(struct pending *p);
/* doubtful: in any case. false: there are too many. */
bool pending_add(struct pending *p, const struct seg_info *info, bool doubtful);
/* A syncfs has failed: all that is here is doubtful, and what is added and began before. */
void pending_doubt(struct pending *p, usec_t wall_us);
/* The oldest doubtful one, NULL: none. */
struct pending_seg *pending_doubtful(const struct pending *p);
/* Any of this stream's? */
bool pending_has(const struct pending *p, const char *uid);
bool pending_is_doubtful(const struct pending *p, const char *uid, uint64_t id);
/* It has been read back: goes with the others (keep), or out. */
void pending_settle(struct pending *p, struct pending_seg *s, bool keep);
/* The first n sure ones into the index, in one transaction. INDEX_*, -errno. */
int pending_put(const struct pending *p, struct index *ix, size_t n);
/* The first n sure ones are on the disk: their files leave the page cache (footage is seldom read again). */
void pending_uncache(const struct pending *p, size_t n, const char *storage_path);
/* Takes them out; stored: says so of each. */
void pending_drop(
    struct pending *p, size_t n, void (*stored)(void *arg, const char *uid, uint64_t id), void *arg);

#endif
