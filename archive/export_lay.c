/* Where what lies in the MP4: ftyp, moov, mdat. Source: ISO 14496-12. */
#include "archive/export_impl.h"
#include "common/base/mem.h"
#include "common/media/mp4_head.h"

#include <errno.h>

#define MOVIE_HZ  90000u
#define HEAD_ROOM 512u                             /* ftyp, mvhd, the heads of moov and mdat */
#define TRAK_ROOM (MP4_TRACK_MAX + 128u + 6 * 20u) /* with its edits and the heads of its tables */

/* When a track begins in the movie: an empty edit, or media left out at its start. Ticks of the track. */
struct edit {
    uint64_t empty, skip, shown;
};

struct laying {
    struct export *x;
    struct wr w;
    uint64_t rows;     /* bytes of rows so far, which are not in w */
    uint64_t in_track; /* of this track */
    size_t fixed_from;
};

/* Ticks of a track as movie time, rounded up: what is shown must not end too early. */
static uint64_t movie_ticks(uint64_t v, uint32_t hz)
{
    uint64_t t = (uint64_t)scale_i64((int64_t)v, MOVIE_HZ, hz);

    return (uint64_t)scale_i64((int64_t)t, hz, MOVIE_HZ) < v ? t + 1 : t;
}

/* The track whose first picture is time 0: video that is there from the start, else what comes first. */
static const struct movie_track *leader(const struct export *x)
{
    const struct movie_track *first = &x->track[0];

    for (unsigned k = 0; k < x->facts.tracks; k++) {
        const struct movie_track *t = &x->track[k];

        if (t->kind == TRACK_VIDEO && t->start == 0) return t;
        if (scale_i64(t->start, 1000000, t->hz) < scale_i64(first->start, 1000000, first->hz)) first = t;
    }
    return first;
}

static struct edit edit_of(const struct export *x, const struct movie_track *t)
{
    const struct movie_track *lead = leader(x);
    int64_t late = t->start - scale_i64(lead->start + MAX(lead->lead, 0), t->hz, lead->hz);
    struct edit e = {.empty = (uint64_t)MAX(late, 0), .skip = (uint64_t)MAX(-late, 0)};

    e.shown = t->shown > e.skip ? t->shown - e.skip : 0;
    return e;
}

static uint64_t track_length(const struct export *x, const struct movie_track *t)
{
    struct edit e = edit_of(x, t);

    return movie_ticks(e.empty, t->hz) + movie_ticks(e.shown, t->hz);
}

static void edits(struct wr *w, const struct movie_track *t, struct edit e)
{
    uint64_t empty = movie_ticks(e.empty, t->hz), shown = movie_ticks(e.shown, t->hz);
    bool wide = MAX(empty, shown) > UINT32_MAX || e.skip > INT32_MAX;
    size_t edts, at;

    if (e.empty == 0 && e.skip == 0) return;
    edts = mp4_box(w, "edts");
    at = mp4_full_box(w, "elst", wide, 0);
    wr_u32(w, e.empty > 0 ? 2 : 1);
    for (int i = e.empty > 0 ? 0 : 1; i < 2; i++) {
        int64_t media = i == 0 ? -1 : (int64_t)e.skip;

        if (wide) {
            wr_u64(w, i == 0 ? empty : shown);
            wr_u64(w, (uint64_t)media);
        } else {
            wr_u32(w, (uint32_t)(i == 0 ? empty : shown));
            wr_u32(w, (uint32_t)media);
        }
        wr_u32(w, 0x10000); /* rate 1 */
    }
    mp4_box_end(w, at);
    mp4_box_end(w, edts);
}

static void add_section(struct laying *l, struct section s)
{
    s.at = l->w.n + l->rows;
    if (s.kind == EXPORT_FIXED) {
        s.n = l->w.n - l->fixed_from;
        s.at -= s.n;
        s.fixed_at = l->fixed_from;
        l->fixed_from = l->w.n;
    }
    if (s.n > 0) l->x->section[l->x->sections++] = s;
    if (s.kind == EXPORT_ROWS) l->rows += s.n;
}

/* A table's head, and where its rows go. */
static void lay_table(struct laying *l, unsigned k, enum table kind)
{
    const struct export *x = l->x;
    const struct movie_track *t = &x->track[k];
    const struct table_kind *of = &export_tables[kind];
    bool same = kind == STSZ && !t->sizes_differ;
    uint64_t n = 0, bytes;

    if (!export_has(t, kind)) return;
    for (size_t i = 0; i < x->n; i++)
        if (x->part[i].t[k].src != NO_TRACK) n += x->part[i].t[k].rows[kind];
    bytes = same ? 0 : n * of->row;
    if (of->head + bytes > UINT32_MAX || n > UINT32_MAX) l->w.bad = true;
    wr_u32(&l->w, (uint32_t)(of->head + bytes));
    wr_text(&l->w, of->type);
    wr_u8(&l->w, kind == CTTS && t->negative_cts);
    wr_u24(&l->w, 0);
    if (kind == STSZ) wr_u32(&l->w, same ? t->same_size : 0);
    wr_u32(&l->w, (uint32_t)n);
    if (bytes == 0) return;
    add_section(l, (struct section){.kind = EXPORT_FIXED});
    add_section(
        l, (struct section){.kind = EXPORT_ROWS, .track = (uint8_t)k, .table = (uint8_t)kind, .n = bytes});
    l->in_track += bytes;
}

/* A box that has rows in it. */
static void end_box(struct laying *l, size_t at, uint64_t rows)
{
    uint64_t n = l->w.n - at + rows;

    if (n > UINT32_MAX) l->w.bad = true;
    wr_patch_u32(&l->w, at, (uint32_t)n);
}

static void lay_track(struct laying *l, unsigned k)
{
    const struct export *x = l->x;
    const struct movie_track *t = &x->track[k];
    size_t at = mp4_box(&l->w, "trak"), stsd;
    struct mp4_media media;

    l->in_track = 0;
    mp4_tkhd(&l->w, &t->forms[0], k + 1, track_length(x, t));
    edits(&l->w, t, edit_of(x, t));
    media = mp4_media_begin(&l->w, t->kind, (struct mp4_length){t->total, t->hz});
    stsd = mp4_full_box(&l->w, "stsd", 0, 0);
    wr_u32(&l->w, t->n_forms);
    for (unsigned i = 0; i < t->n_forms; i++) mp4_sample_entry(&l->w, &t->forms[i]);
    mp4_box_end(&l->w, stsd);
    for (unsigned kind = 0; kind < TABLES; kind++) lay_table(l, k, (enum table)kind);
    end_box(l, media.stbl, l->in_track);
    end_box(l, media.minf, l->in_track);
    end_box(l, media.mdia, l->in_track);
    end_box(l, at, l->in_track);
}

static void lay_all(struct laying *l)
{
    struct export *x = l->x;
    struct mp4_length length = {0, MOVIE_HZ};
    size_t moov;

    for (unsigned k = 0; k < x->facts.tracks; k++) length.v = MAX(length.v, track_length(x, &x->track[k]));
    mp4_ftyp(&l->w);
    moov = mp4_box(&l->w, "moov");
    mp4_mvhd(&l->w, length, x->facts.tracks + 1);
    for (unsigned k = 0; k < x->facts.tracks; k++) lay_track(l, k);
    end_box(l, moov, l->rows);
    wr_u32(&l->w, 1); /* the size has 64 bits */
    wr_text(&l->w, "mdat");
    wr_u64(&l->w, x->payload + 16);
    add_section(l, (struct section){.kind = EXPORT_FIXED});
    x->payload_at = l->w.n + l->rows;
    add_section(l, (struct section){.kind = EXPORT_FILE, .n = x->payload});
}

int export_end(struct export *x)
{
    struct laying l = {.x = x};
    size_t room = HEAD_ROOM;

    if (x->n == 0) return EXPORT_E_NONE;
    for (unsigned k = 0; k < x->facts.tracks; k++) {
        struct movie_track *t = &x->track[k];

        export_set_last(x, k, t->pos + t->own_ticks);
        room += TRAK_ROOM + t->n_forms * MP4_ENTRY_MAX;
    }
    x->fixed = mem_try(room);
    if (!x->fixed) return -ENOMEM;
    l.w = wr_of(x->fixed, room);
    lay_all(&l);
    if (!wr_ok(&l.w)) return EXPORT_E_MANY;
    x->facts.bytes = x->payload_at + x->payload;
    return EXPORT_OK;
}

/* --- pieces --- */

/* What of the part lies in the piece's section, or in the half of the payload that its kind says. */
static uint64_t part_bytes(const struct export *x, const struct export_piece *p)
{
    const struct section *s = &x->section[p->section];
    const struct part *part = &x->part[p->part];
    const struct part_track *t = &part->t[s->track];

    if (s->kind == EXPORT_ROWS)
        return t->src == NO_TRACK ? 0 : (uint64_t)t->rows[s->table] * export_tables[s->table].row;
    return p->kind == EXPORT_MADE ? part->made_bytes : part->bytes - part->made_bytes;
}

static void describe(const struct export *x, struct export_piece *p)
{
    const struct section *s = &x->section[p->section];

    p->source = 0;
    p->needs_table = false;
    if (s->kind == EXPORT_FIXED) {
        p->n = s->n;
        return;
    }
    p->n = part_bytes(x, p);
    p->source = x->part[p->part].source;
    p->needs_table = !x->part[p->part].is_still;
}

/* The first piece of a section. */
static void begin_section(const struct export *x, uint32_t section, struct export_piece *p)
{
    const struct section *s = &x->section[section];

    *p = (struct export_piece){.section = section, .at = s->at, .kind = s->kind};
    if (s->kind == EXPORT_FILE) p->kind = EXPORT_MADE;
    describe(x, p);
}

static bool step(const struct export *x, struct export_piece *p)
{
    const struct section *s = &x->section[p->section];

    p->at += p->n;
    if (p->kind == EXPORT_MADE) {
        p->kind = EXPORT_FILE;
    } else if (s->kind == EXPORT_FIXED || p->part + 1 == x->n) {
        if (p->section + 1 == x->sections) return false;
        begin_section(x, p->section + 1, p);
        return true;
    } else {
        p->part++;
        if (p->kind == EXPORT_FILE) p->kind = EXPORT_MADE;
    }
    describe(x, p);
    return true;
}

bool export_next(const struct export *x, struct export_piece *p)
{
    do {
        if (!step(x, p)) return false;
    } while (p->n == 0);
    return true;
}

bool export_seek(const struct export *x, uint64_t at, struct export_piece *ret)
{
    uint32_t i = 0;

    while (i < x->sections && at >= x->section[i].at + x->section[i].n) i++;
    if (i == x->sections) return false;
    begin_section(x, i, ret);
    while (at >= ret->at + ret->n)
        if (!step(x, ret)) return false;
    return true;
}

struct span export_fixed(const struct export *x, const struct export_piece *p)
{
    const struct section *s = &x->section[p->section];

    return span(x->fixed + s->fixed_at, (size_t)s->n);
}

struct export_sound export_made_of(const struct export *x, const struct export_piece *p)
{
    for (unsigned k = 0; k < x->facts.tracks; k++) {
        const struct part_track *t = &x->part[p->part].t[k];

        if (t->src != NO_TRACK && t->made)
            return (struct export_sound){t->src, t->first, t->source_n, t->n, t->ahead};
    }
    return (struct export_sound){0};
}
