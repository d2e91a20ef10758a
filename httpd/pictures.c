#include "httpd/pictures_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>

/* What was made, and how to find it. */
struct entry {
    struct list link;
    struct picture *picture;
    char key[PICTURES_KEY_MAX];
};

const char *pictures_why(int err)
{
    static const char *const why[] = {
        [PICTURES_OK] = "",
        [PICTURES_E_OFF] = "pictures are switched off here",
        [PICTURES_E_BUSY] = "too many pictures are being made",
        [PICTURES_E_NONE] = "nothing can make pictures now",
        [PICTURES_E_KILLED] = "this picture took too long to make, and was given up",
        [PICTURES_E_POISON] =
            "this picture could not be made a moment ago, and is not tried again for a minute",
        [PICTURES_E_BAD] = "this frame cannot be decoded",
        [PICTURES_E_LARGE] = "this frame is too large to be decoded here",
    };

    return err >= 0 && err < (int)ARRAY_N(why) ? why[err] : why[PICTURES_E_NONE];
}

struct picture *picture_ref(struct picture *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void picture_unref(struct picture *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1) mem_free(p);
}

struct picture_source *picture_source_new(void)
{
    struct picture_source *s = NEW(struct picture_source);

    buf_init(&s->bytes, PICTURE_BYTES_MAX);
    return s;
}

void picture_source_free(struct picture_source *s)
{
    if (!s) return;
    buf_done(&s->bytes);
    mem_free(s);
}

/* --- who waits --- */

static void call_done(void *arg)
{
    struct picture_job *j = arg;

    j->done(j);
}

/* Never under the lock: done may free the job, or ask again. */
static void tell(struct picture_job *j, int err, struct picture *made)
{
    j->err = err;
    j->picture = err == PICTURES_OK ? picture_ref(made) : NULL;
    if (j->loop)
        loop_post(j->loop, call_done, j);
    else
        call_done(j);
}

static void free_flight(struct flight *f)
{
    picture_source_free(f->src);
    mem_free(f);
}

/* --- the cache; under the lock --- */

static void drop(struct pictures *p, struct entry *e)
{
    (void)map_remove(&p->cache, span_of(e->key));
    list_remove(&e->link);
    p->cache_bytes -= e->picture->n;
    picture_unref(e->picture);
    mem_free(e);
}

static void keep(struct pictures *p, const char *key, struct picture *made)
{
    struct entry *e = map_get(&p->cache, span_of(key));

    if (e) drop(p, e);
    if (made->n > PICTURES_CACHE_MAX / 4) return;
    e = NEW(struct entry);
    span_copy(span_of(key), e->key, sizeof(e->key));
    e->picture = picture_ref(made);
    (void)map_set(&p->cache, span_of(key), e);
    list_push(&p->recent, &e->link);
    p->cache_bytes += made->n;
    while (p->cache_bytes > PICTURES_CACHE_MAX) drop(p, LIST_ITEM(p->recent.next, struct entry, link));
}

/* Referenced. */
static struct picture *look(struct pictures *p, const char *key)
{
    struct entry *e = map_get(&p->cache, span_of(key));

    if (!e) return NULL;
    list_remove(&e->link);
    list_push(&p->recent, &e->link);
    return picture_ref(e->picture);
}

/* --- what has ended a helper --- */

bool pictures_is_poison(struct pictures *p, uint64_t hash)
{
    usec_t now_us = clock_mono_us();
    bool is = false;

    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < PICTURES_POISON_MAX && !is; i++)
        is = p->poison[i].hash == hash && p->poison[i].until_us > now_us;
    pthread_mutex_unlock(&p->lock);
    return is;
}

void pictures_add_poison(struct pictures *p, uint64_t hash)
{
    pthread_mutex_lock(&p->lock);
    p->poison[p->n_poison % PICTURES_POISON_MAX].hash = hash;
    p->poison[p->n_poison++ % PICTURES_POISON_MAX].until_us = clock_mono_us() + PICTURES_POISON_US;
    pthread_mutex_unlock(&p->lock);
}

/* --- the queue --- */

struct flight *pictures_next(struct pictures *p, usec_t until_us, bool *ret_late)
{
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
    struct flight *f = NULL;
    int err = 0;

    *ret_late = false;
    pthread_mutex_lock(&p->lock);
    while (!p->stop && list_empty(&p->queue) && err != ETIMEDOUT)
        err = until_us ? pthread_cond_timedwait(&p->more, &p->lock, &until)
                       : pthread_cond_wait(&p->more, &p->lock);
    if (!p->stop && !list_empty(&p->queue)) {
        f = LIST_ITEM(p->queue.next, struct flight, link);
        list_remove(&f->link);
        p->queued--;
    }
    *ret_late = !p->stop && !f;
    pthread_mutex_unlock(&p->lock);
    return f;
}

void pictures_finish(struct pictures *p, struct flight *f, int err, struct picture *made)
{
    pthread_mutex_lock(&p->lock);
    (void)map_remove(&p->flights, span_of(f->key));
    if (err == PICTURES_OK) keep(p, f->key, made);
    pthread_mutex_unlock(&p->lock);
    /* Nobody can join any more. */
    while (!list_empty(&f->waiters)) {
        struct picture_job *j = LIST_ITEM(f->waiters.next, struct picture_job, link);

        list_remove(&j->link);
        tell(j, err, made);
    }
    free_flight(f);
    picture_unref(made);
}

static uint64_t hash_of(const struct picture_source *s)
{
    uint64_t config = hash_fnv1a(span(s->ask.config, s->ask.config_n));

    return hash_fnv1a(buf_span(&s->bytes)) ^ config * 3 ^ (uint64_t)s->ask.codec;
}

/* Under the lock. NULL: the queue is full. */
static struct flight *start(struct pictures *p, const char *key, struct picture_source *src)
{
    struct flight *f;

    if (p->queued == PICTURES_QUEUE_MAX) return NULL;
    f = NEW(struct flight);
    span_copy(span_of(key), f->key, sizeof(f->key));
    src->ask.id = ++p->last_id;
    src->ask.n_bytes = (uint32_t)buf_n(&src->bytes);
    f->src = src;
    f->hash = hash_of(src);
    list_init(&f->waiters);
    (void)map_set(&p->flights, span_of(f->key), f);
    list_push(&p->queue, &f->link);
    p->queued++;
    pthread_cond_signal(&p->more);
    return f;
}

bool pictures_ask(struct pictures *p, const char *key, struct picture_source *src, struct picture_job *j)
{
    struct picture *made;
    struct flight *f = NULL;
    bool known = src != NULL;

    if (!p) {
        picture_source_free(src);
        tell(j, PICTURES_E_OFF, NULL);
        return true;
    }
    pthread_mutex_lock(&p->lock);
    made = look(p, key);
    if (!made) f = map_get(&p->flights, span_of(key));
    if (!made && !f && src && !p->stop) {
        f = start(p, key, src);
        if (f) src = NULL;
    }
    if (f) list_push(&f->waiters, &j->link);
    pthread_mutex_unlock(&p->lock);
    picture_source_free(src);
    if (made)
        tell(j, PICTURES_OK, made);
    else if (!f && known)
        tell(j, PICTURES_E_BUSY, NULL);
    picture_unref(made);
    return made || f || known;
}

bool pictures_known(struct pictures *p, const char *key, struct picture **ret)
{
    struct picture *made;

    if (!p) return false;
    pthread_mutex_lock(&p->lock);
    made = look(p, key);
    pthread_mutex_unlock(&p->lock);
    if (made) *ret = made;
    return made != NULL;
}

/* --- waiting for it --- */

struct blocked {
    struct picture_job job;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
};

static void unblock(struct picture_job *j)
{
    struct blocked *b = CONTAINER(j, struct blocked, job);

    pthread_mutex_lock(&b->lock);
    b->is_over = true;
    pthread_cond_signal(&b->over);
    pthread_mutex_unlock(&b->lock);
}

int pictures_make(struct pictures *p, const char *key, struct picture_source *src, struct picture **ret)
{
    struct blocked b = {.job = {.done = unblock}};

    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.over, NULL);
    if (!pictures_ask(p, key, src, &b.job)) {
        b.job.err = PICTURES_E_NONE;
        b.is_over = true;
    }
    pthread_mutex_lock(&b.lock);
    while (!b.is_over) pthread_cond_wait(&b.over, &b.lock);
    pthread_mutex_unlock(&b.lock);
    pthread_cond_destroy(&b.over);
    pthread_mutex_destroy(&b.lock);
    if (b.job.err == PICTURES_OK) *ret = b.job.picture;
    return b.job.err;
}

/* --- all of it --- */

struct pictures *pictures_new(unsigned helpers, const struct pictures_ops *ops, void *arg)
{
    struct pictures *p;
    pthread_condattr_t mono;

    if (helpers == 0) return NULL;
    p = NEW(struct pictures);
    p->ops = ops;
    p->arg = arg;
    list_init(&p->queue);
    list_init(&p->recent);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&p->more, &mono);
    pthread_cond_init(&p->given, &mono);
    pthread_condattr_destroy(&mono);
    p->n_slots = MIN(helpers, (unsigned)PICTURES_HELPERS_MAX);
    for (unsigned i = 0; i < p->n_slots; i++) {
        p->slots[i] = (struct slot){.p = p, .fd = -1, .given_fd = -1};
        must(pthread_create(&p->slots[i].thread, NULL, pictures_thread, &p->slots[i]) == 0);
    }
    return p;
}

void pictures_free(struct pictures *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->more);
    pthread_cond_broadcast(&p->given);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_slots; i++) pthread_join(p->slots[i].thread, NULL);
    while (!list_empty(&p->queue)) {
        struct flight *f = LIST_ITEM(p->queue.next, struct flight, link);

        list_remove(&f->link);
        pictures_finish(p, f, PICTURES_E_OFF, NULL);
    }
    while (!list_empty(&p->recent)) drop(p, LIST_ITEM(p->recent.next, struct entry, link));
    map_done(&p->flights);
    map_done(&p->cache);
    pthread_cond_destroy(&p->more);
    pthread_cond_destroy(&p->given);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

unsigned pictures_cage_missing(const struct pictures *p)
{
    return p ? atomic_load(&p->cage_missing) : 0;
}

uint64_t pictures_jobs(const struct pictures *p)
{
    return p ? atomic_load(&p->jobs) : 0;
}
