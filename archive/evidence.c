#include "archive/evidence.h"
#include "archive/segproof.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define PAGE     32    /* segments read from an index at once */
#define CALM     10000 /* pages of one storage; more is an index that runs in circles */
#define CHUNK    (1u << 20)
#define ROWS_MAX (64u << 20) /* of one segment */

static bool alive(struct evidence *e)
{
    return !e->alive || e->alive(e->arg, e->done, MAX(e->done, e->all));
}

/* --- which segments --- */

static int list_place(
    struct evidence *e, uint8_t place, struct export_sources *to, struct export_marks *marks)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_new_n(PAGE, sizeof(*page));
    struct index_query q = {.uid = e->uid, .from_us = e->from_us - EXPORT_LEAD_US, .to_us = e->to_us};
    size_t n = PAGE;

    for (unsigned pages = 0; n == PAGE && pages < CALM; pages++) {
        int err = index_segments(e->places[place].ix, &q, page, PAGE, &n);

        if (err < 0) return err;
        e->damaged |= err == INDEX_E_DAMAGED;
        for (size_t i = 0; i < n; i++) {
            page[i].origin = seg_origin(&page[i]);
            export_marks_add(marks, &page[i]);
            export_sources_add(to, &page[i], place, e->from_us, e->to_us);
        }
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return 0;
}

static int find(struct evidence *e, struct export_sources *ret)
{
    struct export_marks marks = {0};
    int err = 0;

    must(e->n_places <= UINT8_MAX);
    for (size_t i = 0; err == 0 && i < e->n_places; i++) err = list_place(e, (uint8_t)i, ret, &marks);
    if (err == 0 && ret->too_many) err = EXPORT_E_MANY;
    if (err == 0 && !ret->any) err = EXPORT_E_NONE;
    if (err == 0) export_sources_settle(ret, e->from_us);
    if (err == 0 && !export_sources_merge(ret, &marks, 1, 0)) err = -ENOMEM;
    export_marks_done(&marks);
    return err;
}

struct evidence_near evidence_near(const struct evidence *e)
{
    CLEANUP(mem_freep) struct seg_info *s = NEW(struct seg_info);
    struct evidence_near near = {0};

    for (size_t i = 0; i < e->n_places; i++) {
        struct index_query later = {.uid = e->uid, .from_us = e->to_us, .to_us = INT64_MAX};
        size_t n = 0;

        if (index_segments(e->places[i].ix, &later, s, 1, &n) >= 0 && n == 1)
            near.after_us = near.after_us ? MIN(near.after_us, s->start_us) : s->start_us;
        if (index_last_by(e->places[i].ix, e->uid, e->from_us, s) == INDEX_OK && s->end_us <= e->from_us)
            near.before_us = MAX(near.before_us, s->end_us);
    }
    return near;
}

/* --- laying it out --- */

static void take_tracks(struct evidence_segment *s, const struct track_set *t)
{
    for (s->n_tracks = 0; s->n_tracks < t->n; s->n_tracks++) {
        const struct track *k = &t->t[s->n_tracks];

        s->t[s->n_tracks] = (struct evidence_track){.codec = k->codec,
            .width = k->width,
            .height = k->height,
            .channels = k->channels,
            .sample_rate = k->sample_rate};
    }
}

static void take_info(struct evidence_segment *s, const struct seg_info *i)
{
    s->start_us = i->start_us;
    s->end_us = i->end_us;
    s->flags |= i->flags;
    s->damaged = i->damaged;
    s->repaired = i->repaired;
    s->clock = i->clock;
    s->clock_offset_us = i->clock_offset_us;
}

/* Of the table what is wanted of it. */
static int take_part(const struct evidence_segment *s, struct seg_table **t)
{
    struct seg_table *part;

    if (!s->part) return 0;
    part = seg_table_part(*t, s->from_us, s->until_us, NULL);
    seg_table_free(*t);
    *t = part;
    return part ? 0 : -ENOMEM;
}

/* forms: of the last segment that is in it. A segment that cannot be read is a gap, as it is for viewers. */
static int add_one(struct evidence *e, uint32_t i, struct track_set *forms)
{
    struct evidence_segment *s = &e->v[i];
    const struct export_facts *f = export_facts(e->x);
    struct export_facts before = *f;
    struct seg_table *t = NULL;
    char path[SEG_PATH_MAX];
    int err;

    seg_path_of(s->id, path);
    s->err = seg_open(e->places[s->place].path, e->uid, path, &s->fd);
    if (s->err == 0) s->err = seg_table_any(s->fd, s->bytes, &t);
    if (s->err == -EMFILE || s->err == -ENFILE) return s->err;
    if (s->err) {
        fd_close(&s->fd);
        return EXPORT_OK;
    }
    take_info(s, &t->info);
    take_tracks(s, &t->tracks);
    err = take_part(s, &t);
    if (err != 0) return err;
    err = export_add(e->x, i, t);
    s->used = err == EXPORT_OK && export_facts(e->x)->parts > before.parts;
    if (s->used) {
        s->gap_from_us = before.end_us;
        s->gap_us = f->gaps_us - before.gaps_us;
        s->another = before.parts == 0 || f->changes > before.changes || !track_set_same(forms, &t->tracks);
        *forms = t->tracks;
    }
    seg_table_free(t);
    return err;
}

static void take_source(const struct export_source *from, struct evidence_segment *to)
{
    *to = (struct evidence_segment){.id = from->id,
        .bytes = from->bytes,
        .start_us = from->start_us,
        .end_us = from->end_us,
        .part = from->part,
        .from_us = from->start_us,
        .until_us = from->end_us,
        .place = from->storage,
        .fd = -1};
}

static int add_all(struct evidence *e)
{
    CLEANUP(mem_freep) struct track_set *forms = NEW(struct track_set);
    int err = EXPORT_OK;

    for (size_t i = 0; err == EXPORT_OK && i < e->n; i++) {
        err = add_one(e, (uint32_t)i, forms);
        e->all += e->v[i].bytes;
        if (!alive(e)) err = -ECANCELED;
    }
    if (err == EXPORT_OK) err = export_end(e->x);
    if (err == EXPORT_OK) e->all += export_facts(e->x)->bytes;
    return err;
}

int evidence_lay(struct evidence *e)
{
    struct export_setup setup = {.from_us = e->from_us, .to_us = e->to_us, .keep_gaps = e->keep_gaps};
    struct export_sources found = {0};
    int err = find(e, &found);

    for (size_t i = 1; i < found.n; i++)
        setup.gap_us = MAX(setup.gap_us, found.v[i].start_us - found.v[i - 1].end_us);
    if (err == EXPORT_OK) {
        e->v = mem_new_n(found.n, sizeof(*e->v));
        for (e->n = 0; e->n < found.n; e->n++) take_source(&found.v[e->n], &e->v[e->n]);
        e->x = export_new(&setup);
        err = e->x ? add_all(e) : -ENOMEM;
    }
    export_sources_done(&found);
    return err;
}

void evidence_done(struct evidence *e)
{
    for (size_t i = 0; i < e->n; i++) fd_close(&e->v[i].fd);
    mem_free(e->v);
    export_free(e->x);
    e->v = NULL;
    e->x = NULL;
    e->n = 0;
}

/* --- writing --- */

struct writing {
    struct evidence *e;
    int fd;
    uint8_t *chunk;
    struct buf rows;
    struct crypto_sum sum;
};

static int put(struct writing *w, struct span s)
{
    int err = fd_write_all(w->fd, s);

    crypto_sum_add(&w->sum, s);
    w->e->done += s.n;
    if (!alive(w->e)) return -ECANCELED;
    return err ? err - EVIDENCE_OUT : 0;
}

/* Up to a chunk of it; *ret_n 0: at the end of the file. */
static int get(const struct writing *w, int fd, uint64_t at, uint64_t most, size_t *ret_n)
{
    ssize_t n;

    do {
        n = pread(fd, w->chunk, (size_t)MIN(most, CHUNK), (off_t)at);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    *ret_n = (size_t)n;
    return 0;
}

/* The whole file, whatever of it is in the MP4. */
static int sum_file(struct writing *w, struct evidence_segment *s)
{
    struct crypto_sum sum;
    uint64_t at = 0;
    size_t n = 1;
    int err = 0;

    if (s->fd < 0 || s->sum[0]) return 0;
    crypto_sum_begin(&sum);
    while (err == 0 && at < s->bytes && n > 0) {
        err = get(w, s->fd, at, s->bytes - at, &n);
        if (err) break;
        crypto_sum_add(&sum, span(w->chunk, n));
        at += n;
        w->e->done += n;
        if (!alive(w->e)) err = -ECANCELED;
    }
    if (err == 0 && at < s->bytes) return EXPORT_E_CHANGED;
    if (err == 0) crypto_sum_hex(&sum, s->sum);
    return err;
}

static int put_range(struct writing *w, int fd, struct seg_range r)
{
    while (r.n > 0) {
        size_t n = 0;
        int err = get(w, fd, r.at, r.n, &n);

        if (err == 0 && n == 0) err = EXPORT_E_CHANGED; /* shorter than its table says */
        if (err == 0) err = put(w, span(w->chunk, n));
        if (err) return err;
        r.at += n;
        r.n -= n;
    }
    return 0;
}

/* Media of a segment: first its sum, so that its bytes come from the disk once. */
static int put_media(struct writing *w, const struct export_piece *p, const struct seg_table *t)
{
    struct evidence_segment *s = &w->e->v[p->source];
    struct seg_range *r = NULL;
    size_t n = 0;
    int err = sum_file(w, s);

    if (err == 0) err = export_ranges(w->e->x, p, t, &r, &n);
    for (size_t i = 0; err == 0 && i < n; i++) err = put_range(w, s->fd, r[i]);
    mem_free(r);
    return err;
}

static int put_piece(struct writing *w, const struct export_piece *p)
{
    struct evidence *e = w->e;
    struct seg_table *t = NULL;
    int err = 0;

    if (p->kind == EXPORT_FIXED) return put(w, export_fixed(e->x, p));
    must(p->kind != EXPORT_MADE); /* no sound is made for evidence */
    if (p->needs_table) err = seg_table_any(e->v[p->source].fd, e->v[p->source].bytes, &t);
    if (p->needs_table && err == 0) err = take_part(&e->v[p->source], &t);
    if (err > 0) err = EXPORT_E_CHANGED;
    if (err == 0 && p->kind == EXPORT_FILE) err = put_media(w, p, t);
    if (err == 0 && p->kind == EXPORT_ROWS) {
        buf_clear(&w->rows);
        err = export_rows(e->x, p, t, &w->rows);
        if (err == 0) err = put(w, buf_span(&w->rows));
    }
    seg_table_free(t);
    return err;
}

int evidence_write(struct evidence *e, int fd)
{
    struct writing w = {.e = e, .fd = fd, .chunk = mem_new(CHUNK)};
    struct export_piece p;
    int err;

    buf_init(&w.rows, ROWS_MAX);
    crypto_sum_begin(&w.sum);
    must(export_seek(e->x, 0, &p));
    do {
        err = put_piece(&w, &p);
    } while (err == 0 && export_next(e->x, &p));
    for (size_t i = 0; err == 0 && i < e->n; i++) err = sum_file(&w, &e->v[i]);
    if (err == 0) crypto_sum_hex(&w.sum, e->sum);
    buf_done(&w.rows);
    mem_free(w.chunk);
    return err;
}
