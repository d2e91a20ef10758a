/* Rows of the sample tables. Source: ISO 14496-12 8.6.1, 8.6.2, 8.7. */
#include "archive/export_impl.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#include <errno.h>

const struct table_kind export_tables[TABLES] = {
    [STTS] = {"stts", 8, 16},
    [CTTS] = {"ctts", 8, 16},
    [STSS] = {"stss", 4, 16},
    [STSC] = {"stsc", 12, 16},
    [STSZ] = {"stsz", 4, 20},
    [CO64] = {"co64", 8, 16},
};

/* What the rows of one part and one track are made of. */
struct rows_of {
    const struct export *x;
    const struct part *p;
    const struct part_track *pt;
    const struct movie_track *tr;
    const struct seg_table *t;
};

static void row(struct sink *to, const uint32_t *v, unsigned n)
{
    uint8_t mem[12];
    struct wr w = wr_of(mem, sizeof(mem));

    to->n++;
    if (!to->to) return;
    for (unsigned i = 0; i < n; i++) wr_u32(&w, v[i]);
    if (!buf_put(to->to, wr_span(&w))) to->bad = true;
}

/* Equal values as one row: how many, and the value. */
struct run {
    uint32_t n, v;
};

static void run_add(struct run *r, struct sink *to, uint32_t v)
{
    if (r->n > 0 && r->v != v) {
        row(to, (uint32_t[]){r->n, r->v}, 2);
        r->n = 0;
    }
    r->n++;
    r->v = v;
}

static void run_end(const struct run *r, struct sink *to)
{
    if (r->n > 0) row(to, (uint32_t[]){r->n, r->v}, 2);
}

size_t export_sample(const struct seg_table *t, uint8_t src, size_t i)
{
    while (i < t->n && t->s[i].track != src) i++;
    return i;
}

/* From a to b, the next one of its track; NULL: by its own word. */
uint32_t export_ticks(
    const struct seg_table *t, uint32_t hz, const struct mp4_sample *a, const struct mp4_sample *b)
{
    uint32_t own_hz = t->tracks.t[a->track].clock_hz;
    int64_t d;

    if (b)
        d = scale_i64(b->dts, hz, own_hz) - scale_i64(a->dts, hz, own_hz);
    else
        d = MAX(scale_i64(a->dur, hz, own_hz), 1);
    return (uint32_t)CLAMP(d, 0, INT32_MAX);
}

int32_t export_cts(const struct seg_table *t, uint32_t hz, const struct mp4_sample *s)
{
    return (int32_t)CLAMP(scale_i64(s->cts, hz, t->tracks.t[s->track].clock_hz), INT32_MIN, INT32_MAX);
}

/* The samples of the part's track, one after the other. */
struct walk {
    size_t i, next;
    uint32_t left;
};

static struct walk walk_of(const struct rows_of *r)
{
    return (struct walk){.next = r->pt->first, .left = r->pt->n};
}

/* false: no more, or (left > 0) the table has fewer than it had. */
static bool walk_on(struct walk *w, const struct rows_of *r)
{
    if (w->left == 0) return false;
    w->i = export_sample(r->t, r->pt->src, w->next);
    if (w->i >= r->t->n) return false;
    w->next = w->i + 1;
    w->left--;
    return true;
}

static bool rows_stts(const struct rows_of *r, struct sink *to)
{
    struct walk w = walk_of(r);
    const struct mp4_sample *before = NULL;
    struct run run = {0};

    while (walk_on(&w, r)) {
        if (before) run_add(&run, to, export_ticks(r->t, r->tr->hz, before, &r->t->s[w.i]));
        before = &r->t->s[w.i];
    }
    run_add(&run, to, r->pt->last_ticks);
    run_end(&run, to);
    return w.left == 0;
}

static bool rows_ctts(const struct rows_of *r, struct sink *to)
{
    struct walk w = walk_of(r);
    struct run run = {0};

    while (walk_on(&w, r)) run_add(&run, to, (uint32_t)export_cts(r->t, r->tr->hz, &r->t->s[w.i]));
    run_end(&run, to);
    return w.left == 0;
}

static bool rows_stss(const struct rows_of *r, struct sink *to)
{
    struct walk w = walk_of(r);

    while (walk_on(&w, r))
        if (r->t->s[w.i].flags & FRAME_KEY) row(to, (uint32_t[]){r->pt->before + r->pt->n - w.left}, 1);
    return w.left == 0;
}

static bool rows_stsz(const struct rows_of *r, struct sink *to)
{
    struct walk w = walk_of(r);

    while (walk_on(&w, r)) row(to, &r->t->s[w.i].size, 1);
    return w.left == 0;
}

/* A chunk is what lies together in the segment. */
static bool rows_stsc(const struct rows_of *r, struct sink *to)
{
    struct walk w = walk_of(r);
    uint64_t end = UINT64_MAX;
    uint32_t chunk = r->pt->chunks_before, in = 0, said = 0;

    while (walk_on(&w, r)) {
        const struct mp4_sample *s = &r->t->s[w.i];

        if (s->offset != end) {
            if (in > 0 && in != said) row(to, (uint32_t[]){chunk, said = in, r->pt->form}, 3);
            in = 0;
            chunk++;
        }
        in++;
        end = s->offset + s->size;
    }
    if (in != said) row(to, (uint32_t[]){chunk, in, r->pt->form}, 3);
    return w.left == 0;
}

/* Is a sample of the segment in the MP4? taken: of each track of the segment, so far. */
static const struct part_track *taken_by(
    const struct part *p, const struct seg_table *t, size_t i, uint32_t *taken)
{
    for (unsigned k = 0; k < TRACK_MAX; k++) {
        const struct part_track *pt = &p->t[k];

        if (pt->src != t->s[i].track || pt->made) continue;
        if (i < pt->first || taken[k] == pt->n) return NULL;
        taken[k]++;
        return pt;
    }
    return NULL;
}

static bool rows_co64(const struct rows_of *r, struct sink *to)
{
    uint64_t at = r->x->payload_at + r->p->at + r->p->made_bytes, end = UINT64_MAX;
    uint32_t taken[TRACK_MAX] = {0}, left = r->pt->n;

    for (size_t i = 0; i < r->t->n && left > 0; i++) {
        const struct mp4_sample *s = &r->t->s[i];
        const struct part_track *pt = taken_by(r->p, r->t, i, taken);

        if (!pt) continue;
        if (pt == r->pt) {
            if (s->offset != end) row(to, (uint32_t[]){(uint32_t)(at >> 32), (uint32_t)at}, 2);
            end = s->offset + s->size;
            left--;
        }
        at += s->size;
    }
    return left == 0;
}

/* --- frames that are made: equal ones, in one chunk before the segment's own --- */

static uint64_t made_at(const struct rows_of *r)
{
    uint64_t at = r->x->payload_at + r->p->at;

    for (const struct part_track *pt = r->p->t; pt < r->pt; pt++)
        if (pt->src != NO_TRACK && pt->made) at += (uint64_t)pt->n * r->x->setup.made.bytes;
    return at;
}

static bool made_rows(const struct rows_of *r, enum table kind, struct sink *to)
{
    const struct export_made *m = &r->x->setup.made;
    uint32_t ticks = (uint32_t)scale_i64(m->ticks, r->tr->hz, m->track.clock_hz);
    uint64_t at = made_at(r);
    struct run run = {r->pt->n - 1, ticks};

    switch (kind) {
    case STTS:
        run_add(&run, to, r->pt->last_ticks);
        run_end(&run, to);
        break;
    case CTTS: row(to, (uint32_t[]){r->pt->n, 0}, 2); break;
    case STSS:
        for (uint32_t i = 1; i <= r->pt->n; i++) row(to, (uint32_t[]){r->pt->before + i}, 1);
        break;
    case STSC: row(to, (uint32_t[]){r->pt->chunks_before + 1, r->pt->n, r->pt->form}, 3); break;
    case STSZ:
        for (uint32_t i = 0; i < r->pt->n; i++) row(to, &m->bytes, 1);
        break;
    case CO64: row(to, (uint32_t[]){(uint32_t)(at >> 32), (uint32_t)at}, 2); break;
    case TABLES: break;
    }
    return true;
}

/* --- all of them --- */

bool export_has(const struct movie_track *t, enum table kind)
{
    if (kind == CTTS) return t->cts;
    if (kind == STSS) return t->some_not_key;
    return true;
}

bool export_table_rows(const struct export *x, const struct part *p, unsigned track, enum table kind,
    const struct seg_table *t, struct sink *to)
{
    static bool (*const rows[TABLES])(const struct rows_of *r, struct sink *to) = {
        [STTS] = rows_stts,
        [CTTS] = rows_ctts,
        [STSS] = rows_stss,
        [STSC] = rows_stsc,
        [STSZ] = rows_stsz,
        [CO64] = rows_co64,
    };
    struct rows_of r = {x, p, &p->t[track], &x->track[track], t};

    if (r.pt->src == NO_TRACK) return true;
    return (r.pt->made ? made_rows(&r, kind, to) : rows[kind](&r, to)) && !to->bad;
}

struct seg_table export_still_table(const struct export *x, const struct part *p)
{
    struct seg_table t = {.n = 1};

    t.s = (struct mp4_sample *)(uintptr_t)&p->still; /* read only */
    t.tracks.n = 1;
    t.tracks.t[0] = (struct track){.kind = TRACK_VIDEO, .clock_hz = x->track[0].hz};
    return t;
}

int export_rows(
    const struct export *x, const struct export_piece *piece, const struct seg_table *t, struct buf *to)
{
    const struct section *s = &x->section[piece->section];
    const struct part *p = &x->part[piece->part];
    struct sink sink = {.to = to};
    size_t before = buf_n(to);
    struct seg_table one;

    if (p->is_still) {
        one = export_still_table(x, p);
        t = &one;
    }
    if (!buf_room(to, (size_t)piece->n)) return -ENOMEM;
    if (!export_table_rows(x, p, s->track, (enum table)s->table, t, &sink))
        return sink.bad ? -ENOMEM : EXPORT_E_CHANGED;
    return buf_n(to) - before == piece->n ? EXPORT_OK : EXPORT_E_CHANGED;
}

/* Runs of what is wanted; to NULL: how many. */
static size_t ranges(
    const struct part *p, const struct seg_table *t, struct seg_range *to, uint64_t *ret_bytes)
{
    uint32_t taken[TRACK_MAX] = {0};
    uint64_t end = UINT64_MAX;
    size_t n = 0;

    *ret_bytes = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct mp4_sample *s = &t->s[i];

        if (!taken_by(p, t, i, taken)) continue;
        if (s->offset != end) {
            if (to) to[n] = (struct seg_range){s->offset, 0};
            n++;
        }
        if (to) to[n - 1].n += s->size;
        end = s->offset + s->size;
        *ret_bytes += s->size;
    }
    return n;
}

int export_ranges(const struct export *x, const struct export_piece *piece, const struct seg_table *t,
    struct seg_range **ret, size_t *ret_n)
{
    const struct part *p = &x->part[piece->part];
    struct seg_table one;
    struct seg_range *v;
    uint64_t bytes;
    size_t n;

    if (p->is_still) {
        one = export_still_table(x, p);
        t = &one;
    }
    n = ranges(p, t, NULL, &bytes);
    if (bytes != p->bytes - p->made_bytes) return EXPORT_E_CHANGED;
    v = mem_try(MAX(n, 1) * sizeof(*v));
    if (!v) return -ENOMEM;
    ranges(p, t, v, &bytes);
    *ret = v;
    *ret_n = n;
    return EXPORT_OK;
}
