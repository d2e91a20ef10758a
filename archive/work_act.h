/* Singular acts (ask.h) in a storage's thread: each is held against what this storage has promised, in the
 * transaction that does it (index_acts.h). Tests: tests/unit/archive/test_acts.c. */
#ifndef ARCHIVE_WORK_ACT_H
#define ARCHIVE_WORK_ACT_H

#include "archive/index_acts.h"

struct answer;
struct work_gone;
struct work;

/* Its time is not over; true for what is no act. false: answered so. */
bool work_act_may(struct work *w, struct answer *a);
/* Does what `act` says by the question's stamp: uid and stamp are filled in; gone: each of its refs.
 * INDEX_OK, or a condition or -errno, and it is answered: a newer one was promised, or it has been done
 * before (which is CTL_OK). */
int work_act(struct work *w, struct answer *a, struct index_act *act, const struct work_gone *gone);

/* --- steps of questions --- */
bool work_promise(struct work *w, struct answer *a); /* act promise UID */
bool work_did(struct work *w, struct answer *a);     /* act did UID: "held" is the act's own then */
bool work_act_lock(struct work *w, struct answer *a);

#endif
