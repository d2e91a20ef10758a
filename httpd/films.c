#include "httpd/films.h"
#include "common/base/mem.h"

#include <pthread.h>

struct films {
    pthread_mutex_t lock;
    struct list used; /* the longest ago first */
    size_t n;
};

struct film *film_new(const char *uid, uint64_t key, struct export_source *source, size_t n)
{
    struct film *f = NEW(struct film);

    atomic_init(&f->refs, 1);
    span_copy(span_of(uid), f->uid, sizeof(f->uid));
    f->key = key;
    f->source = source;
    f->n = n;
    return f;
}

void film_unref(struct film *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    export_free(f->x);
    mem_free(f->source);
    mem_free(f->times);
    mem_free(f);
}

struct films *films_new(void)
{
    struct films *s = NEW(struct films);

    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->used);
    return s;
}

/* Lock held. */
static void take_out(struct films *s, struct film *f)
{
    list_remove(&f->link);
    s->n--;
    film_unref(f);
}

void films_free(struct films *s)
{
    if (!s) return;
    while (!list_empty(&s->used)) take_out(s, LIST_ITEM(s->used.next, struct film, link));
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* Lock held. */
static struct film *find(struct films *s, const char *uid, uint64_t key)
{
    for (struct list *l = s->used.next; l != &s->used; l = l->next) {
        struct film *f = LIST_ITEM(l, struct film, link);

        if (f->key == key && strcmp(f->uid, uid) == 0) return f;
    }
    return NULL;
}

struct film *films_get(struct films *s, const char *uid, uint64_t key)
{
    struct film *f;

    pthread_mutex_lock(&s->lock);
    f = find(s, uid, key);
    if (f) {
        list_remove(&f->link);
        list_push(&s->used, &f->link);
        atomic_fetch_add(&f->refs, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return f;
}

void films_put(struct films *s, struct film *f)
{
    struct film *before;

    pthread_mutex_lock(&s->lock);
    before = find(s, f->uid, f->key);
    if (before) take_out(s, before);
    if (s->n == FILMS_MAX) take_out(s, LIST_ITEM(s->used.next, struct film, link));
    atomic_fetch_add(&f->refs, 1);
    list_push(&s->used, &f->link);
    s->n++;
    pthread_mutex_unlock(&s->lock);
}

void films_drop(struct films *s, struct film *f)
{
    pthread_mutex_lock(&s->lock);
    if (find(s, f->uid, f->key) == f) take_out(s, f);
    pthread_mutex_unlock(&s->lock);
}
