/* An index out of the files alone - segments, and the copies of locks and events - and whether the one in use
 * is its equal. Both beside a keeper that goes on writing: a difference is looked at again in the files and
 * in the index as they are by then, and what ended in the last minutes may still be on its way. Events
 * without footage are not missed, wherever they are missing: they are about to be forgotten. May block on the
 * disk. Tests: tests/unit/archive/test_check.c. */
#ifndef ARCHIVE_REBUILD_H
#define ARCHIVE_REBUILD_H

#include "archive/index.h"
#include "archive/storage.h"

#define REBUILD_YOUNG_US (180 * US_PER_S) /* since a segment's end: not missed in the index */

enum rebuild_fault {
    REBUILD_UNKNOWN,  /* on the disk, and not in the index */
    REBUILD_GONE,     /* in the index, and not on the disk */
    REBUILD_DIFFERS,  /* the index says something else of it than its footer */
    REBUILD_DAMAGED,  /* it has no footer that can be read */
    REBUILD_SUM,      /* bytes differ from the checksum in its footer */
    REBUILD_RANGES,   /* of the stream */
    REBUILD_TOTAL,    /* the same */
    REBUILD_EVENT,    /* is not, or not so, in the index */
    REBUILD_UNCOPIED, /* an event of the index has no copy, or an older one */
    REBUILD_LOCK,     /* index and copy do not say the same of it */
    REBUILD_FAULTS
};
const char *rebuild_fault_name(enum rebuild_fault f);
/* The number that is told with it is a segment's. */
bool rebuild_fault_of_segment(enum rebuild_fault f);

struct rebuild {
    const struct storage *storage; /* fd is open */
    struct index *ix;              /* in use */
    const char *dir;               /* of the new one: exists, and is empty */
    bool sum;                      /* reads every segment, past the page cache */
    /* id: of the segment, event or lock; 0: of the stream */
    void (*found)(void *arg, enum rebuild_fault f, const char *uid, uint64_t id);
    void (*alive)(void *arg, uint64_t done, uint64_t all);
    void *arg;
    /* what has been done so far */
    uint64_t done, all, segments, faults;
};
/* Makes the new one, and compares. INDEX_OK, whatever was found; INDEX_E_DAMAGED: the same, and some records
 * of the one in use cannot be read; -errno. */
int rebuild_run(struct rebuild *r);

#endif
