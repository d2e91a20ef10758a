#include "httpd/cuts.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <pthread.h>

#define HEAD_MAX    (4u << 20) /* bytes */
#define LARGE_SHARE 8

struct cuts {
    pthread_mutex_t lock;
    struct map by_name;
    struct list used; /* the longest ago first */
    size_t bytes, bytes_max;
};

static void name_of(const struct cut_key *k, char *dst, size_t cap)
{
    snprintf(dst, cap, "%s/%llx/%x/%x/%llx/%llx", k->uid, (unsigned long long)k->id, k->from, k->to,
        (unsigned long long)k->until_us, (unsigned long long)k->shown_us);
}

struct cut *cut_new(const struct cut_key *key)
{
    struct cut *c = NEW(struct cut);

    atomic_init(&c->refs, 1);
    buf_init(&c->head, HEAD_MAX);
    name_of(key, c->name, sizeof(c->name));
    return c;
}

static struct cut *cut_ref(struct cut *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void cut_unref(struct cut *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    buf_done(&c->head);
    seg_cut_done(&c->media);
    mem_free(c);
}

void cut_made_from(struct cut *c, const struct stat *file)
{
    c->file.dev = file->st_dev;
    c->file.ino = file->st_ino;
    c->file.bytes = file->st_size;
    c->file.changed = file->st_mtim;
}

bool cut_fits(const struct cut *c, const struct stat *file)
{
    const struct timespec *was = &c->file.changed, *is = &file->st_mtim;

    if (c->file.dev != file->st_dev || c->file.ino != file->st_ino) return false;
    if (file->st_size != c->file.bytes) return file->st_size > c->file.bytes; /* of an open one: it grows */
    return was->tv_sec == is->tv_sec && was->tv_nsec == is->tv_nsec;
}

struct cuts *cuts_new(size_t bytes_max)
{
    struct cuts *s = NEW(struct cuts);

    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->used);
    s->bytes_max = bytes_max;
    return s;
}

/* Lock held. */
static void take_out(struct cuts *s, struct cut *c)
{
    map_remove(&s->by_name, span_of(c->name));
    list_remove(&c->link);
    s->bytes -= c->cost;
    cut_unref(c);
}

void cuts_free(struct cuts *s)
{
    if (!s) return;
    while (!list_empty(&s->used)) take_out(s, LIST_ITEM(s->used.next, struct cut, link));
    map_done(&s->by_name);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

struct cut *cuts_get(struct cuts *s, const struct cut_key *key)
{
    char name[sizeof(((struct cut *)NULL)->name)];
    struct cut *c;

    name_of(key, name, sizeof(name));
    pthread_mutex_lock(&s->lock);
    c = map_get(&s->by_name, span_of(name));
    if (c) {
        list_remove(&c->link);
        list_push(&s->used, &c->link);
        cut_ref(c);
    }
    pthread_mutex_unlock(&s->lock);
    return c;
}

void cuts_put(struct cuts *s, struct cut *c)
{
    struct cut *before;

    c->cost = sizeof(*c) + 2 * sizeof(c->name) + c->head.cap + c->media.n_r * sizeof(c->media.r[0]);
    if (c->cost > s->bytes_max / LARGE_SHARE) return;
    pthread_mutex_lock(&s->lock);
    before = map_get(&s->by_name, span_of(c->name));
    if (before) take_out(s, before);
    while (s->bytes + c->cost > s->bytes_max && !list_empty(&s->used))
        take_out(s, LIST_ITEM(s->used.next, struct cut, link));
    map_set(&s->by_name, span_of(c->name), cut_ref(c));
    list_push(&s->used, &c->link);
    s->bytes += c->cost;
    pthread_mutex_unlock(&s->lock);
}

void cuts_drop(struct cuts *s, struct cut *c)
{
    pthread_mutex_lock(&s->lock);
    if (map_get(&s->by_name, span_of(c->name)) == c) take_out(s, c);
    pthread_mutex_unlock(&s->lock);
}

size_t cuts_bytes(struct cuts *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return n;
}
