/* Removes files that have left the index, in a thread of its own that waits for the disk so that the
 * storage's thread need not: one file after the other, at the lowest priority, with as much pause between
 * them as removing takes, unless it is urgent. Functions here are for the storage's thread. Tests:
 * tests/unit/archive/test_trash.c. */
#ifndef ARCHIVE_TRASH_H
#define ARCHIVE_TRASH_H

#include "archive/index.h"

struct trash;

/* storage_fd: of the storage's folder, duplicated. 0 or -errno. */
int trash_new(int storage_fd, struct trash **ret);
/* Ends behind the file that is being removed: trash_take then says all that is gone. What is left is found in
 * the index again. NULL too. */
void trash_stop(struct trash *t);
void trash_free(struct trash *t); /* stops it first; NULL too */
/* tries: how often it has failed. bytes: 0 when not known. */
void trash_put(struct trash *t, const struct index_ref *ref, uint64_t bytes);
void trash_urgent(struct trash *t, bool urgent);
/* Bytes of files that are still to be removed. */
uint64_t trash_leaving(struct trash *t);
/* What has been dealt with, for index_trash_settle: tries 0, the file is gone. At most max of them. */
size_t trash_take(struct trash *t, struct index_ref *out, size_t max);
bool trash_has(struct trash *t); /* something for trash_take */
bool trash_idle(struct trash *t);

#endif
