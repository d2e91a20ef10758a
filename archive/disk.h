/* A storage at work: a thread that alone touches that disk (a stalled one delays no other), and the loop's
 * side of it. The thread watches the storage's state and room, makes the streams' folders, calls syncfs every
 * sync_us, and puts what that covered into the index in one transaction; it looks for segments that are on
 * the disk and not in the index, and repairs those that were left without a footer. Functions and callbacks
 * here are the loop's. */
#ifndef ARCHIVE_DISK_H
#define ARCHIVE_DISK_H

#include <sys/types.h>

#include "archive/ask.h"
#include "archive/index.h"
#include "archive/keep.h"
#include "archive/seginfo.h"
#include "archive/storage.h"
#include "common/ipc/event.h"
#include "common/net/loop.h"

#define DISK_NAME_MAX 48
#define DISK_STALL_US (10 * US_PER_S) /* no answer from the disk for so long: it counts as failed */

struct disk_conf {
    char name[DISK_NAME_MAX];
    char path[4096];
    char index_path[4096];       /* folder for indexes, "": on the storage */
    char uuid[STORAGE_UUID_MAX]; /* "": never seen */
    struct retention_floor floor;
    usec_t sync_us;
    bool pulse; /* others can record instead: whether its device answers is watched closely (pulse.h) */
};

struct disk_report {
    enum storage_state state;
    int err; /* positive errno or 0 */
    char uuid[STORAGE_UUID_MAX];
    uint64_t total, free;
    uint64_t files, files_free; /* inodes */
    uint64_t floor, rate;       /* bytes; bytes a second */
    uint64_t footage, held; /* bytes; of them, what locks and events keep from going though room is needed */
    usec_t oldest_us;       /* 0: none */
    usec_t ahead_us;        /* of the clock, which is not believed (age_clock.h); 0: it is */
    struct retention_forecast forecast;
};

struct disk;
/* Footage of a stream that has been deleted, by call or because it was its time. */
struct disk_gone {
    char uid[40];
    uint64_t segments, bytes;
    usec_t from_us, to_us;
};
struct disk_ops {
    void (*on_state)(void *arg, const struct disk_report *r);       /* on change, and every 10 s */
    void (*on_folder)(void *arg, const char *uid, int fd, int err); /* takes fd; err: positive errno */
    void (*on_stored)(void *arg, const char *uid, uint64_t id);
    void (*on_index)(void *arg, const char *path);
    /* Locks of its index, when it has been opened, in pages; last: that were all. */
    void (*on_locks)(void *arg, const struct index_lock *list, size_t n, bool last);
    void (*on_rows)(void *arg, uint64_t id, uint32_t n, struct span rows); /* of disk_ask */
    void (*on_answer)(void *arg, uint64_t id, int code, const char *text); /* once for each */
    void (*on_event)(void *arg, const struct event *e);      /* of disk_event: it is in the index, durably */
    void (*on_open_event)(void *arg, const struct event *e); /* in its index, every ten minutes */
    /* Of disk_fill_open: a file without a name, for writing (takes fd), or err, a positive errno; behind
     * disk_fill_done: 0, it is in the index, durably. */
    void (*on_fill)(void *arg, uint64_t id, int fd, int err);
    void (*on_gone)(void *arg, const struct disk_gone *g);
    void (*on_end)(void *arg); /* the thread has ended: disk_free */
};

struct disk *disk_new(struct loop *l, const struct disk_conf *conf, const struct disk_ops *ops, void *arg);
/* Commits what is known and ends the thread; on_end comes, unless the disk never answers. */
void disk_stop(struct disk *d);
/* Behind on_end. */
void disk_free(struct disk *d);
/* How long the thread has been waiting for its disk. */
usec_t disk_busy_us(const struct disk *d, usec_t now_us);

/* Takes the path as it is (msctl storage init). */
void disk_accept(struct disk *d);
/* Makes the stream's folder: on_folder. */
void disk_folder(struct disk *d, const char *uid, uid_t owner, gid_t group);
/* Its worker has gone, or may have left something behind. */
void disk_look(struct disk *d, const char *uid, bool gone);
void disk_opened(struct disk *d, const char *uid, uint64_t id);
/* on_stored comes when it is in the index, durably. */
void disk_closed(struct disk *d, const char *uid, uint64_t id);
/* A write has failed: is the disk all right? on_state comes in any case. */
void disk_probe(struct disk *d);
/* A part of a question. */
void disk_ask(struct disk *d, const struct ask *q);
/* How a stream's footage is kept; NULL: it is not configured any more. */
void disk_keep(struct disk *d, const char *uid, const struct keep_policy *p);
/* syncfs so often from now on. */
void disk_sync_every(struct disk *d, usec_t sync_us);
/* Its index has crashed a reader: all of it is walked over. on_index comes, with the same one or another. */
void disk_suspect(struct disk *d);
/* A lock that this storage may not know yet. */
void disk_lock(struct disk *d, const struct index_lock *lock);
/* It knows the locks of the others: deleting may begin. */
void disk_keep_ready(struct disk *d);

/* Back-fill (work_fill.h). */
struct fill_order;
void disk_fill_open(
    struct disk *d, uint64_t id, const char *uid, uid_t owner, gid_t group, const struct fill_order *o);
void disk_fill_done(struct disk *d, uint64_t id, bool given_up);

/* Into the index; on_event, unless the storage is not in order. */
void disk_event(struct disk *d, const struct event *e);
/* Nobody will end it: it ends with the footage that there was of its stream at known_us (wall clock). */
void disk_event_over(struct disk *d, const struct event *e, usec_t known_us);

#endif
