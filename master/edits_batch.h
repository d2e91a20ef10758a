/* Whole files of many streams, stored in a thread and then taken over by the loop, which is never held longer
 * than that takes: they are read, judged, written and synced there. One that is wrong is refused alone, and
 * the others are stored. What somebody changes meanwhile by call or reload counts too: what runs is read
 * again then. Tests: tests/cluster/test_store.py. */
#ifndef MASTER_EDITS_BATCH_H
#define MASTER_EDITS_BATCH_H

#include "master/edits.h"

struct edits_batch;
struct pool;

#define EDITS_BATCH_MAX   200
#define EDITS_BATCH_BYTES ((size_t)8u << 20) /* of texts */

typedef void edits_batch_fn(void *arg, struct edits_batch *b);

/* by, why: of the revision that keeps what was there. */
struct edits_batch *edits_batch_new(struct master *m, const char *by, const char *why);
/* text.p NULL: the file goes. Copies. */
void edits_batch_add(struct edits_batch *b, const char *uid, const char *path, struct span text);
/* done: once, in the loop; it frees b. */
void edits_batch_run(struct edits_batch *b, struct pool *pool, edits_batch_fn *done, void *arg);
void edits_batch_free(struct edits_batch *b); /* one that does not run */

size_t edits_batch_n(const struct edits_batch *b);
/* Of the i-th that was added: NULL, it is stored and runs; or why not. */
const char *edits_batch_refused(const struct edits_batch *b, size_t i);
uint64_t edits_batch_revision(const struct edits_batch *b); /* 0: nothing that was there was changed */

#endif
