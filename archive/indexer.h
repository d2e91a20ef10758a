/* The life of a storage's index while the keeper runs: checked in a throw-away process after an unclean stop
 * (a damaged file may crash who maps it), opened, set aside and begun anew when it is damaged. Used by that
 * storage's thread alone.
 *
 * Beside LMDB's files: "clean" stands there from a clean stop to the next start; "rebuild" while segments
 * that are on the disk may be missing in it. Tests: tests/unit/archive/test_keeper.c, test_work.c. */
#ifndef ARCHIVE_INDEXER_H
#define ARCHIVE_INDEXER_H

#include <sys/types.h>

#include "archive/index.h"
#include "archive/storage.h"
#include "common/base/log.h"

#define INDEXER_CHECK_US (300 * US_PER_S) /* then the file counts as damaged */

struct indexer {
    char dir[4096];
    int dir_fd;
    struct index *ix; /* NULL: not open */
    struct index_walk walk;
    struct log_rate mended;
    bool scan_due;  /* segments that are on the disk may be missing in it, */
    bool rebuild;   /* old ones too */
    pid_t checker;  /* 0: none runs */
    int checker_fd; /* pidfd */
    usec_t deadline_us;
};

void indexer_init(struct indexer *x);
/* Makes the folder and decides: opens the index, or starts its check. 0 or -errno. */
int indexer_begin(struct indexer *x, const char *dir);
/* Goes on with a check. True once: the index has just been opened. Errors: *ret_err (-errno), then begin
 * again later. */
bool indexer_step(struct indexer *x, usec_t now_us, int *ret_err);
/* Looks at some records more of the open index, round and round; a damaged one is written anew from its file.
 * INDEX_OK, INDEX_E_DAMAGED (start over), -errno. */
int indexer_mend(struct indexer *x, const struct storage *s);
/* Damaged: sets it aside and opens an empty one. 0 or -errno. */
int indexer_start_over(struct indexer *x);
/* All that had to be looked at has been, and is in the index. */
void indexer_scanned(struct indexer *x);
/* clean: everything has been committed. Ends a check that runs. */
void indexer_close(struct indexer *x, bool clean);
/* What the process that begin starts does: exit code. */
int indexer_check_main(const char *dir);

#endif
