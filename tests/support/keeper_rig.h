/* A real ms-keeper, with a test as its master and its workers. */
#ifndef SUPPORT_KEEPER_RIG_H
#define SUPPORT_KEEPER_RIG_H

#include <sys/types.h>

#include "archive/seginfo.h"
#include "common/ipc/channel.h"
#include "common/ipc/stamp.h"

#define RIG_STORES  4
#define RIG_WORKERS 8
#define RIG_WAIT_US (60 * US_PER_S)

struct rig_store {
    char name[32], state[16], uuid[40], index[4096];
    uint64_t err, total, free;
    int64_t ahead_s;  /* of the clock */
    unsigned indexes; /* how often INDEX_READY came */
    unsigned states;  /* messages */
};
struct rig_worker {
    struct rig *rig;
    struct channel *ch;
    char uid[40], state[16], storage[32];
    uint64_t err;
    int folder;        /* -1: none */
    unsigned archives; /* messages */
    uint64_t stored[64];
    size_t n_stored;
    bool closed;
};
struct rig {
    struct loop *loop;
    pid_t pid; /* 0: none runs */
    struct channel *ch;
    struct rig_store stores[RIG_STORES];
    size_t n_stores;
    struct rig_worker *workers[RIG_WORKERS];
    size_t n_workers;
    unsigned beats;
    uint64_t asked;    /* KEEP_ASK, so far */
    uint64_t answered; /* id of the last KEEP_END */
    int code;          /* its code, */
    char text[512];    /* and text */
    char rows[8192];   /* of the last question, as "key=value key=value\n" */
    size_t n_rows;
    bool closed;
    long fail_nr;      /* this system call fails in the keepers to come, 0: none */
    int fail_err;      /* with this */
    int fail_flag;     /* openat with it fails with fail_err, 0: none */
    uint64_t as_limit; /* bytes of address space they have, 0: no limit */
};

void rig_init(struct rig *r);
/* Ends everything. */
void rig_done(struct rig *r);
/* Starts a keeper (program: build/bin/ms-keeper beside the test) and welcomes it. What was known of storages
 * and workers is forgotten. false: there is no program. */
bool rig_start(struct rig *r);
/* STOP, and waits: exit code. */
int rig_stop(struct rig *r);
void rig_kill(struct rig *r, int signo);

void rig_storage(
    struct rig *r, const char *name, const char *path, const char *floor, const char *uuid, usec_t sync_us);
void rig_storage_named(struct rig *r, enum message type, const char *name); /* STORAGE_GONE, STORAGE_INIT */
struct rig_store *rig_store(struct rig *r, const char *name);
struct rig_worker *rig_worker(struct rig *r, const char *uid, const char *archive);
void rig_worker_gone(struct rig *r, const char *uid); /* KEEP_PEER_GONE */
void rig_worker_dies(struct rig_worker *w);           /* its socket closes */
void rig_ask(struct rig_worker *w);
/* The keeper has read all that this worker has said so far: it answers another rig_ask. */
bool rig_heard(struct rig_worker *w);
void rig_opened(struct rig_worker *w, uint64_t id, const char *storage, const char *path, usec_t start_us);
void rig_segment_closed(struct rig_worker *w, const struct seg_info *info);
void rig_failed(struct rig_worker *w, int err);

/* KEEP_STREAM; capacity in bytes. */
void rig_keep(struct rig *r, const char *uid, usec_t duration_us, uint64_t capacity);
void rig_keep_events(struct rig *r, const char *uid, usec_t duration_us, usec_t event_duration_us);
/* A question with its arguments, NULL behind the last; its id. rig_answer waits for the end of the newest,
 * and gives its code. */
uint64_t rig_question(struct rig *r, const char *cmd, ...) __attribute__((sentinel));
/* The same, as a singular act. */
struct rig_act {
    struct stamp stamp;
    uint64_t id;
    usec_t at_us, until_us;
};
uint64_t rig_question_by(struct rig *r, const struct rig_act *by, const char *cmd, ...)
    __attribute__((sentinel));
int rig_answer(struct rig *r);

/* Runs the loop until fn says true. false: RIG_WAIT_US went by. */
bool rig_wait(struct rig *r, bool (*fn)(void *arg), void *arg);
bool rig_wait_state(struct rig *r, const char *storage, const char *state);
bool rig_wait_archive(struct rig_worker *w, const char *state); /* a folder is there, when "ok" */
bool rig_wait_stored(struct rig_worker *w, uint64_t id);
bool rig_wait_index(struct rig *r, const char *storage);

#endif
