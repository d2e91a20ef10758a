/* Locks and events in an index that is made out of the files alone (rebuild.h): no footer tells of them, they
 * stand in copies beside the index (lock_file.h, event_file.h). Tests: tests/unit/archive/test_check.c. */
#ifndef ARCHIVE_REBUILD_COPIES_H
#define ARCHIVE_REBUILD_COPIES_H

#include "archive/rebuild.h"

/* Puts them into the new index, which nobody has open. INDEX_OK, -errno: a copy cannot be read. */
int rebuild_copies_make(struct rebuild *r);
/* INDEX_OK, INDEX_E_DAMAGED: some of the index in use cannot be read; -errno. */
int rebuild_copies_compare(struct rebuild *r, struct index *made);

#endif
