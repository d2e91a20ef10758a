/* What keeper.c (storages, the master), keeper_peers.c (workers, and where they record), keeper_ask.c
 * (questions of msctl), keeper_fill.c (back-fill), keeper_events.c (events) and keeper_keep.c (how streams
 * are kept, locks) share: the tables and their rows. */
#ifndef ARCHIVE_KEEPER_IMPL_H
#define ARCHIVE_KEEPER_IMPL_H

#include "archive/ask.h"
#include "archive/disk.h"
#include "archive/keeper.h"
#include "archive/locks.h"
#include "archive/pulse.h"
#include "common/base/list.h"
#include "common/base/map.h"

#define SYNC_US           (5 * US_PER_S) /* where no storage says */
#define KEEPER_STORES_MAX 256

struct store {
    struct list link;
    struct keeper *keeper;
    struct disk *disk;
    struct disk_conf conf; /* as the master sent it last */
    struct disk_report report;
    usec_t begun_us;     /* when its thread was started, or asked to end */
    usec_t ok_us;        /* since when it is keeper_store_ok; 0: it is not */
    struct pulse *pulse; /* NULL: not wanted, or the storage is not in order */
    bool silent;         /* as that says */
    bool known;          /* a report has come */
    bool stalled;        /* its thread has been waiting for the disk for too long */
    bool ending;         /* its thread ends: the conf has changed, or */
    bool gone;           /* it is no longer in the configuration */
    bool locks_in;       /* the locks of its index are known */
    bool keeps;          /* it may delete */
};

enum peer_state {
    PEER_QUIET = 0, /* has not asked */
    PEER_WANTS,     /* waits for its folder, */
    PEER_ASKED,     /* which is being made */
    PEER_HAS
};
struct peer {
    struct list link;
    struct keeper *keeper;
    struct channel *ch;
    char uid[40];
    uid_t os_uid;
    gid_t os_gid;
    char archive[1024];
    enum peer_state state;
    int told;                 /* errno of the last "wait", -1: none told */
    bool several;             /* its archive names more than one storage */
    struct store *store;      /* chosen, NULL: none */
    struct store *next;       /* a better one, where its folder is being made */
    struct store *open_store; /* of the segment that is open */
    uint64_t open_id;
    usec_t not_before_us;
};

/* A question that is being answered. */
struct keeper_ask {
    struct list link;
    struct keeper *keeper;
    struct answer answer;
    struct store *parts[KEEPER_STORES_MAX]; /* storages that have not answered yet */
    size_t n_parts, rows;
    struct list pages; /* that the master has no room for yet */
    usec_t said_us;    /* something to the master, last */
    usec_t waits_us;   /* until then for a writer to end; 0: its storages are asked */
};

struct keeper {
    struct loop *loop;
    struct child *child;
    bool complete; /* CONF_DONE has come */
    struct list stores, peers, asks, fills;
    struct channel *courier; /* NULL: there is none */
    struct map keeping;      /* uid -> struct keep_policy */
    struct locks locks;      /* of all storages */
    struct map open_events;  /* id -> struct open_event: those that the master knows of */
    usec_t begun_us, begun_wall_us;
    usec_t forgot_us; /* released locks, last */
    struct loop_timer tick, pulses;
    void (*done)(void *arg); /* NULL: not stopping */
    void *done_arg;
};

/* NULL: there is none of that name. */
struct store *keeper_store(struct keeper *k, const char *name);
/* Can it take a stream now? One that does not answer cannot. */
bool keeper_store_ok(const struct store *s);

/* --- keeper_peers.c --- */
/* Gives each worker what it waits for, or says why not. */
void keeper_serve(struct keeper *k);
/* A folder was made, or could not be; takes fd. */
void keeper_folder(struct store *s, const char *uid, int fd, int err);
void keeper_stored(struct keeper *k, const char *uid, uint64_t id);
/* A storage goes: nobody may name it any more. */
void keeper_forget(struct keeper *k, const struct store *s);
/* Does a worker write this stream? */
bool keeper_is_written(struct keeper *k, const char *uid);
/* Messages of the master. 0, or -EPROTO. */
int keeper_peer(struct keeper *k, struct incoming *in);
int keeper_peer_gone(struct keeper *k, struct incoming *in);

/* Where a stream that records here records now, and whose its folder is (ret_owner may be NULL); NULL:
 * nowhere. */
struct owner {
    uid_t uid;
    gid_t gid;
};
struct store *keeper_store_of(struct keeper *k, const char *uid, struct owner *ret_owner);

/* --- keeper_fill.c --- */
int keeper_courier(struct keeper *k, struct incoming *in);
void keeper_fill(struct store *s, uint64_t id, int fd, int err); /* takes fd */
/* A storage hangs, ends or goes. */
void keeper_fill_silent(struct store *s);
void keeper_fill_done(struct keeper *k);

/* --- keeper_ask.c --- */
int keeper_ask(struct keeper *k, struct incoming *in);
int keeper_ask_gone(struct keeper *k, struct incoming *in);
void keeper_ask_rows(struct store *s, uint64_t id, uint32_t n, struct span rows);
void keeper_ask_answered(struct store *s, uint64_t id, int code, const char *text);
/* A storage hangs, ends or goes: it will not answer what it was asked. */
void keeper_ask_silent(struct store *s);
void keeper_ask_tick(struct keeper *k);
/* A worker has gone: who waited for that is asked now. */
void keeper_ask_unwritten(struct keeper *k);
void keeper_ask_done(struct keeper *k);

/* --- keeper_events.c --- */
int keeper_event(struct keeper *k, struct incoming *in);
/* A storage has it. */
void keeper_event_stored(struct store *s, const struct event *e);
/* A storage's index has it, and no end of it. */
void keeper_event_open(struct store *s, const struct event *e);
void keeper_events_done(struct keeper *k);

/* --- keeper_keep.c --- */
int keeper_keep_stream(struct keeper *k, struct incoming *in);
int keeper_keep_stream_gone(struct keeper *k, struct incoming *in);
/* All that a storage's thread, which has just been started, has to know. */
void keeper_keep_tell(struct store *s);
void keeper_keep_locks(struct store *s, const struct index_lock *list, size_t n, bool last);
void keeper_keep_tick(struct keeper *k);
/* What of a stream ends behind that is let go last (FILL_KNOWN); INT64_MAX: nothing. */
void keeper_keep_late(struct keeper *k, const char *uid, usec_t until_us);
/* A lock that is new, or another version of one: to all storages. */
void keeper_keep_lock(struct keeper *k, const struct index_lock *lock);
void keeper_keep_done(struct keeper *k);

/* --- keeper_locks.c: commands, as ask_command's begin. Times are microseconds of the wall clock --- */
int keeper_ask_delete(struct keeper *k, struct answer *a);
int keeper_ask_lock(struct keeper *k, struct answer *a);
int keeper_ask_unlock(struct keeper *k, struct answer *a);
int keeper_ask_locks(struct keeper *k, struct answer *a);
int keeper_ask_promise(struct keeper *k, struct answer *a); /* act promise UID, with an act */
/* The lock that a question is about, with the version that it gives it: a new one, or a released one of those
 * in `all`. false: it is not there. */
bool keeper_lock_of(const struct ask *q, const struct locks *all, struct index_lock *ret);

#endif
