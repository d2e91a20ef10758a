/* A damaged data.mdb, or a disk that fails under LMDB's map, makes LMDB read where nothing is: SIGSEGV,
 * SIGBUS, or one of its assertions. Around everything that only reads, that is INDEX_E_DAMAGED instead: the
 * handler jumps back to the call of index.h, which gives up the environment for good (its reader slot and
 * what LMDB had allocated stay behind; index_close unmaps it). Around what writes the process dies, as LMDB
 * may have written anywhere; before that it leaves the mark `crashed` beside the index, and the keeper's next
 * start sets it aside instead of crashing again. docs/decisions says why. Tests:
 * tests/unit/archive/test_index_guard.c. */
#ifndef ARCHIVE_INDEX_GUARD_H
#define ARCHIVE_INDEX_GUARD_H

#include "archive/index.h"

#include <setjmp.h>

struct index_guard {
    sigjmp_buf at;
    struct index *ix;
    struct index_guard *outer;
    bool writes;
    bool on;
};

/* First of all statements of a call that only reads. What it has locked or allocated is lost when it is
 * left. */
#define INDEX_GUARD_READS(ix_)                                                                               \
    CLEANUP(index_guard_leave) struct index_guard guard_ = {.ix = (ix_)};                                    \
    if (index_broken(ix_) || sigsetjmp(*index_guard_enter(&guard_), 0)) return INDEX_E_DAMAGED
/* Of one that writes. */
#define INDEX_GUARD_WRITES(ix_)                                                                              \
    CLEANUP(index_guard_leave) struct index_guard guard_ = {.ix = (ix_), .writes = true};                    \
    if (index_broken(ix_)) return INDEX_E_DAMAGED;                                                           \
    index_guard_enter(&guard_)

sigjmp_buf *index_guard_enter(struct index_guard *g);
void index_guard_leave(struct index_guard *g);
/* The signal handlers; the first call of index.h does it. Again: after somebody has replaced them. */
void index_guard_install(void);
/* LMDB's assertions go the same way. */
void index_guard_assertions(struct index *ix);

#endif
