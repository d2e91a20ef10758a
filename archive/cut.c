/* Cutting a segment at its key frames. */
#include "archive/reader.h"
#include "common/base/mem.h"

#include <errno.h>

static usec_t media_us(const struct seg_table *t, const struct mp4_sample *s)
{
    return ticks_us((struct ticks){s->dts, t->tracks.t[s->track].clock_hz});
}

usec_t seg_wall_us(const struct seg_table *t, size_t sample)
{
    const struct mp4_sample *s = &t->s[sample];
    int64_t since = s->dts - t->info.base_dts[s->track];

    return t->info.start_us + ticks_us((struct ticks){since, t->tracks.t[s->track].clock_hz});
}

/* How much later than it is decoded a key frame of that track is shown. */
static int32_t delay_of(const struct seg_table *t, uint8_t track)
{
    if (t->tracks.t[track].kind != TRACK_VIDEO) return 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->s[i].track == track && t->s[i].flags & FRAME_KEY) return t->s[i].cts;
    return 0;
}

usec_t seg_shown_us(const struct seg_table *t, size_t sample)
{
    const struct mp4_sample *s = &t->s[sample];
    int64_t later = (int64_t)s->cts - delay_of(t, s->track);

    return seg_wall_us(t, sample) + ticks_us((struct ticks){later, t->tracks.t[s->track].clock_hz});
}

static uint8_t primary(const struct seg_table *t)
{
    return seg_primary(&t->tracks, mp4_mask(&t->tracks, MP4_ALL));
}

static bool is_key(const struct seg_table *t, size_t i, uint8_t track)
{
    return t->s[i].track == track && t->s[i].flags & FRAME_KEY;
}

size_t seg_key_at(const struct seg_table *t, usec_t wall_us)
{
    uint8_t track = primary(t);
    size_t found = t->n;

    for (size_t i = 0; i < t->n; i++) {
        if (!is_key(t, i, track)) continue;
        if (found < t->n && seg_wall_us(t, i) > wall_us) break;
        found = i;
    }
    return found < t->n ? found : 0;
}

size_t seg_key_next(const struct seg_table *t, size_t sample)
{
    uint8_t track = primary(t);

    for (size_t i = sample + 1; i < t->n; i++)
        if (is_key(t, i, track)) return i;
    return t->n;
}

unsigned seg_quiet(const struct seg_table *t)
{
    unsigned out = seg_sound(&t->tracks);

    for (size_t i = 0; i < t->n && out != 0; i++) {
        unsigned bit = 1u << t->s[i].track;

        if (out & bit && seg_wall_us(t, i) - t->info.start_us <= SEG_QUIET_US) out &= ~bit;
    }
    return out;
}

/* Which samples belong to a cut. */
struct part {
    size_t from, to;
    usec_t from_us, to_us; /* media time of those key frames */
    bool first, last;
    uint8_t track;
    unsigned mask;
};

static bool within(const struct seg_table *t, const struct part *p, size_t i)
{
    const struct mp4_sample *s = &t->s[i];

    if (!(p->mask & 1u << s->track)) return false;
    if (s->track == p->track) return (p->first || i >= p->from) && (p->last || i < p->to);
    return (p->first || media_us(t, s) >= p->from_us) && (p->last || media_us(t, s) < p->to_us);
}

/* A segment that continues another begins with the rest of a GOP. */
static bool has_before(const struct seg_table *t, size_t end, uint8_t track)
{
    for (size_t i = 0; i < end; i++)
        if (t->s[i].track == track) return true;
    return false;
}

static bool part_of(const struct seg_table *t, size_t from, size_t to, unsigned mask, struct part *p)
{
    size_t first = seg_key_at(t, INT64_MIN);

    if (from > to || to > t->n || t->n == 0) return false;
    *p = (struct part){.from = from, .to = to, .track = primary(t), .mask = mask};
    p->first = from == 0 || (from == first && !has_before(t, first, p->track));
    p->last = to == t->n;
    if (!p->first && !is_key(t, from, p->track)) return false;
    if (!p->last && !is_key(t, to, p->track)) return false;
    if (!p->first) p->from_us = media_us(t, &t->s[from]);
    if (!p->last) p->to_us = media_us(t, &t->s[to]);
    return true;
}

int seg_cut(const struct seg_table *t, size_t from, size_t to, unsigned mask, struct seg_cut *ret)
{
    struct seg_cut c = {.n = 0};
    struct part p;
    size_t n = 0, runs = 0;
    uint64_t end = UINT64_MAX;

    if (!part_of(t, from, to, mask, &p)) return SEG_E_BAD;
    for (size_t i = 0; i < t->n; i++) {
        if (!within(t, &p, i)) continue;
        if (t->s[i].offset != end) runs++;
        end = t->s[i].offset + t->s[i].size;
        n++;
    }
    c.s = mem_try(MAX(n, 1) * sizeof(*c.s));
    c.r = mem_try(MAX(runs, 1) * sizeof(*c.r));
    if (!c.s || !c.r) {
        seg_cut_done(&c);
        return -ENOMEM;
    }
    for (size_t i = 0; i < t->n; i++) {
        const struct mp4_sample *s = &t->s[i];

        if (!within(t, &p, i)) continue;
        if (c.n_r == 0 || c.r[c.n_r - 1].at + c.r[c.n_r - 1].n != s->offset) c.r[c.n_r++].at = s->offset;
        c.r[c.n_r - 1].n += s->size;
        c.bytes += s->size;
        c.s[c.n++] = *s;
    }
    c.start_us = p.first ? t->info.start_us : seg_wall_us(t, from);
    c.end_us = p.last ? t->info.end_us : seg_wall_us(t, to);
    *ret = c;
    return SEG_OK;
}

/* A table that another thread may use too is left as it is. */
int seg_cut_listed(const struct seg_table *t, size_t from, size_t to, unsigned mask, struct seg_cut *ret)
{
    CLEANUP(mem_freep) struct seg_table *view = NULL;

    to = MIN(to, t->n);
    if (to < t->n && to > from && seg_key_next(t, to - 1) != to) {
        view = mem_try(sizeof(*view));
        if (!view) return -ENOMEM;
        *view = *t;
        view->n = to;
        t = view;
    }
    return seg_cut(t, from, to, mask, ret);
}

/* One without samples, and room for all of them. */
static struct seg_table *table_like(const struct seg_table *t)
{
    struct seg_table *part = mem_try(sizeof(*part));

    if (!part) return NULL;
    *part = *t;
    part->s = mem_try(MAX(t->n, 1) * sizeof(*part->s));
    part->cap = t->n;
    part->n = 0;
    if (part->s) return part;
    mem_free(part);
    return NULL;
}

struct seg_table *seg_table_part(const struct seg_table *t, usec_t from_us, usec_t until_us, size_t *number)
{
    struct seg_table *part = table_like(t);
    size_t before = number ? *number : 0, at = 0;

    if (!part) return NULL;
    for (size_t i = 0; i < t->n; i++) {
        usec_t us = seg_wall_us(t, i);

        if (us < from_us || us >= until_us) continue;
        if (i < before) at++;
        part->s[part->n++] = t->s[i];
    }
    part->info.end_us = MIN(t->info.end_us, until_us);
    if (number) *number = at;
    return part;
}

struct seg_table *seg_table_shown(const struct seg_table *t, usec_t to_us, size_t *number)
{
    struct seg_table *part = table_like(t);
    size_t before = number ? *number : 0, at = 0;
    bool over[TRACK_MAX] = {false};

    if (!part) return NULL;
    for (size_t i = 0; i < t->n; i++) {
        bool *ended = &over[t->s[i].track];

        *ended |= seg_shown_us(t, i) >= to_us;
        if (*ended) continue;
        if (i < before) at++;
        part->s[part->n++] = t->s[i];
    }
    part->info.end_us = MIN(t->info.end_us, to_us);
    if (number) *number = at;
    return part;
}

size_t seg_tail(const struct seg_table *t)
{
    uint8_t track = primary(t);
    size_t n = t->n;

    if (t->tracks.n == 1 || n == 0) return n;
    for (n--; n > 0 && is_key(t, n, track); n--) continue;
    return n;
}

void seg_cut_done(struct seg_cut *c)
{
    mem_free(c->s);
    mem_free(c->r);
    *c = (struct seg_cut){.n = 0};
}
