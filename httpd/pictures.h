/* Pictures and sound that helper processes make (httpd/picture): a bounded queue, a thread a helper, one job
 * for all who ask for the same, and a cache in memory of what was made. A helper is asked of the master by
 * need, replaced after PICTURES_HELPER_JOBS jobs or PICTURES_HELPER_LIFE_US, and killed when a job takes too
 * long; what has ended one is not given to another for PICTURES_POISON_US. Any thread may ask. Tests:
 * tests/unit/httpd/test_pictures.c, tests/e2e/test_picture.py. */
#ifndef HTTPD_PICTURES_H
#define HTTPD_PICTURES_H

#include <stdatomic.h>

#include "common/base/list.h"
#include "common/net/loop.h"
#include "httpd/picture/wire.h"

#define PICTURES_HELPERS_MAX    16
#define PICTURES_QUEUE_MAX      32          /* jobs that wait for a helper; more is PICTURES_E_BUSY */
#define PICTURES_CACHE_MAX      (32u << 20) /* bytes; what was asked for longest ago goes first */
#define PICTURES_KEY_MAX        128
#define PICTURES_JOB_US         (2 * US_PER_S)
#define PICTURES_BIRTH_US       (6 * US_PER_S) /* from asking for a helper to its first word */
#define PICTURES_HELPER_JOBS    200
#define PICTURES_HELPER_LIFE_US (600 * US_PER_S)
#define PICTURES_POISON_US      (60 * US_PER_S)
#define PICTURES_POISON_MAX     64

/* Conditions (positive). */
enum pictures_err {
    PICTURES_OK = 0,
    PICTURES_E_OFF,    /* pictures = 0 */
    PICTURES_E_BUSY,   /* the queue is full */
    PICTURES_E_NONE,   /* no helper could be started */
    PICTURES_E_KILLED, /* it took too long, or ended its helper */
    PICTURES_E_POISON, /* it did so a moment ago */
    PICTURES_E_BAD,    /* it cannot be decoded */
    PICTURES_E_LARGE   /* it is larger than the limits allow */
};
/* A sentence for the viewer. */
const char *pictures_why(int err);

/* What was made; shared between threads. */
struct picture {
    _Atomic uint32_t refs;
    uint16_t width, height;
    int64_t pts; /* of the unit that was taken */
    size_t n;
    uint8_t data[];
};
struct picture *picture_ref(struct picture *p);
void picture_unref(struct picture *p); /* NULL too */

/* What a picture is made of. */
struct picture_source {
    struct picture_ask ask; /* id and n_bytes are filled in by pictures_ask */
    struct buf bytes;
};
struct picture_source *picture_source_new(void);
void picture_source_free(struct picture_source *s); /* NULL too */

/* Who waits. done is called once, in the loop's thread, or where loop is NULL in one of ours. */
struct picture_job {
    struct loop *loop;
    void (*done)(struct picture_job *j);
    int err;                 /* 0, or enum pictures_err */
    struct picture *picture; /* on PICTURES_OK; the caller's reference */
    struct list link;
};

struct pictures;
struct pictures_ops {
    void (*want)(void *arg);              /* a helper; pictures_helper answers */
    void (*gone)(void *arg, uint64_t id); /* kill it */
};
struct pictures *pictures_new(unsigned helpers, const struct pictures_ops *ops, void *arg);
void pictures_free(struct pictures *p); /* waiting jobs end with PICTURES_E_OFF; NULL too */

/* key: the same text, the same picture. src is taken; NULL: only what is in the cache or already on its way.
 * false: src was NULL and there is no such thing, done is not called. p may be NULL: PICTURES_E_OFF. */
bool pictures_ask(struct pictures *p, const char *key, struct picture_source *src, struct picture_job *j);
/* The same, and waits: for a pool's thread. *ret is the caller's on PICTURES_OK. */
int pictures_make(struct pictures *p, const char *key, struct picture_source *src, struct picture **ret);

/* Is it in the cache? Then *ret is the caller's. */
bool pictures_known(struct pictures *p, const char *key, struct picture **ret);

/* From the master: a helper's socket (taken), or err. */
void pictures_helper(struct pictures *p, uint64_t id, int err, int fd);
/* Layers that the cage of the newest helper lacks (enum cage_layer). */
unsigned pictures_cage_missing(const struct pictures *p);
/* Jobs that helpers were given so far. */
uint64_t pictures_jobs(const struct pictures *p);

#endif
