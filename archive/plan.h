/* What would be deleted of a storage, and why: a pass (reap.h) that is only counted, by stream and reason.
 * For the keeper, as it is configured, and for msctl, as another configuration would have it. Tests:
 * tests/unit/archive/test_reap.c, tests/e2e/test_keeping.py. */
#ifndef ARCHIVE_PLAN_H
#define ARCHIVE_PLAN_H

#include "archive/reap.h"
#include "common/ipc/pack.h"

struct plan {
    bool begun;
    struct reap pass;
    struct map found; /* uid -> struct plan_found */
};
void plan_begin(struct plan *p, const struct reap_setup *s);
/* As reap_step; REAP_FULL does not come. */
int plan_step(struct plan *p);
void plan_end(struct plan *p); /* a zeroed one too */

/* Its rows, as ctl.h has them: `row` gives where the map of so many pairs goes. only: this storage's name or
 * stream, NULL: all. */
void plan_rows(const struct plan *p, const char *storage, const char *only,
    struct packer *(*row)(void *arg, uint32_t pairs), void *arg);

#endif
