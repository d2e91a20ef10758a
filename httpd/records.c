#include "httpd/records.h"
#include "archive/reader.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"

#include <errno.h>

#define LOCKS_PAGE 64

int records_open(struct storage *st, struct records *ret)
{
    *ret = (struct records){.st = st};
    if (st->node != 0) return 0;
    ret->ix = storage_index_get(st);
    return ret->ix ? 0 : -ENOENT;
}

void records_close(struct records *r)
{
    if (r->ix) storage_index_put(r->st);
    r->ix = NULL;
}

/* --- another node --- */

static int page_of(struct records *r, const struct away_ask *q, struct away_list **ret)
{
    bool stale;
    int err = shelf_find(r->st->shelf, q, ret, &stale);

    r->stale |= err == 0 && stale;
    return err;
}

static void note_open(struct records *r, const struct seg_info *s)
{
    r->open_id = s->id;
    r->open_start_us = s->start_us;
    r->open_end_us = s->end_us;
}

static bool overlaps(const struct seg_info *s, const struct index_query *q)
{
    return s->start_us < q->to_us && s->end_us > q->from_us;
}

/* What of a page is wanted, behind what is in out. */
static size_t take_page(struct records *r, const struct away_list *l, const struct index_query *q,
    struct seg_info *out, size_t max, uint64_t *ret_last)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n && n < max; i++) {
        if (!away_item(l, i, q->uid, &out[n])) continue;
        *ret_last = out[n].id;
        out[n].origin = r->st->self == out[n].origin ? 0 : out[n].origin;
        if (!overlaps(&out[n], q)) continue;
        if (out[n].id != l->open) {
            n++;
            continue;
        }
        note_open(r, &out[n]);
    }
    return n;
}

static int away_segments(
    struct records *r, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n)
{
    struct away_ask ask = {.uid = q->uid,
        .from_us = q->from_us,
        .to_us = q->to_us,
        .after = q->after_id,
        .most = AWAY_LIST_MOST};
    bool more = true;
    size_t n = 0;

    while (more && n < max) {
        uint64_t last = ask.after;
        struct away_list *l;
        int err = page_of(r, &ask, &l);

        if (err != 0) return err;
        n += take_page(r, l, q, out + n, max - n, &last);
        more = l->more && last > ask.after;
        ask.after = last;
        away_list_unref(l);
    }
    *ret_n = n;
    return INDEX_OK;
}

/* Where the last footage before that moment ends, at most there. INDEX_E_NONE: there is none. */
static int away_edge(struct records *r, const char *uid, usec_t before_us, usec_t *ret)
{
    const struct away_ask ask = {.uid = uid, .to_us = before_us};
    struct away_spans *s;
    usec_t edge_us = 0;
    bool stale;
    int err = shelf_ranges(r->st->shelf, &ask, &s, &stale);

    if (err != 0) return err;
    r->stale |= stale;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].start_us < before_us) edge_us = MAX(edge_us, MIN(s->v[i].end_us, before_us));
    away_spans_unref(s);
    *ret = edge_us;
    return edge_us > 0 ? INDEX_OK : INDEX_E_NONE;
}

/* Holes of a range are shorter than twice INDEX_JOIN_US. */
static int away_newest(struct records *r, const char *uid, usec_t before_us, struct seg_info *ret)
{
    struct away_ask ask = {.uid = uid, .most = AWAY_LIST_MOST};
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    struct away_list *l;
    int err = info ? away_edge(r, uid, before_us, &ask.to_us) : -ENOMEM;

    if (err != INDEX_OK) return err;
    ask.from_us = ask.to_us - 2 * INDEX_JOIN_US;
    err = page_of(r, &ask, &l);
    if (err != 0) return err;
    err = INDEX_E_NONE;
    for (size_t i = 0; i < l->n; i++) {
        if (!away_item(l, i, uid, info) || info->start_us >= before_us) continue;
        *ret = *info;
        ret->origin = r->st->self == ret->origin ? 0 : ret->origin;
        err = INDEX_OK;
    }
    if (err == INDEX_OK && ret->id == l->open) note_open(r, ret);
    away_list_unref(l);
    return err;
}

static int away_spans_of(
    struct records *r, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n)
{
    const struct away_ask ask = {.uid = q->uid, .from_us = q->from_us, .to_us = q->to_us};
    struct away_spans *s;
    size_t n = 0;
    bool stale;
    int err = shelf_ranges(r->st->shelf, &ask, &s, &stale);

    if (err != 0) return err;
    r->stale |= stale;
    for (size_t i = 0; i < s->n && n < max; i++)
        if (s->v[i].start_us < q->to_us && s->v[i].end_us > q->from_us)
            out[n++] = (struct index_range){s->v[i].start_us, s->v[i].end_us};
    away_spans_unref(s);
    *ret_n = n;
    return INDEX_OK;
}

/* A lock as a row for scripts (away_said.h). */
static int add_row(struct span row, const struct index_query *q, struct stretches *ret)
{
    struct unpack *u;
    const struct packed *lock;
    usec_t from_us, to_us;
    bool held, ok = true;

    if (unpack_new(row, &u) != 0) return 0;
    lock = unpack_root(u);
    held = !packed_bool(lock, "released", true);
    from_us = packed_i64(lock, "from_s", 0) * US_PER_S;
    to_us = packed_i64(lock, "to_s", 0) * US_PER_S;
    unpack_done(u);
    if (held && from_us < q->to_us && to_us > q->from_us) ok = stretches_add(ret, from_us, to_us);
    return ok ? 0 : -ENOMEM;
}

static int away_locks(struct records *r, const struct index_query *q, struct stretches *ret)
{
    const struct away_ask ask = {.uid = q->uid, .from_us = q->from_us, .to_us = q->to_us};
    struct away_marks *m;
    int err = shelf_marks(r->st->shelf, &ask, &m);

    if (err != 0) { /* its ranges may be what it has said before */
        r->stale = true;
        return 0;
    }
    for (size_t i = 0; err == 0 && i < m->n; i++)
        if (m->v[i].lock) err = add_row(span_sub(buf_span(&m->rows), m->v[i].at, m->v[i].n), q, ret);
    if (err == 0 && m->partial) err = INDEX_E_DAMAGED;
    away_marks_free(m);
    return err;
}

/* --- this machine --- */

/* All of a page that is of the stream and begins in time. *ret_more: there may be others behind. */
static int add_page(const struct index_lock *page, size_t n, const struct index_query *q,
    struct stretches *ret, bool *ret_more)
{
    for (size_t i = 0; i < n; i++) {
        const struct index_lock *l = &page[i];

        *ret_more = strcmp(l->uid, q->uid) == 0 && l->start_us < q->to_us;
        if (!*ret_more) return 0;
        if (l->released_us == 0 && l->end_us > q->from_us && !stretches_add(ret, l->start_us, l->end_us))
            return -ENOMEM;
    }
    return 0;
}

static int own_locks(struct index *ix, const struct index_query *q, struct stretches *ret)
{
    CLEANUP(mem_freep) struct index_lock *page = mem_try(LOCKS_PAGE * sizeof(*page));
    struct index_lock last = {.id = 0}; /* before the first of the stream */
    bool more = true, damaged = false;
    size_t n = LOCKS_PAGE;

    if (!page) return -ENOMEM;
    span_copy(span_of(q->uid), last.uid, sizeof(last.uid));
    while (more && n == LOCKS_PAGE) {
        int err = index_locks(ix, &last, page, LOCKS_PAGE, &n);

        damaged |= err == INDEX_E_DAMAGED;
        if (err >= 0) err = add_page(page, n, q, ret, &more);
        if (err < 0) return err;
        if (n > 0) last = page[n - 1];
    }
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

/* --- of both kinds --- */

int records_segments(
    struct records *r, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n)
{
    int err;

    if (!r->ix) return away_segments(r, q, out, max, ret_n);
    err = index_segments(r->ix, q, out, max, ret_n);
    for (size_t i = 0; err >= 0 && i < *ret_n; i++) out[i].origin = seg_origin(&out[i]);
    return err;
}

int records_ranges(
    struct records *r, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n)
{
    return r->ix ? index_ranges(r->ix, q, out, max, ret_n) : away_spans_of(r, q, out, max, ret_n);
}

int records_locks(struct records *r, const struct index_query *q, struct stretches *ret)
{
    return r->ix ? own_locks(r->ix, q, ret) : away_locks(r, q, ret);
}

int records_last(struct records *r, const char *uid, struct seg_info *ret)
{
    return r->ix ? index_last(r->ix, uid, ret) : away_newest(r, uid, SEG_TIME_MAX_US, ret);
}

int records_last_by(struct records *r, const char *uid, usec_t at_us, struct seg_info *ret)
{
    int err;

    if (!r->ix) return away_newest(r, uid, at_us + US_PER_MS, ret);
    err = index_last_by(r->ix, uid, at_us, ret);
    if (err == INDEX_OK) ret->origin = seg_origin(ret);
    return err;
}

int records_get(struct storage *st, const char *uid, uint64_t id, struct seg_info *ret)
{
    struct index *ix;
    int err;

    if (st->node != 0) return INDEX_E_NONE;
    ix = storage_index_get(st);
    if (!ix) return -EAGAIN;
    err = index_get(ix, uid, id, ret);
    storage_index_put(st);
    return err;
}

int records_file(struct storage *st, const char *uid, uint64_t id, int *ret_fd)
{
    char path[SEG_PATH_MAX];

    if (st->node != 0) return away_open(st->away, st->node, uid, id, ret_fd);
    seg_path_of(id, path);
    return seg_open(st->path, uid, path, ret_fd);
}
