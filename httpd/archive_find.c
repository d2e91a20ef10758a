/* The segments that an MP4 of the archive is made of: of all storages, in the order of time. */
#include "httpd/archive_mp4.h"
#include "common/base/mem.h"

#include <errno.h>

#define FIND_CALM 10000 /* pages of one storage; more is an index that runs in circles */

struct found {
    struct source *v;
    size_t n, cap;
    bool any, too_many; /* any: one of them reaches into the time asked for */
};
struct search {
    struct archive_job j;
    struct film_ask ask;
    struct found found[ARCHIVE_STORAGES_MAX];
    struct found all;
    uint64_t key;
};

static struct search *search_of(struct archive_job *j)
{
    return CONTAINER(j, struct search, j);
}

static void free_search(struct archive_job *j)
{
    struct search *s = search_of(j);

    for (size_t i = 0; i < ARCHIVE_STORAGES_MAX; i++) mem_free(s->found[i].v);
    mem_free(s->all.v);
}

/* --- in a storage's pool --- */

static void push(struct found *f, const struct source *s)
{
    size_t cap = f->cap ? f->cap * 2 : 64;
    struct source *grown;

    if (f->n == f->cap) {
        grown = f->n < EXPORT_PARTS_MAX ? mem_retry(f->v, cap * sizeof(*grown)) : NULL;
        f->too_many = !grown;
        if (!grown) return;
        f->v = grown;
        f->cap = cap;
    }
    f->v[f->n++] = *s;
}

static void add(struct archive_visit *v, const struct seg_info *i)
{
    struct found *f = &search_of(v->j)->found[v->n];
    struct source s = {.id = i->id,
        .bytes = i->bytes,
        .start_us = i->start_us,
        .end_us = i->end_us,
        .key_us = i->n_keys > 0 ? i->start_us + (usec_t)i->keys[0].at_ms * US_PER_MS : INT64_MAX,
        .crc = i->crc,
        .storage = v->n,
        .inside = i->flags & SEG_CONTINUES};

    if (i->start_us >= v->j->to_us || i->end_us <= v->j->from_us - FILM_LEAD_US) return;
    f->any |= i->end_us > v->j->from_us;
    push(f, &s);
}

static int list_indexed(struct archive_visit *v, struct index *ix)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .from_us = v->j->from_us - FILM_LEAD_US, .to_us = v->j->to_us};
    size_t n = ARCHIVE_PAGE;
    int err = page ? 0 : -ENOMEM;

    for (unsigned pages = 0; err == 0 && n == ARCHIVE_PAGE && pages < FIND_CALM; pages++) {
        err = archive_index_err(v, index_segments(ix, &q, page, ARCHIVE_PAGE, &n));
        for (size_t i = 0; err == 0 && i < n; i++) add(v, &page[i]);
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return err;
}

/* How far it is written only the ring knows. */
static void add_open(struct archive_visit *v)
{
    CLEANUP(mem_freep) struct seg_info *i = mem_try(sizeof(*i));
    const struct open_segment *o = &v->j->open;

    if (!i || o->id == 0 || strcmp(o->storage, v->st->name) != 0) return;
    i->id = o->id;
    i->bytes = o->bytes;
    i->start_us = o->start_us;
    i->end_us = o->end_us;
    add(v, i);
}

static int find(struct archive_visit *v)
{
    struct index *ix = storage_index_get(v->st);
    int err;

    if (!ix) return -ENOENT;
    err = list_indexed(v, ix);
    if (err == 0) archive_fresh(v, ix, add);
    if (err == 0) add_open(v);
    if (err == 0 && !search_of(v->j)->found[v->n].any) archive_nearest(v, ix);
    storage_index_put(v->st);
    return err;
}

static int by_time(const void *a, const void *b)
{
    const struct source *x = a, *y = b;

    if (x->start_us != y->start_us) return x->start_us < y->start_us ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void fold(uint64_t *key, uint64_t v)
{
    *key = (*key ^ v) * 0x9e3779b97f4a7c15u;
    *key ^= *key >> 32;
}

/* In order, each once; without what lies before the first moment, but for what leads to it: a segment that
 * begins inside a group of pictures needs the one before. */
static void settle(struct search *s)
{
    struct found *all = &s->all;
    size_t n = 0, first = 0;

    qsort(all->v, all->n, sizeof(*all->v), by_time);
    for (size_t i = 0; i < all->n; i++)
        if (n == 0 || all->v[i].id != all->v[n - 1].id) all->v[n++] = all->v[i];
    while (first < n && all->v[first].end_us <= s->j.from_us) first++;
    while (first > 0 && first < n && all->v[first].inside && all->v[first].key_us > s->j.from_us &&
        all->v[first].start_us - all->v[first - 1].end_us <= INDEX_JOIN_US)
        first--;
    all->n = n - first;
    memmove(all->v, all->v + first, all->n * sizeof(*all->v));
}

static void finish(struct archive_job *j)
{
    struct search *s = search_of(j);
    const struct film_ask *a = &s->ask;

    for (size_t i = 0; i < j->n; i++) {
        const struct found *f = &s->found[i];

        if (!(j->used & 1u << i)) continue;
        s->all.any |= f->any;
        s->all.too_many |= f->too_many;
        for (size_t k = 0; k < f->n; k++) push(&s->all, &f->v[k]);
    }
    if (!s->all.any || s->all.too_many) return;
    settle(s);
    fold(&s->key, (uint64_t)a->from_us);
    fold(&s->key, (uint64_t)a->to_us);
    fold(&s->key,
        (uint64_t)a->pictures << 8 | (uint64_t)a->make_sound << 2 | (uint64_t)a->keep_gaps << 1 |
            a->no_sound);
    for (size_t i = 0; i < s->all.n; i++) {
        fold(&s->key, s->all.v[i].id);
        fold(&s->key, s->all.v[i].bytes << 8 | s->all.v[i].storage);
        fold(&s->key, s->all.v[i].crc);
    }
}

/* --- in the hub --- */

static struct film_answer *answer_new(struct search *s)
{
    struct film_answer *a = NEW(struct film_answer);
    struct http *h = s->j.h;

    a->fd = -1;
    a->ask = s->ask;
    a->missing = s->j.missing;
    a->lent.job.loop = h->hub->loop;
    buf_init(&a->out, FILM_OUT_MAX);
    memcpy(a->uid, s->j.uid, sizeof(a->uid));
    for (a->n_st = 0; a->n_st < s->j.n; a->n_st++) a->st[a->n_st] = storage_ref(s->j.v[a->n_st].st);
    return a;
}

static void go_on(struct archive_job *j)
{
    struct search *s = search_of(j);
    struct http *h = j->h;
    struct film_answer *a;

    if (s->all.too_many) {
        answer_error(h, 413, "at most %d segments in one file: ask for a shorter time", EXPORT_PARTS_MAX);
        return;
    }
    if (!s->all.any) {
        archive_answer_nothing(j);
        return;
    }
    a = answer_new(s);
    a->pictures = h->hub->server->pictures;
    a->films = h->hub->server->films;
    a->film = films_get(a->films, a->uid, s->key);
    if (a->film) {
        film_send(h, a);
        return;
    }
    a->film = film_new(a->uid, s->key, s->all.v, s->all.n);
    s->all = (struct found){0};
    film_walk(h, a);
}

void film_find(struct http *h, const struct film_ask *ask)
{
    struct search *s = NEW(struct search);

    s->ask = *ask;
    s->j.from_us = ask->from_us;
    s->j.to_us = ask->to_us;
    s->j.read = find;
    s->j.finish = finish;
    s->j.answer = go_on;
    s->j.free = free_search;
    archive_start(h, &s->j);
}
