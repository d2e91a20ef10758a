/* Singular acts in the index: of each stream the highest stamp that this storage has promised or done
 * (docs/decisions/033). What an act does is done in the transaction that holds its stamp against that one, so
 * that nothing older comes after. Errors as in index.h. Tests: tests/unit/archive/test_index_acts.c. */
#ifndef ARCHIVE_INDEX_ACTS_H
#define ARCHIVE_INDEX_ACTS_H

#include "archive/index.h"
#include "common/ipc/stamp.h"

struct index_act {
    const char *uid;
    struct stamp stamp;
    uint64_t id;
    bool over;                    /* it is done with this transaction */
    const struct index_ref *refs; /* as index_drop */
    size_t n;
    const struct index_lock *lock; /* as index_locks_put; NULL: none */
};
/* With neither refs nor lock, and not over: a promise, that nothing older is done from now on. INDEX_E_OLD: a
 * newer one was promised or done; INDEX_E_OVER: this one has been done: an act has one id, whatever its
 * stamp, and a node that stamps asks for one after the other, so that the last of each node is remembered.
 * Either way nothing has changed, and *ret_held is the highest. One durable transaction. */
int index_act(struct index *ix, const struct index_act *a, struct stamp *ret_held);

/* Was the act of this id the last that this node had done here? INDEX_OK, INDEX_E_NONE, INDEX_E_DAMAGED,
 * -errno. */
int index_act_did(struct index *ix, const char *uid, uint16_t node, uint64_t id);

#endif
