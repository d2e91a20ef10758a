/* The window for players of low latency: its parts, and what they may ask for before it is there. */
#include "httpd/window_text.h"

#define AHEAD_SEGMENTS 2              /* RFC 8216bis 6.2.5.2: further ahead is an error of the client */
#define AHEAD_US       (3 * US_PER_S) /* the same of parts: the Advance Part Limit */

static void cut(struct segment *s, bool closed, usec_t part_us)
{
    for (size_t i = 0; i < s->n; i++) parts_add(&s->parts, s->f, i, part_us);
    if (closed && s->n > 0) parts_end(&s->parts, s->f, s->n);
}

void window_low_begin(struct window *w)
{
    usec_t frame_us = w->frame_us;

    if (w->part_us > 0) return;
    if (frame_us == 0 && w->open.n > 0)
        frame_us = (w->open.f[w->open.n - 1]->end_us - w->open.start_us) / (usec_t)w->open.n;
    if (frame_us == 0) return;
    w->part_us = parts_target(frame_us);
    for (size_t i = w->n - w->n_listed; i < w->n; i++)
        if (!w->v[i].joined) cut(&w->v[i], true, w->part_us);
    cut(&w->open, false, w->part_us);
}

void window_low_end(struct window *w)
{
    w->part_us = 0;
    window_low_changed(w);
    parts_done(&w->open.parts);
    for (size_t i = 0; i < w->n; i++) parts_done(&w->v[i].parts);
}

void window_low_changed(struct window *w)
{
    body_done(&w->low);
    body_done(&w->delta);
    w->changes++;
}

struct body *window_low_playlist(struct window *w)
{
    struct chunk *c;

    if (!window_playlist(w) || w->part_us == 0)
        return NULL; /* the target duration is that of the plain one */
    if (!w->low.plain) {
        c = window_text(w, WINDOW_LOW);
        if (!c) return NULL;
        body_set(&w->low, c);
    }
    return &w->low;
}

struct body *window_low_delta(struct window *w)
{
    struct body *whole = window_low_playlist(w);
    struct chunk *c;

    if (!whole || w->delta.plain) return whole ? &w->delta : NULL;
    c = window_text(w, WINDOW_DELTA);
    if (!c) return whole;
    body_set(&w->delta, c);
    return &w->delta;
}

/* Of the open segment from its second part on: hls.js (1.7) takes a LAST-PART of 0 for none, and asks for a
 * part that is far. */
bool window_low_last(const struct window *w, uint64_t *ret_msn, int64_t *ret_part)
{
    const struct parts *p = w->n > 0 ? &w->v[w->n - 1].parts : NULL;

    if (w->part_us == 0 || w->n == 0) return false;
    *ret_msn = w->next_msn - 1;
    if (window_shows_open(w) && w->open.parts.n > 1) {
        p = &w->open.parts;
        *ret_msn = w->next_msn;
    }
    *ret_part = (int64_t)p->n - 1;
    return true;
}

static uint64_t ahead_parts(const struct window *w)
{
    return (uint64_t)((AHEAD_US + w->part_us - 1) / w->part_us);
}

enum window_state window_has(const struct window *w, uint64_t msn, int64_t part)
{
    size_t n = window_shows_open(w) ? w->open.parts.n : 0;
    const struct segment *s;

    if (msn >= w->next_msn + AHEAD_SEGMENTS) return WINDOW_FAR;
    if (msn > w->next_msn) return WINDOW_SOON;
    if (msn == w->next_msn) {
        if (part >= 0 && (uint64_t)part < n) return WINDOW_THERE;
        return part >= 0 && (uint64_t)part >= n + ahead_parts(w) ? WINDOW_FAR : WINDOW_SOON;
    }
    if (part < 0 || msn + 1 < w->next_msn) return WINDOW_THERE;
    /* A part behind the last one of a closed segment is the first of the next. */
    s = window_find(w, msn);
    return s && (uint64_t)part >= s->parts.n && n == 0 ? WINDOW_SOON : WINDOW_THERE;
}

enum window_state window_part(const struct window *w, uint64_t msn, uint64_t part, const struct segment **ret,
    const struct part **ret_part)
{
    const struct segment *s = msn == w->next_msn ? &w->open : window_find(w, msn);

    if (!s) return WINDOW_GONE;
    if (part < s->parts.n) {
        *ret = s;
        *ret_part = &s->parts.v[part];
        return WINDOW_THERE;
    }
    return s == &w->open && part == s->parts.n && w->part_us > 0 ? WINDOW_SOON : WINDOW_GONE;
}
