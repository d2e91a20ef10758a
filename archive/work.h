/* What a storage's thread does: watches the storage, commits, scans, makes folders. Everything here belongs
 * to that thread and may block on its disk. Split from disk.c, which is the thread and its two queues. */
#ifndef ARCHIVE_WORK_H
#define ARCHIVE_WORK_H

#include "archive/ask.h"
#include "archive/disk.h"
#include "archive/indexer.h"
#include "archive/pending.h"
#include "archive/scan.h"
#include "archive/work_clock.h"
#include "archive/work_copies.h"
#include "archive/work_events.h"
#include "archive/work_fill.h"
#include "archive/work_keep.h"
#include "common/base/log.h"
#include "common/base/map.h"

enum job_kind {
    JOB_ACCEPT,
    JOB_FOLDER,
    JOB_LOOK,
    JOB_GONE,
    JOB_OPENED,
    JOB_CLOSED,
    JOB_PROBE,
    JOB_ASK,
    JOB_KEEP,
    JOB_SUSPECT,
    JOB_KEEP_READY,
    JOB_LOCK,
    JOB_SYNC_EVERY,
    JOB_EVENT,
    JOB_EVENT_OVER,
    JOB_FILL_OPEN,
    JOB_FILL_DONE,
    JOB_FILL_DROP,
    JOB_STOP
};
struct job {
    enum job_kind kind;
    char uid[40];
    uid_t owner;
    gid_t group;
    uint64_t id; /* of a segment; JOB_SYNC_EVERY: microseconds; JOB_EVENT_OVER: wall clock */
    void *data;  /* JOB_ASK: struct ask, JOB_KEEP: struct keep_policy (NULL: not configured any more),
                    JOB_LOCK: struct index_lock, JOB_EVENT, JOB_EVENT_OVER: struct event; JOB_FILL_OPEN: struct
                    fill_order. Flat; freed behind  the job */
};

struct work_ops { /* as those of struct disk_ops, in the thread */
    void (*on_state)(void *arg, const struct disk_report *r);
    void (*on_folder)(void *arg, const char *uid, int fd, int err);
    void (*on_stored)(void *arg, const char *uid, uint64_t id);
    void (*on_index)(void *arg, const char *path);
    void (*on_locks)(void *arg, const struct index_lock *list, size_t n, bool last);
    void (*on_rows)(void *arg, uint64_t id, uint32_t n, struct span rows);
    void (*on_answer)(void *arg, uint64_t id, int code, const char *text);
    void (*on_event)(void *arg, const struct event *e);
    void (*on_open_event)(void *arg, const struct event *e);
    void (*on_fill)(void *arg, uint64_t id, int fd, int err);
    void (*on_gone)(void *arg, const struct disk_gone *g);
    void (*alive)(void *arg); /* between the reads of something long: the disk answers */
};

struct work {
    const struct disk_conf *conf;
    const struct work_ops *ops;
    void *arg;
    struct storage storage;
    struct disk_report told;
    struct indexer indexer;
    struct scan *scan;
    struct map writers; /* uid -> struct writer */
    struct map relook;  /* uid -> w: something was being written there, perhaps, */
    struct map retry;   /* or the disk said no: looked at less and less often */
    struct work_keep keep;
    struct work_clock clock;
    struct list asks; /* struct answer: questions under way */
    struct pending pending;
    usec_t sync_every_us; /* of the conf, until it changes */
    struct work_events events;
    struct work_copies copies;
    struct work_fill fill;
    usec_t report_us, reopen_us, sync_us, relook_us, retry_us; /* last done, or due: CLOCK_MONOTONIC */
    usec_t retry_wait_us;                                      /* 0: nothing has failed */
    bool usable;                                               /* the storage is open */
    bool accept;                                               /* take the path as it is, once */
    bool scanning;                                             /* the scan has something to do */
    bool stuck;                                                /* the last commit failed */
    bool unsynced;                                             /* the last syncfs failed */
    bool repairs_off; /* the storage is not ok and a repair has failed: no more in this round */
    struct log_rate errors;
};

void work_init(struct work *w, const struct disk_conf *conf, const struct work_ops *ops, void *arg);
void work_job(struct work *w, const struct job *j);
/* Once a second (as often as sync_every_us, when that is less), and when work_due: before more can be taken.
 */
void work_tick(struct work *w, usec_t now_us);
bool work_due(const struct work *w);
/* What waits for the index goes into it now, behind a syncfs. */
void work_commit(struct work *w);
/* A little of the scan, of what is to be deleted and of what is asked; true: there is more. */
bool work_scan(struct work *w);
/* Commits what it can, closes all. */
void work_done(struct work *w, usec_t now_us);

#endif
