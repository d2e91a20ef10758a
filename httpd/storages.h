/* The storages httpd reads: name, path, index, and a pool of threads for each, so that a disk that hangs
 * holds up its own viewers only. Archive reads never happen in a hub's thread. What another node of the
 * cluster has recorded is a storage too, without a path (records.h). Tests: tests/unit/net/test_pool.c. */
#ifndef HTTPD_STORAGES_H
#define HTTPD_STORAGES_H

#include "archive/index.h"
#include "common/base/log.h"
#include "httpd/cuts.h"
#include "httpd/hub.h"
#include "common/net/pool.h"
#include "httpd/scans.h"
#include "httpd/shelf.h"

#define STORAGES_MAX     96 /* and other nodes */
#define STORAGE_NAME_MAX 64
#define STORAGE_FLAWS    256 /* damaged segments that are remembered */
#define STORAGE_PATH_MAX 1024
#define STORAGE_HOST_MAX 256
#define STORAGE_NODES    64

/* What is said of a storage that viewers read. */
enum storage_fault {
    STORAGE_UNREAD,  /* it gave an error */
    STORAGE_SLOW,    /* an answer went out without it */
    STORAGE_DAMAGED, /* its index left records out */
    STORAGE_FLAWED,  /* a segment is not what the index says of it */
    STORAGE_FAULTS
};

struct storage {
    char name[STORAGE_NAME_MAX];
    char path[STORAGE_PATH_MAX];
    struct pool *pool;
    struct cuts *cuts;   /* ready-made pieces of its segments */
    struct scans *scans; /* tables of segments that are written */
    uint16_t node, self; /* of another node: its number, and ours; 0: of this machine */
    struct away *away;   /* of another node: who asks it, */
    struct shelf *shelf; /* and what it has said */
    char host[STORAGE_HOST_MAX];
    struct {
        char uid[RING_UID_MAX + 1];
        uint64_t id;
    } flaws[STORAGE_FLAWS];   /* the newest; under say_lock */
    _Atomic uint32_t n_flaws; /* how many there were */
    _Atomic uint32_t refs;    /* the table, and every job that names it */
    pthread_mutex_t say_lock; /* what INDEX_READY said, and the rates; never held over a disk access */
    struct log_rate rates[STORAGE_FAULTS];
    char index_dir[STORAGE_PATH_MAX];
    uint64_t index_said;        /* counts the messages; 0: none yet */
    pthread_mutex_t index_lock; /* pool threads only */
    pthread_cond_t index_free;
    struct index *index;
    uint64_t index_open, index_told; /* which message's; the last one that was found damaged */
    _Atomic bool index_suspect;      /* it has crashed who read it, or cannot be opened */
    unsigned index_users;
};

struct storages;
struct storages *storages_new(void);
void storages_free(struct storages *s);

/* From the main thread. */
void storage_set(struct storages *s, struct span name, struct span path);
void storage_remove(struct storages *s, struct span name);
/* Names of those whose index has turned out to be damaged since the last call; how many. */
size_t storages_suspect(struct storages *s, char (*ret)[STORAGE_NAME_MAX], size_t max);
void storage_index_ready(struct storages *s, struct span name, struct span dir);

/* The other nodes of the cluster, all of them; `away` lives on. */
struct storage_node {
    uint16_t node;
    char host[STORAGE_HOST_MAX]; /* that viewers may be sent to; "": they are not */
};
void storages_nodes(
    struct storages *s, struct away *away, uint16_t self, const struct storage_node *nodes, size_t n);

/* From any thread: the storages a stream's dvr-archive names ("a*3, /path*1"; empty: "default"), and behind
 * them the other nodes, those that are to be `first` before the others; referenced. */
size_t storages_of(struct storages *s, struct span archive, const uint16_t *first, size_t n_first,
    struct storage **ret, size_t max);
/* By its name; NULL. Referenced. */
struct storage *storage_by_name(struct storages *s, struct span name);
struct storage *storage_ref(struct storage *st);
void storage_unref(struct storage *st);
/* Logs it, at most once a minute a kind. */
void storage_say(struct storage *st, enum storage_fault what, const char *uid, int err);
/* A segment that cannot be read as the index knows it: playlists ask its file what is good of it. */
void storage_flaw(struct storage *st, const char *uid, uint64_t id);
bool storage_flawed(struct storage *st, const char *uid, uint64_t id);

/* In a pool thread: the index, opened by need; put it back at once. NULL: there is none yet. */
struct index *storage_index_get(struct storage *st);
void storage_index_put(struct storage *st);

#endif
