/* The segments that an MP4 of the archive is made of: of all storages, in the order of time. */
#include "httpd/http_access.h"
#include "httpd/archive_mp4.h"
#include "common/base/mem.h"

#include <errno.h>

#define FIND_CALM 10000 /* pages of one storage; more is an index that runs in circles */

struct search {
    struct archive_job j;
    struct film_ask ask;
    struct export_sources found[ARCHIVE_STORAGES_MAX];
    struct export_sources all;
    struct export_marks marks[ARCHIVE_STORAGES_MAX];
    uint64_t key;
};

static struct search *search_of(struct archive_job *j)
{
    return CONTAINER(j, struct search, j);
}

static void free_search(struct archive_job *j)
{
    struct search *s = search_of(j);

    for (size_t i = 0; i < ARCHIVE_STORAGES_MAX; i++) {
        export_sources_done(&s->found[i]);
        export_marks_done(&s->marks[i]);
    }
    export_sources_done(&s->all);
}

/* --- in a storage's pool --- */

static void add(struct archive_visit *v, const struct seg_info *i)
{
    export_marks_add(&search_of(v->j)->marks[v->n], i);
    export_sources_add(&search_of(v->j)->found[v->n], i, v->n, v->j->from_us, v->j->to_us);
}

static int list_indexed(struct archive_visit *v, struct records *r)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {
        .uid = v->j->uid, .from_us = v->j->from_us - EXPORT_LEAD_US, .to_us = v->j->to_us};
    size_t n = ARCHIVE_PAGE;
    int err = page ? 0 : -ENOMEM;

    for (unsigned pages = 0; err == 0 && n == ARCHIVE_PAGE && pages < FIND_CALM; pages++) {
        err = archive_index_err(v, records_segments(r, &q, page, ARCHIVE_PAGE, &n));
        for (size_t i = 0; err == 0 && i < n; i++) add(v, &page[i]);
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return err;
}

/* How far it is written only the ring knows. */
static void add_open(struct archive_visit *v, const struct records *r)
{
    CLEANUP(mem_freep) struct seg_info *i = mem_try(sizeof(*i));
    struct open_segment o = archive_open_of(v, r);

    if (!i || o.id == 0) return;
    i->id = o.id;
    i->bytes = o.bytes;
    i->start_us = o.start_us;
    i->end_us = o.end_us;
    i->origin = v->st->node;
    add(v, i);
}

static int find(struct archive_visit *v)
{
    struct records r;
    int err = records_open(v->st, &r);

    if (err != 0) return err;
    err = list_indexed(v, &r);
    if (err == 0) archive_fresh(v, &r, add);
    if (err == 0) add_open(v, &r);
    if (err == 0 && !search_of(v->j)->found[v->n].any) archive_nearest(v, &r);
    return archive_read_end(v, &r, err);
}

static void fold(uint64_t *key, uint64_t v)
{
    *key = (*key ^ v) * 0x9e3779b97f4a7c15u;
    *key ^= *key >> 32;
}

/* Another node's storage, if all of it lies there. */
static const struct storage *holder_of(const struct search *s)
{
    for (size_t i = 1; i < s->all.n; i++)
        if (s->all.v[i].storage != s->all.v[0].storage) return NULL;
    return s->all.n > 0 && s->j.v[s->all.v[0].storage].st->node != 0 ? s->j.v[s->all.v[0].storage].st : NULL;
}

static void finish(struct archive_job *j)
{
    struct search *s = search_of(j);
    const struct film_ask *a = &s->ask;

    for (size_t i = 0; i < j->n; i++)
        if (j->used & 1u << i) export_sources_join(&s->all, &s->found[i]);
    if (!s->all.any || s->all.too_many) return;
    export_sources_settle(&s->all, j->from_us);
    if (!export_sources_merge(&s->all, s->marks, s->j.n, s->j.open.id)) {
        s->all.too_many = true;
        return;
    }
    j->holder = holder_of(s);
    fold(&s->key, (uint64_t)a->from_us);
    fold(&s->key, (uint64_t)a->to_us);
    fold(&s->key, (uint64_t)a->sight.from_us);
    fold(&s->key, (uint64_t)a->sight.to_us);
    fold(&s->key,
        (uint64_t)a->pictures << 8 | (uint64_t)a->make_sound << 2 | (uint64_t)a->keep_gaps << 1 |
            a->no_sound);
    for (size_t i = 0; i < s->all.n; i++) {
        fold(&s->key, s->all.v[i].id);
        fold(&s->key, s->all.v[i].bytes << 8 | s->all.v[i].storage);
        fold(&s->key, s->all.v[i].crc);
        fold(&s->key, (uint64_t)s->all.v[i].start_us);
        fold(&s->key, (uint64_t)s->all.v[i].end_us);
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
    s->all = (struct export_sources){0};
    film_walk(h, a);
}

/* What of it may be shown; of a picture's moment all or nothing. false: it was answered. */
static bool film_clip(struct http *h, enum film_kind kind, usec_t *from_us, usec_t *to_us)
{
    return kind == FILM_PICTURE ? http_may_show(h, *from_us) : http_clip(h, from_us, to_us);
}

void film_find(struct http *h, const struct film_ask *ask)
{
    struct search *s;

    usec_t from_us = ask->from_us, to_us = ask->to_us;

    if (!film_clip(h, ask->kind, &from_us, &to_us)) return;
    s = NEW(struct search);
    s->ask = *ask;
    s->ask.sight = http_sight(h);
    s->ask.from_us = s->j.from_us = from_us;
    s->ask.to_us = s->j.to_us = to_us;
    s->j.read = find;
    s->j.finish = finish;
    s->j.answer = go_on;
    s->j.free = free_search;
    archive_start(h, &s->j);
}
