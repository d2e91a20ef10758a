/* What a storage's thread answers to questions (ask.h): the steps, and those that are under way. */
#ifndef ARCHIVE_WORK_ASK_H
#define ARCHIVE_WORK_ASK_H

#include "archive/ask.h"
#include "archive/index.h"

struct work;

/* Takes up a question. */
void work_ask_begin(struct work *w, const struct ask *q);
/* One step of the question that has waited longest. false: there is none. */
bool work_ask_step(struct work *w);
/* The storage goes: those that are under way are answered so. */
void work_ask_end(struct work *w);

/* archive list [UID] */
struct work_list {
    char after[40];
};
bool work_list(struct work *w, struct answer *a);

/* --- work_mend.c --- */
bool work_reread(struct work *w, struct answer *a); /* archive reread STORAGE UID ID [sum] */
/* archive restore STORAGE [copies] */
struct work_restore {
    enum { RESTORE_LOCKS, RESTORE_COPY, RESTORE_BEGIN, RESTORE_READ } at;
    struct index_event_at walk; /* RESTORE_COPY */
};
bool work_restore(struct work *w, struct answer *a);
/* archive vacuum [UID [yes|no [progress]]]: only what the keeper's table, complete, does not name. progress:
 * once a second a page of one row: "storage", and of its segments those "done" and "all" */
struct work_vacuum {
    struct index_total total; /* of the stream that is looked at */
    uint64_t after_id, locked, deleted;
    bool busy;
    bool counted;
    uint64_t done, all; /* segments of all these streams */
    usec_t said_us;
};
bool work_vacuum(struct work *w, struct answer *a);

#endif
