/* Keeping and deleting, in a storage's thread: passes of reap.h at their time, what they find out of the
 * index and into the trash, what is trash settled behind a syncfs; locks in the index and in memory. Errors
 * are INDEX_E_DAMAGED or -errno of the index. */
#ifndef ARCHIVE_WORK_KEEP_H
#define ARCHIVE_WORK_KEEP_H

#include "archive/index_acts.h"
#include "archive/reap.h"
#include "archive/trash.h"
#include "common/base/log.h"

struct work;
struct disk_report;

/* A segment that is to go: what is told of it. */
struct work_gone {
    uint64_t bytes;
    usec_t start_us, end_us;
};

struct work_keep {
    struct map policies; /* uid -> struct keep_policy, of the configured streams */
    struct locks locks;
    struct trash *trash; /* NULL: the index is not open */
    struct reap pass;
    bool running;     /* a pass is */
    bool ready;       /* locks of other storages have been taken in: deleting may begin */
    usec_t due_us;    /* of the next pass */
    usec_t retry_us;  /* when files that could not be removed are tried again; 0: there are none */
    int lock_err;     /* of the last lock that was put */
    usec_t forgot_us; /* when released locks were forgotten; 0: not yet */
    size_t copied;    /* locks in lock_file.h's copy; SIZE_MAX: it is not as it should be */
    int wrote_err;    /* of the index, for the next tick */
    uint64_t rate;    /* as the last pass has measured it */
    bool stuck_now;   /* the last pass has not found enough that may go */
    uint64_t held;    /* bytes that locks and events held when room was needed; 0: enough could go */
    struct retention_sum sum;
    struct log_rate stuck;
};

void work_keep_init(struct work_keep *k);
void work_keep_done(struct work_keep *k);
/* The index has just been opened; it is going to be closed. */
int work_keep_opened(struct work *w);
void work_keep_closed(struct work *w);
/* Once a second. */
int work_keep_tick(struct work *w, usec_t now_us);
/* A few milliseconds of a pass. *ret_more: there is more to do. */
int work_keep_step(struct work *w, bool *ret_more);
/* Behind a syncfs. */
int work_keep_synced(struct work *w);
bool work_keep_unsynced(const struct work *w); /* files have gone since */

/* What is known of room and time. */
void work_keep_report(const struct work *w, struct disk_report *r);
/* For a pass that only counts. */
void work_keep_setup(struct work *w, struct reap_setup *ret);

/* Is the time come, and is there a place? */
bool work_keep_may_delete(const struct work *w);
/* Out of the index and into the trash. An error that the index gives is dealt with at the next tick. */
int work_keep_take_out(struct work *w, const struct index_ref *refs, const struct work_gone *gone, size_t n);
/* The same by a singular act; as index_act. */
int work_keep_act(
    struct work *w, const struct index_act *act, const struct work_gone *gone, struct stamp *ret_held);

/* p NULL: it is not configured any more. */
void work_keep_policy(struct work *w, const char *uid, const struct keep_policy *p);
void work_keep_lock(struct work *w, const struct index_lock *lock);
/* Locks out of their copy, and all of them into index and copy. INDEX_OK, INDEX_E_DAMAGED, -errno. */
int work_keep_restore(struct work *w);
void work_keep_ready(struct work *w);
/* Is this stream in the configuration? */
bool work_keep_configured(const struct work *w, const char *uid);

#endif
