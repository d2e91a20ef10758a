/* Which samples are in the MP4, and when they are shown. */
#include "archive/export_impl.h"
#include "archive/segment.h"
#include "common/base/mem.h"

#include <errno.h>

#define JOIN_US     US_PER_S /* as ranges of the index: less is no gap */
#define ROUNDING_HZ 1000     /* times are rounded by less than a 1000th of a second */

struct export *export_new(const struct export_setup *setup)
{
    struct export *x = mem_try(sizeof(*x));

    if (x) x->setup = *setup;
    return x;
}

void export_free(struct export *x)
{
    if (!x) return;
    for (unsigned k = 0; k < TRACK_MAX; k++) mem_free(x->track[k].forms);
    mem_free(x->part);
    mem_free(x->fixed);
    mem_free(x);
}

const struct export_facts *export_facts(const struct export *x)
{
    return &x->facts;
}

static void fold(struct export *x, uint64_t v)
{
    x->facts.tag = (x->facts.tag ^ v) * 0x9e3779b97f4a7c15u;
    x->facts.tag ^= x->facts.tag >> 32;
}

static usec_t media_us(const struct seg_table *t, size_t i)
{
    return ticks_us((struct ticks){t->s[i].dts, t->tracks.t[t->s[i].track].clock_hz});
}

/* --- which track of the segment is which of the MP4's --- */

/* Does ffmpeg's fastest reader take such a gap (a signed 32-bit number of ticks)? Halved until it does. */
static uint32_t timescale(const struct export *x, uint32_t hz)
{
    usec_t most_s = x->setup.keep_gaps ? x->setup.gap_us / US_PER_S + 1 : 0;

    while (most_s > INT32_MAX / hz && hz % 2 == 0) hz /= 2;
    return most_s > INT32_MAX / hz ? 1000 : hz;
}

static unsigned find_track(const struct export *x, enum track_kind kind, unsigned number)
{
    for (unsigned k = 0; k < x->facts.tracks; k++)
        if (x->track[k].kind == kind && x->track[k].number == number) return k;
    return NO_TRACK;
}

/* Which of the segment's tracks are wanted, by their number there. */
struct wanted {
    bool yes[TRACK_MAX], made[TRACK_MAX];
    unsigned number[TRACK_MAX]; /* of its kind */
};

static void want(struct export *x, const struct track_set *s, struct wanted *w)
{
    unsigned mask = mp4_mask(s, MP4_PLAYABLE), numbers[TRACK_DATA + 1] = {0};
    bool make = x->setup.made.track.codec != CODEC_NONE; /* of the first such sound */

    *w = (struct wanted){0};
    for (unsigned i = 0; i < s->n; i++) {
        const struct track *t = &s->t[i];

        if (t->codec == CODEC_NONE || (x->setup.no_sound && t->kind == TRACK_AUDIO)) continue;
        w->made[i] = make && !(mask & 1u << i) && t->kind == TRACK_AUDIO;
        make &= !w->made[i];
        w->yes[i] = (mask & 1u << i || w->made[i]) && t->clock_hz <= EXPORT_HZ_MAX;
        if (w->yes[i])
            w->number[i] = numbers[t->kind]++;
        else
            x->facts.left_out |= 1u << t->codec;
    }
}

static bool same_form(const struct track *a, const struct track *b)
{
    return a->codec == b->codec && a->sample_rate == b->sample_rate && a->channels == b->channels &&
        a->width == b->width && a->height == b->height && a->sar_w == b->sar_w && a->sar_h == b->sar_h &&
        a->config_n == b->config_n && memcmp(a->config, b->config, a->config_n) == 0;
}

/* The sample entry of that form, from 1. */
static int form_of(struct export *x, struct movie_track *tr, const struct track *t, uint16_t *ret)
{
    struct track *grown;

    for (uint16_t i = 0; i < tr->n_forms; i++) {
        if (!same_form(&tr->forms[i], t)) continue;
        *ret = (uint16_t)(i + 1);
        return EXPORT_OK;
    }
    if (tr->n_forms == EXPORT_FORMS_MAX) return EXPORT_E_MANY;
    grown = mem_retry(tr->forms, (tr->n_forms + 1u) * sizeof(*grown));
    if (!grown) return -ENOMEM;
    tr->forms = grown;
    tr->forms[tr->n_forms++] = *t;
    *ret = tr->n_forms;
    fold(x, t->codec);
    for (unsigned i = 0; i < t->config_n; i++) fold(x, t->config[i]);
    return EXPORT_OK;
}

/* --- where the segment stands in time --- */

struct place {
    bool joined; /* goes on where the last one ended */
    size_t key;  /* where not: the first sample's number */
    usec_t apart_us, gap_us;
    int64_t line_us;
};

static usec_t magnitude(usec_t v)
{
    return v < 0 ? -v : v;
}

static bool leads(const struct seg_table *t, size_t key, const struct wanted *w)
{
    uint8_t primary = seg_primary(&t->tracks, mp4_mask(&t->tracks, MP4_ALL));

    if (t->n == 0) return false;
    if (t->tracks.t[primary].kind != TRACK_VIDEO) return true;
    return w->yes[primary] && t->s[key].track == primary && t->s[key].flags & FRAME_KEY;
}

/* Decode time in the MP4, ticks of its track. */
static int64_t position(const struct seg_table *t, uint32_t hz, int64_t line_us, size_t i)
{
    const struct mp4_sample *s = &t->s[i];

    return scale_i64(s->dts, hz, t->tracks.t[s->track].clock_hz) - scale_i64(line_us, hz, 1000000);
}

/* Where the next footage may begin, as decode time in the MP4: behind the end of what is there, and so late
 * that its key frame, shown cts_us after it is decoded, follows the last picture that is shown. */
static usec_t movie_end_us(const struct export *x, usec_t cts_us)
{
    usec_t end = 0;

    for (unsigned k = 0; k < x->facts.tracks; k++) {
        const struct movie_track *tr = &x->track[k];

        end = MAX(end, scale_i64(tr->end, 1000000, tr->hz));
        if (tr->cts) end = MAX(end, scale_i64(tr->start + (int64_t)tr->shown, 1000000, tr->hz) - cts_us);
    }
    return end;
}

/* Footage that was cut within pictures that are shown in another order ends with one that is shown late. Is
 * the key frame that the next segment goes on with, by decode time, shown before it? */
static bool shown_before_end(const struct export *x, const struct seg_table *t, const struct wanted *w)
{
    uint8_t primary = seg_primary(&t->tracks, mp4_mask(&t->tracks, MP4_ALL));
    unsigned k = find_track(x, t->tracks.t[primary].kind, w->number[primary]);
    const struct movie_track *tr;
    size_t i = export_sample(t, primary, 0);

    if (!w->yes[primary] || w->made[primary] || k == NO_TRACK) return false;
    tr = &x->track[k];
    while (i < t->n && position(t, tr->hz, x->line_us, i) <= tr->pos) i = export_sample(t, primary, i + 1);
    if (!tr->cts || i == t->n || !(t->s[i].flags & FRAME_KEY)) return false;
    return position(t, tr->hz, x->line_us, i) + export_cts(t, tr->hz, &t->s[i]) + tr->hz / ROUNDING_HZ <
        tr->start + (int64_t)tr->shown;
}

size_t export_seen_key(const struct export_setup *s, const struct seg_table *t, size_t key)
{
    while (key < t->n && seg_wall_us(t, key) < s->see_from_us) key = seg_key_next(t, key);
    return key < t->n && s->see_to_us > 0 && seg_wall_us(t, key) >= s->see_to_us ? t->n : key;
}

/* false: nothing of it can be shown. */
static bool place(const struct export *x, const struct seg_table *t, const struct wanted *w, struct place *p)
{
    uint8_t primary = seg_primary(&t->tracks, mp4_mask(&t->tracks, MP4_ALL));
    usec_t base_us = ticks_us((struct ticks){t->info.base_dts[primary], t->tracks.t[primary].clock_hz});
    bool first = x->n == 0, same_line;
    usec_t at_us = 0;

    *p = (struct place){.apart_us = base_us - t->info.start_us, .line_us = x->line_us};
    same_line = !first && !(t->info.flags & SEG_DISCONT) && magnitude(p->apart_us - x->apart_us) <= JOIN_US;
    p->joined = same_line && base_us - x->media_end_us <= JOIN_US &&
        t->info.start_us >= x->setup.see_from_us && !shown_before_end(x, t, w);
    if (p->joined) return t->n > 0;
    /* Where the clock was set back the next one may begin before the window, too. */
    p->key = export_seen_key(&x->setup, t, seg_key_at(t, first ? x->setup.from_us : INT64_MIN));
    if (p->key == t->n || !leads(t, p->key, w)) return false;
    if (!first) {
        at_us =
            movie_end_us(x, scale_i64(t->s[p->key].cts, 1000000, t->tracks.t[t->s[p->key].track].clock_hz));
        p->gap_us = seg_wall_us(t, p->key) - x->wall_end_us;
        if (x->setup.keep_gaps) at_us = MAX(at_us, seg_wall_us(t, p->key) - x->facts.start_us);
    }
    p->line_us = media_us(t, p->key) - at_us;
    return true;
}

/* --- which samples --- */

static bool before_end(const struct export *x, const struct seg_table *t, size_t i)
{
    const struct export_setup *s = &x->setup;

    return seg_wall_us(t, i) < s->to_us && (s->see_to_us == 0 || seg_shown_us(t, i) < s->see_to_us);
}

/* The first sample wanted of a track, and how many. */
static void pick(const struct export *x, const struct seg_table *t, const struct place *p, uint8_t src,
    const struct movie_track *tr, struct part_track *ret)
{
    uint8_t of_key = p->joined ? NO_TRACK : t->s[p->key].track;
    usec_t from_us = p->joined ? 0 : media_us(t, p->key);
    size_t i = export_sample(t, src, 0);

    if (src == of_key) i = p->key;
    while (i < t->n && src != of_key && !p->joined && media_us(t, i) < from_us)
        i = export_sample(t, src, i + 1);
    while (i < t->n && tr->samples > 0 && position(t, tr->hz, p->line_us, i) <= tr->pos)
        i = export_sample(t, src, i + 1);
    ret->first = (uint32_t)i;
    ret->source_n = 0;
    for (; i < t->n && before_end(x, t, i); i = export_sample(t, src, i + 1)) ret->source_n++;
}

/* Frames that last as long as the sound they are made of: to the nearest one, and over joined segments in
 * sum, since decoders play every frame to its end whatever the table says. */
static uint32_t frames_of(
    const struct export *x, const struct seg_table *t, const struct part_track *pt, int32_t *ret_ahead)
{
    const struct export_made *m = &x->setup.made;
    int64_t sum = 0, n;
    size_t i = pt->first;

    for (uint32_t k = 0; k < pt->source_n; k++, i = export_sample(t, pt->src, i + 1)) sum += t->s[i].dur;
    sum = scale_i64(sum, m->track.clock_hz, t->tracks.t[pt->src].clock_hz) - pt->ahead;
    n = CLAMP((sum + m->ticks / 2) / m->ticks, 1, SEG_SAMPLES_MAX);
    *ret_ahead = (int32_t)CLAMP(n * m->ticks - sum, -(int64_t)m->ticks / 2, (int64_t)m->ticks / 2);
    return (uint32_t)n;
}

/* --- counting --- */

static void see_size(struct movie_track *tr, uint32_t size)
{
    if (tr->samples == 0 && !tr->sizes_differ && tr->same_size == 0) tr->same_size = size;
    if (size != tr->same_size || size == 0) tr->sizes_differ = true;
}

static void count_made(struct export *x, struct movie_track *tr, struct part *p, struct part_track *pt)
{
    const struct export_made *m = &x->setup.made;
    uint32_t ticks = (uint32_t)scale_i64(m->ticks, tr->hz, m->track.clock_hz);

    see_size(tr, m->bytes);
    p->made_bytes += (uint64_t)pt->n * m->bytes;
    tr->pos += (int64_t)(pt->n - 1) * ticks;
    tr->total += (uint64_t)(pt->n - 1) * ticks;
    tr->own_ticks = ticks;
    tr->shown = MAX(tr->shown, tr->total + ticks);
    fold(x, (uint64_t)pt->n << 32 | pt->source_n);
}

static void count_samples(struct export *x, struct movie_track *tr, const struct seg_table *t, struct part *p,
    struct part_track *pt)
{
    size_t i = pt->first;

    for (uint32_t n = 0;; n++) {
        const struct mp4_sample *s = &t->s[i];
        int32_t cts = export_cts(t, tr->hz, s);
        uint32_t own = export_ticks(t, tr->hz, s, NULL);
        int64_t end = (int64_t)tr->total + cts + own;
        size_t next;

        see_size(tr, s->size);
        tr->cts |= cts != 0;
        tr->negative_cts |= cts < 0;
        tr->some_not_key |= !(s->flags & FRAME_KEY);
        tr->own_ticks = own;
        tr->shown = MAX(tr->shown, (uint64_t)MAX(end, 0));
        p->bytes += s->size;
        fold(x, (uint64_t)s->size << 32 | (uint32_t)cts);
        fold(x, s->offset << 1 | (s->flags & FRAME_KEY));
        if (n + 1 == pt->n) break;
        next = export_sample(t, pt->src, i + 1);
        tr->total += export_ticks(t, tr->hz, s, &t->s[next]);
        fold(x, tr->total);
        i = next;
    }
}

void export_set_last(struct export *x, unsigned k, int64_t next_pos)
{
    struct movie_track *tr = &x->track[k];
    struct part_track *last = &x->part[tr->last_part].t[k];

    last->last_ticks = (uint32_t)CLAMP(next_pos - tr->pos, 0, INT32_MAX);
    if (last->last_ticks == last->tail_ticks) last->rows[STTS]--;
    tr->total += last->last_ticks;
    fold(x, last->last_ticks);
}

static int add_track(struct export *x, struct part *p, unsigned k, const struct seg_table *t, int64_t line_us)
{
    struct part_track *pt = &p->t[k];
    struct movie_track *tr = &x->track[k];
    const struct track *form = pt->made ? &x->setup.made.track : &t->tracks.t[pt->src];
    int64_t pos = position(t, tr->hz, line_us, pt->first);
    int err = form_of(x, tr, form, &pt->form);

    if (err) return err;
    if (tr->samples > UINT32_MAX - pt->n) return EXPORT_E_MANY;
    if (tr->samples == 0) {
        tr->start = pos;
        tr->lead = export_cts(t, tr->hz, &t->s[pt->first]);
    } else {
        export_set_last(x, k, pos);
        if (tr->form != pt->form) x->facts.changes++;
    }
    fold(x, pt->form);
    tr->form = pt->form;
    tr->pos = pos;
    if (pt->made) {
        count_made(x, tr, p, pt);
    } else {
        size_t last = pt->first;

        count_samples(x, tr, t, p, pt);
        for (uint32_t n = 1; n < pt->n; n++) last = export_sample(t, pt->src, last + 1);
        tr->pos = position(t, tr->hz, line_us, last);
    }
    tr->end = tr->pos + tr->own_ticks;
    pt->before = tr->samples;
    pt->chunks_before = tr->chunks;
    tr->samples += pt->n;
    tr->last_part = x->n;
    return EXPORT_OK;
}

/* --- a part --- */

static struct part *next_part(struct export *x)
{
    struct part *grown;
    size_t cap = x->cap ? x->cap * 2 : 16;

    if (x->n == x->cap) {
        grown = mem_retry(x->part, cap * sizeof(*grown));
        if (!grown) return NULL;
        x->part = grown;
        x->cap = cap;
    }
    x->part[x->n] = (struct part){.at = x->payload};
    for (unsigned k = 0; k < TRACK_MAX; k++) x->part[x->n].t[k].src = NO_TRACK;
    return &x->part[x->n];
}

/* The track of the MP4 that a track of the segment is, or a new one. NO_TRACK: there are too many. */
static unsigned track_for(struct export *x, const struct seg_table *t, const struct wanted *w, unsigned src)
{
    enum track_kind kind = t->tracks.t[src].kind;
    unsigned k = find_track(x, kind, w->number[src]);
    uint32_t hz = w->made[src] ? x->setup.made.track.clock_hz : t->tracks.t[src].clock_hz;

    if (k != NO_TRACK || x->facts.tracks == TRACK_MAX) return k;
    k = x->facts.tracks++;
    x->track[k] = (struct movie_track){.kind = kind, .number = w->number[src], .hz = timescale(x, hz)};
    return k;
}

/* Of the last sample but one; where there is none, no number of ticks. */
static uint32_t tail(
    const struct export *x, const struct part_track *pt, uint32_t hz, const struct seg_table *t)
{
    size_t i = pt->first, before = i;

    if (pt->n < 2) return UINT32_MAX;
    if (pt->made) return (uint32_t)scale_i64(x->setup.made.ticks, hz, x->setup.made.track.clock_hz);
    for (uint32_t n = 1; n < pt->n; n++) {
        before = i;
        i = export_sample(t, pt->src, i + 1);
    }
    return export_ticks(t, hz, &t->s[before], &t->s[i]);
}

/* Rows of all tables, and the chunks: by the code that writes them. */
static void count_rows(struct export *x, struct part *p, const struct seg_table *t)
{
    for (unsigned k = 0; k < x->facts.tracks; k++) {
        struct part_track *pt = &p->t[k];

        if (pt->src == NO_TRACK) continue;
        pt->last_ticks = UINT32_MAX; /* no other has it: the last sample has a row of its own */
        for (unsigned kind = 0; kind < TABLES; kind++) {
            struct sink count = {0};

            export_table_rows(x, p, k, (enum table)kind, t, &count);
            pt->rows[kind] = count.n;
        }
        pt->chunks = pt->rows[CO64];
        pt->tail_ticks = tail(x, pt, x->track[k].hz, t);
        x->track[k].chunks += pt->chunks;
    }
}

static void remember_end(struct export *x, const struct seg_table *t, const struct part_track *pt)
{
    size_t i = pt->first;
    usec_t dur_us;

    for (uint32_t n = 1; n < pt->source_n; n++) i = export_sample(t, pt->src, i + 1);
    dur_us = ticks_us((struct ticks){t->s[i].dur, t->tracks.t[pt->src].clock_hz});
    x->media_end_us = MAX(x->media_end_us, media_us(t, i) + dur_us);
    x->wall_end_us = MAX(x->wall_end_us, seg_wall_us(t, i) + dur_us);
}

static void remember(
    struct export *x, const struct seg_table *t, const struct place *p, const struct part *part)
{
    if (!p->joined) x->media_end_us = INT64_MIN;
    if (x->n == 0) x->facts.start_us = seg_wall_us(t, p->key);
    if (x->n > 0 && p->gap_us > JOIN_US) {
        x->facts.gaps++;
        x->facts.gaps_us += p->gap_us;
    }
    for (unsigned k = 0; k < x->facts.tracks; k++)
        if (part->t[k].src != NO_TRACK) remember_end(x, t, &part->t[k]);
    x->facts.end_us = x->wall_end_us;
    x->line_us = p->line_us;
    x->apart_us = p->apart_us;
}

static int fill(struct export *x, struct part *p, const struct seg_table *t, const struct wanted *w,
    const struct place *where)
{
    static const struct movie_track fresh = {.hz = 1};
    int err = EXPORT_E_NONE;

    for (unsigned i = 0; i < t->tracks.n; i++) {
        struct part_track pt = {.src = (uint8_t)i, .made = w->made[i]};
        unsigned k = find_track(x, t->tracks.t[i].kind, w->number[i]);

        if (!w->yes[i]) continue;
        pick(x, t, where, pt.src, k == NO_TRACK ? &fresh : &x->track[k], &pt);
        if (pt.source_n == 0) continue;
        k = track_for(x, t, w, i);
        if (k == NO_TRACK) continue;
        pt.ahead = where->joined ? x->track[k].ahead : 0;
        pt.n = pt.made ? frames_of(x, t, &pt, &x->track[k].ahead) : pt.source_n;
        p->t[k] = pt;
        err = EXPORT_OK;
    }
    for (unsigned k = 0; k < x->facts.tracks && !err; k++)
        if (p->t[k].src != NO_TRACK) err = add_track(x, p, k, t, where->line_us);
    return err;
}

int export_add(struct export *x, uint32_t source, const struct seg_table *t)
{
    struct wanted w;
    struct place where;
    struct part *p;
    int err;

    want(x, &t->tracks, &w);
    if (!place(x, t, &w, &where)) return EXPORT_OK;
    if (x->n == EXPORT_PARTS_MAX) return EXPORT_E_MANY;
    p = next_part(x);
    if (!p) return -ENOMEM;
    p->source = source;
    err = fill(x, p, t, &w, &where);
    if (err == EXPORT_E_NONE) return EXPORT_OK;
    if (err) return err;
    p->bytes += p->made_bytes;
    count_rows(x, p, t);
    remember(x, t, &where, p);
    fold(x, t->info.id);
    x->payload += p->bytes;
    x->facts.parts = ++x->n;
    return EXPORT_OK;
}

int export_still(struct export *x, uint32_t source, const struct seg_table *t, size_t sample, usec_t show_us)
{
    const struct mp4_sample *s = &t->s[sample];
    struct part_track pt = {.src = s->track, .first = 0, .source_n = 1, .n = 1};
    struct movie_track *tr = &x->track[0];
    struct seg_table one;
    struct part *p;
    int err;

    if (x->n == EXPORT_PARTS_MAX) return EXPORT_E_MANY;
    p = next_part(x);
    if (!p) return -ENOMEM;
    if (x->n == 0) {
        *tr = (struct movie_track){.kind = TRACK_VIDEO, .hz = 1000};
        x->facts.tracks = 1;
        x->facts.start_us = seg_wall_us(t, sample);
    }
    x->facts.end_us = seg_wall_us(t, sample);
    p->source = source;
    p->is_still = true;
    p->still = (struct mp4_sample){.offset = s->offset,
        .size = s->size,
        .flags = s->flags,
        .dur = (uint32_t)CLAMP(show_us / US_PER_MS, 1, INT32_MAX),
        .dts = (int64_t)(x->n * (uint64_t)(show_us / US_PER_MS))};
    pt.src = 0;
    p->t[0] = pt;
    one = export_still_table(x, p);
    one.tracks.t[0] = t->tracks.t[s->track];
    one.tracks.t[0].clock_hz = tr->hz;
    err = add_track(x, p, 0, &one, 0);
    if (err) return err;
    count_rows(x, p, &one);
    fold(x, t->info.id);
    x->payload += p->bytes;
    x->facts.parts = ++x->n;
    return EXPORT_OK;
}
