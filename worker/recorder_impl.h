/* What the recorder's parts share: recorder.c (its thread and the loop's side), rec_cut.c (which frames, and
 * where a segment begins and ends), rec_write.c (frames into the open segment), rec_files.c (segments, the
 * folder, what is told of them). */
#ifndef WORKER_RECORDER_IMPL_H
#define WORKER_RECORDER_IMPL_H

#include "worker/rec_batch.h"
#include "worker/recorder.h"

#include <pthread.h>

/* What the loop wants; guarded by the lock. */
struct orders {
    bool stop, on;
    struct rec_policy policy;
    usec_t chunk_us;
    enum seg_clock clock;
    usec_t clock_offset_us;
    bool new_folder;
    int folder_fd;
    char storage[RECORDER_STORAGE_MAX]; /* of the folder */
    struct ring_writer *ring;           /* to change to, NULL: none */
    uint64_t end_seq;                   /* 0: none */
};

struct recorder {
    struct loop *loop;
    const struct recorder_ops *ops;
    void *arg;
    char uid[40];
    pthread_t thread;
    bool running; /* the loop's: a thread was started */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct orders orders;
    bool poked;
    struct ring_status *status; /* of the newest ring, guarded by the lock: it may be moved meanwhile */
    struct rec_open open;       /* guarded by the lock; id 0: none */
    _Atomic usec_t busy_since_us;
    /* the thread's */
    struct ring_writer *ring;
    struct rec_batch batch;
    struct segw *seg;
    struct track_set *tracks; /* of the open segment */
    uint32_t gen;             /* that its frames may have */
    bool fresh_tracks; /* the ring describes more, or sound has come late; the next key frame begins another
                          segment */
    unsigned seen;     /* tracks with a frame in it */
    usec_t
        want_us; /* the policy is asked about this time: of its newest frame, or where its stretch begins */
    usec_t begin_us, line_us; /* its first frame's media time, and wall clock minus that */
    int folder_fd, lock_fd;
    char storage[RECORDER_STORAGE_MAX]; /* of the folder */
    uint64_t next;                      /* first frame that is not in a file */
    uint64_t end_seq;                   /* the camera's session ended before it; 0: no such end is ahead */
    bool on, discont;
    struct rec_policy policy;
    bool go_on; /* behind what another segment holds: a key frame is not needed */
    usec_t chunk_us, retry_us;
    enum seg_clock clock;
    usec_t clock_offset_us;
};

/* --- rec_cut.c --- */

/* Finds the frame that the next segment begins with: r->next. false: there is none yet. */
bool rec_find_start(struct recorder *r);
/* Does another segment have to begin with this frame, or this one to end? */
bool rec_over(struct recorder *r, const struct frame *f);
/* Where the batch has to end, at the latest. */
struct rec_until rec_until(const struct recorder *r);
/* A segment begins with the batch. */
void rec_began(struct recorder *r);
/* The batch is in it. */
void rec_took(struct recorder *r);
/* Nothing more of the open segment is wanted, whatever still comes: it ends. now_us: wall clock. */
void rec_end_stretch(struct recorder *r, usec_t now_us);
/* The session's last frame is recorded, and none came since: the open segment ends. */
void rec_end_session(struct recorder *r);
/* Frames were lost to the recorder: another segment begins behind them. */
void rec_gap(struct recorder *r);

/* --- rec_write.c --- */

/* All that can be written now. */
void rec_record(struct recorder *r);

/* --- rec_files.c --- */

/* The batch's first frame begins it. false: failed, and told. */
bool rec_open(struct recorder *r);
void rec_close(struct recorder *r);
/* A write failed: the folder is given up until the keeper has spoken. */
void rec_failed(struct recorder *r, int err);
void rec_drop_folder(struct recorder *r);
/* false: the folder is another's for now, or cannot be locked. */
bool rec_lock_folder(struct recorder *r);
void rec_say_progress(struct recorder *r, uint64_t wrote);
void rec_say_closed(struct recorder *r);
void rec_say_stopped(struct recorder *r);

#endif
