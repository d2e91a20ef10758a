/* What a storage answers to the questions about keeping: archive plan, archive delete, and whether a lock is
 * in its index. */
#ifndef ARCHIVE_WORK_PLAN_H
#define ARCHIVE_WORK_PLAN_H

#include "archive/plan.h"

struct answer;
struct work;

/* archive plan [STORAGE|UID]: what would be deleted now. Its state: struct plan. */
bool work_plan(struct work *w, struct answer *a);
void work_plan_done(void *state);

/* archive delete UID FROM TO, in microseconds of the wall clock: segments that lie wholly inside and that no
 * lock touches. */
struct work_delete {
    bool begun;
    uint64_t after;
    uint64_t segments, bytes, locked, edges;
};
bool work_delete(struct work *w, struct answer *a);

/* archive lock, unlock: behind the lock itself, which has come as a job. */
bool work_locked(struct work *w, struct answer *a);

#endif
