/* Shared by pictures.c (queue, cache, who waits) and pictures_helper.c (the threads and their helpers). */
#ifndef HTTPD_PICTURES_IMPL_H
#define HTTPD_PICTURES_IMPL_H

#include <pthread.h>

#include "common/base/map.h"
#include "httpd/pictures.h"

/* A job for all who wait for it. */
struct flight {
    char key[PICTURES_KEY_MAX];
    struct picture_source *src;
    uint64_t hash; /* of what a helper would be given */
    struct list waiters;
    struct list link; /* in the queue */
};

/* One thread and, by need, its helper. */
struct slot {
    struct pictures *p;
    pthread_t thread;
    uint64_t id; /* of the helper, for the master */
    int fd;      /* -1: none */
    unsigned jobs;
    usec_t born_us;
    /* guarded by the lock */
    bool waiting;
    int given_fd;
    int given_err;
};

struct pictures {
    const struct pictures_ops *ops;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t more;  /* in the queue */
    pthread_cond_t given; /* a helper */
    bool stop;
    struct list queue;
    size_t queued;
    struct map flights; /* key -> struct flight */
    struct map cache;   /* key -> struct entry */
    struct list recent; /* struct entry, the oldest first */
    size_t cache_bytes;
    struct {
        uint64_t hash;
        usec_t until_us;
    } poison[PICTURES_POISON_MAX];
    unsigned n_poison;
    _Atomic unsigned cage_missing;
    _Atomic uint64_t jobs;
    uint64_t last_id; /* of requests */
    unsigned n_slots;
    struct slot slots[PICTURES_HELPERS_MAX];
};

void *pictures_thread(void *slot);
/* Takes the next flight off the queue; NULL: stop. Waits until until_us (monotonic, 0: for ever) and sets
 * *ret_late then. */
struct flight *pictures_next(struct pictures *p, usec_t until_us, bool *ret_late);
/* Ends the flight for all who wait; takes the picture's reference. */
void pictures_finish(struct pictures *p, struct flight *f, int err, struct picture *made);
bool pictures_is_poison(struct pictures *p, uint64_t hash);
void pictures_add_poison(struct pictures *p, uint64_t hash);

#endif
