/* The life of a storage's index while the keeper runs. After an unclean stop a throw-away process (a damaged
 * file may crash who maps it) looks at its newest records for INDEXER_NEWEST_US at most; then it is opened,
 * and another one walks over all of it, at idle priority, while it is in use. Damage is mended record by
 * record, or the index is set aside and begun anew. Used by that storage's thread alone.
 *
 * Beside LMDB's files: "clean" stands there from a clean stop to the next start, unless a walk was not at its
 * end; "scan" while segments that are on the disk may be missing in it; "crashed" after LMDB took its writer
 * down (index_guard.h). Tests: tests/unit/archive/test_keeper.c, test_work.c. */
#ifndef ARCHIVE_INDEXER_H
#define ARCHIVE_INDEXER_H

#include "archive/checker.h"
#include "archive/index.h"
#include "archive/storage.h"
#include "common/base/log.h"

#define INDEXER_NEWEST_US  (2 * US_PER_S)
#define INDEXER_SUSPECT_US (60 * US_PER_S)
#define INDEXER_CHECK_US   (60 * US_PER_S)        /* the newest records: then the file counts as damaged */
#define INDEXER_WALK_US    (12 * 3600 * US_PER_S) /* all of it: then it is given up, and says nothing */

struct indexer {
    char dir[4096];
    int dir_fd;
    struct index *ix; /* NULL: not open */
    struct index_walk walk;
    struct log_rate mended;
    bool scan_due; /* segments that are on the disk may be missing in it, */
    bool rebuild;  /* old ones too */
    bool walk_due; /* by a process of its own: nobody has yet looked at all of it */
    bool hurry;    /* damaged records are known to be there */
    enum {
        INDEXER_EVENTS_GOOD = 0,
        INDEXER_EVENTS_WANTED, /* a record of an event is damaged, and stays: its copy is to be put over it */
        INDEXER_EVENTS_RESTORED /* all copies have been put: what is still damaged goes, in this round */
    } events;
    struct checker checker;
    bool suspect;      /* a reader has crashed in it */
    usec_t suspect_us; /* when that was said last */
};

void indexer_init(struct indexer *x);
/* Makes the folder and decides: opens the index, or starts its check. 0 or -errno. */
int indexer_begin(struct indexer *x, const char *dir);
/* Goes on with a check. True: an index has just been opened, the first or, when all of it has been looked at,
 * another. Errors: *ret_err (-errno), then begin again later. */
bool indexer_step(struct indexer *x, usec_t now_us, int *ret_err);
/* A reader has crashed in it: walked over, but not more often than INDEXER_SUSPECT_US. cleared: it was for
 * nothing; true once. */
void indexer_suspect(struct indexer *x, usec_t now_us);
bool indexer_cleared(struct indexer *x);
/* Looks at some records more of the open index, round and round; a damaged one is written anew from its file.
 * INDEX_OK, INDEX_E_DAMAGED (start over), -errno. */
int indexer_mend(struct indexer *x, const struct storage *s);
/* The copies of events that were wanted have been put; all: none of them could not be read. */
void indexer_events_restored(struct indexer *x, bool all);
/* Writes one segment's record anew from its file, or takes it out where there is no file; id 0: the stream's
 * ranges and total. *ret_disk: -errno where the file cannot be read, and the record stays as it is. INDEX_OK,
 * INDEX_E_DAMAGED, -errno: of the index. */
int indexer_reread(struct indexer *x, const struct storage *s, const char *uid, uint64_t id, int *ret_disk);
/* Damaged: sets it aside and opens an empty one. 0 or -errno. */
int indexer_start_over(struct indexer *x);
/* All that had to be looked at has been, and is in the index. */
void indexer_scanned(struct indexer *x);
/* clean: everything has been committed. Ends a check that runs. */
void indexer_close(struct indexer *x, bool clean);

#endif
