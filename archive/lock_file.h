/* All locks a second time, beside the index: <storage>/.locks. Footage tells of itself and an index is built
 * anew out of it; locks are an order that stands nowhere else, and outlive an index that was damaged or taken
 * away.
 *
 * Records of LOCK_FILE_RECORD bytes, one behind the other, the newer one of an id counts: "MSLK", CRC-32C of
 * what follows, then, big-endian, id, start, end, version, released (8 bytes each), uid, by and note as text
 * with NULs behind. What does not hold its checksum is left out. Appended durably; written anew, under its
 * name at once, when it has more records than there are locks. Tests: tests/unit/archive/test_locks.c. */
#ifndef ARCHIVE_LOCK_FILE_H
#define ARCHIVE_LOCK_FILE_H

#include "archive/locks.h"

#define LOCK_FILE_NAME   ".locks"
#define LOCK_FILE_RECORD 512

/* Calls fn with each. 0, also where there is no such file; -errno. ret_records: also of those that are bad.
 */
int lock_file_read(
    int storage_fd, void (*fn)(void *arg, const struct index_lock *lock), void *arg, size_t *ret_records);
/* 0 or -errno. */
int lock_file_add(int storage_fd, const struct index_lock *lock);
int lock_file_write(int storage_fd, const struct locks *all);

#endif
