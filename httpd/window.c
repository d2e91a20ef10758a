#include "httpd/window_text.h"
#include "httpd/bytes.h"
#include "httpd/hls.h"
#include "common/base/err.h"
#include "common/base/mem.h"

static void segment_done(struct segment *s)
{
    for (size_t i = 0; i < s->n; i++) fragment_unref(s->f[i]);
    mem_free(s->f);
    parts_done(&s->parts);
    chunk_unref(s->joined);
    chunk_unref(s->ts);
    init_unref(s->init);
    *s = (struct segment){0};
}

void window_init(struct window *w, uint64_t next_msn, uint64_t discont_seq)
{
    *w = (struct window){.next_msn = next_msn, .discont_seq = discont_seq};
}

void window_done(struct window *w)
{
    segment_done(&w->open);
    for (size_t i = 0; i < w->n; i++) segment_done(&w->v[i]);
    body_done(&w->playlist);
    body_done(&w->ts);
    body_done(&w->low);
    body_done(&w->delta);
    *w = (struct window){.next_msn = w->next_msn, .discont_seq = w->discont_seq};
}

static void changed(struct window *w)
{
    body_done(&w->playlist);
    body_done(&w->ts);
    window_low_changed(w);
}

static void drop_oldest(struct window *w)
{
    w->bytes -= w->v[0].bytes;
    segment_done(&w->v[0]);
    memmove(&w->v[0], &w->v[1], (w->n - 1) * sizeof(w->v[0]));
    w->n--;
    w->n_listed = MIN(w->n_listed, w->n);
    w->v[w->n] = (struct segment){0};
}

static usec_t listed_us(const struct window *w)
{
    usec_t us = 0;

    for (size_t i = w->n - w->n_listed; i < w->n; i++) us += w->v[i].dur_us;
    return us;
}

static usec_t longest_us(const struct window *w)
{
    usec_t us = 0;

    for (size_t i = w->n - w->n_listed; i < w->n; i++) us = MAX(us, w->v[i].dur_us);
    return us;
}

/* The promise, or what it would be now. */
static unsigned target_s(const struct window *w)
{
    usec_t gop_us = w->gop_us, us = WINDOW_UNKNOWN_S * US_PER_S;

    if (w->target_s > 0) return w->target_s;
    if (gop_us > 0) us = (WINDOW_LEAST_US + gop_us - 1) / gop_us * gop_us;
    return hls_rounded_s(MIN(MAX(longest_us(w), us + us / 16), WINDOW_MOST_S * US_PER_S));
}

/* No segment is longer: rounded it is the target. */
static usec_t limit_us(const struct window *w)
{
    return (w->target_s > 0 ? w->target_s : WINDOW_MOST_S) * US_PER_S + US_PER_S / 2 - 1;
}

/* RFC 8216 6.2.2: a segment leaves only while three target durations remain. */
static bool may_unlist(const struct window *w)
{
    const struct segment *oldest = &w->v[w->n - w->n_listed];

    if (!w->watched) return w->n_listed > WINDOW_IDLE;
    if (w->n_listed >= WINDOW_KEPT) return true;
    return w->n_listed > WINDOW_LISTED && listed_us(w) - oldest->dur_us >= 3 * (usec_t)target_s(w) * US_PER_S;
}

static void unlist_oldest(struct window *w)
{
    struct segment *s = &w->v[w->n - w->n_listed];

    if (s->discont) w->discont_seq++;
    if (s->joined) parts_done(&s->parts);
    w->n_listed--;
}

static size_t kept_most(const struct window *w)
{
    return w->part_us > 0 ? WINDOW_LOW_KEPT : WINDOW_KEPT;
}

unsigned window_kinds(const struct track_set *tracks, unsigned mask)
{
    unsigned k = 0;

    for (unsigned i = 0; i < tracks->n; i++)
        if (mask & 1u << i) k |= tracks->t[i].kind == TRACK_VIDEO ? 1 : 2;
    return k;
}

unsigned window_kinds_at(const struct window *w, size_t i)
{
    return window_kinds(&w->v[i].init->tracks, w->v[i].init->mask);
}

/* Media Source Extensions (5.5.7, initialization segment received) keep the kinds of tracks that a player
 * began with: who comes now gets none of the others. */
static void forget_other_kinds(struct window *w)
{
    unsigned now = window_kinds_at(w, w->n - 1);

    while (w->n_listed > 1 && window_kinds_at(w, w->n - w->n_listed) != now) unlist_oldest(w);
}

static void trim(struct window *w)
{
    forget_other_kinds(w);
    while (may_unlist(w)) unlist_oldest(w);
    while (w->n > w->n_listed && (!w->watched || w->bytes > WINDOW_BYTES || w->n > kept_most(w)))
        drop_oldest(w);
}

/* What was joined is not kept twice, but where it is asked for in parts. Fragments that viewers still begin
 * with are looked at again later. */
static void shed(struct window *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct segment *s = &w->v[i];
        bool in_parts = w->part_us > 0 && i >= w->n - w->n_listed;

        for (size_t k = 0; k < s->n; k++) fragment_shed(s->f[k], s->joined && !in_parts);
    }
}

static void close_open(struct window *w, int64_t end_us)
{
    struct segment *s = &w->open;

    if (w->part_us > 0) parts_end(&s->parts, s->f, s->n);
    w->frame_us = (end_us - s->start_us) / (usec_t)s->n;
    s->dur_us = CLAMP(end_us - s->start_us, 1, limit_us(w));
    if (end_us - s->start_us > s->dur_us) w->pending_discont = true;
    s->msn = w->next_msn++;
    if (w->n == kept_most(w)) {
        if (w->n_listed == w->n && w->v[0].discont) w->discont_seq++;
        drop_oldest(w);
    }
    w->v[w->n++] = *s;
    w->n_listed++;
    w->bytes += s->bytes;
    w->rate_us += s->dur_us;
    w->rate_bytes += s->bytes;
    if (s->dur_us >= WINDOW_FIRST_US)
        w->peak = MAX(w->peak,
            (uint32_t)MIN(
                scale_i64((int64_t)s->bytes * 8, 1000000, (uint32_t)MIN(s->dur_us, UINT32_MAX)), UINT32_MAX));
    w->open = (struct segment){0};
    trim(w);
    shed(w);
    changed(w);
}

/* Does the segment end before this fragment? */
static bool cuts(const struct window *w, const struct fragment *f)
{
    int64_t us = f->start_us - w->open.start_us;

    if (w->open.n == 0) return false;
    if (f->end_us - w->open.start_us > limit_us(w)) return true;
    if (!f->key) return false;
    if (!w->open.key || us + w->gop_us > limit_us(w)) return true;
    return us >= (w->rate_us < WINDOW_FILL_US ? WINDOW_FIRST_US : WINDOW_LEAST_US);
}

static void measure(struct window *w, const struct fragment *f)
{
    if (!f->key) return;
    if (w->has_key && f->start_us > w->key_us) w->gop_us = f->start_us - w->key_us;
    w->key_us = f->start_us;
    w->has_key = true;
}

static void begin(struct window *w, const struct fragment *f, struct init *init)
{
    w->open.start_us = f->start_us;
    w->open.wall_us = f->wall_us;
    w->open.key = f->key;
    w->open.discont = w->pending_discont;
    w->open.init = init_ref(init);
    w->pending_discont = false;
}

bool window_add(struct window *w, struct fragment *f, struct init *init)
{
    bool closed = false;
    struct segment *s = &w->open;

    measure(w, f);
    if (cuts(w, f)) {
        close_open(w, f->start_us);
        closed = true;
    }
    if (s->n == 0) begin(w, f, init);
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->f = mem_renew(s->f, s->cap * sizeof(struct fragment *));
    }
    s->f[s->n++] = fragment_ref(f);
    s->bytes += f->c->n;
    if (w->part_us > 0 && parts_add(&s->parts, s->f, s->n - 1, w->part_us)) window_low_changed(w);
    return closed;
}

bool window_begins(const struct window *w)
{
    return w->open.n == 1;
}

bool window_break(struct window *w)
{
    bool closed = w->open.n > 0;

    if (closed) close_open(w, w->open.f[w->open.n - 1]->end_us);
    if (w->n > 0) w->pending_discont = true;
    w->has_key = false;
    return closed;
}

bool window_hurry(struct window *w)
{
    int64_t end_us;

    if (w->n > 0 || w->open.n == 0) return false;
    end_us = w->open.f[w->open.n - 1]->end_us;
    if (end_us - w->open.start_us < WINDOW_FIRST_US) return false;
    close_open(w, end_us);
    return true;
}

void window_watched(struct window *w, bool watched)
{
    if (w->watched == watched) return;
    w->watched = watched;
    if (!watched) window_low_end(w);
    if (w->n > 0) trim(w);
    changed(w);
}

void window_hint(struct window *w, usec_t gop_us)
{
    if (w->gop_us == 0 && gop_us > 0) w->gop_us = gop_us;
}

struct body *window_playlist(struct window *w)
{
    struct chunk *c;

    if (w->n == 0) return NULL;
    w->target_s = target_s(w);
    if (!w->playlist.plain) {
        c = window_text(w, WINDOW_MP4);
        if (!c) return NULL;
        body_set(&w->playlist, c);
    }
    return &w->playlist;
}

const struct segment *window_find(const struct window *w, uint64_t msn)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].msn == msn) return &w->v[i];
    return NULL;
}

static struct segment *find(struct window *w, uint64_t msn)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].msn == msn) return &w->v[i];
    return NULL;
}

struct chunk *window_bytes(struct window *w, uint64_t msn)
{
    struct segment *s = find(w, msn);

    if (!s || s->joined) return s ? s->joined : NULL;
    s->joined = fragments_join(s->f, s->n, (uint32_t)msn);
    shed(w);
    return s->joined;
}

struct body *window_ts_playlist(struct window *w)
{
    struct chunk *c;

    if (!window_playlist(w)) return NULL; /* the target duration is that of the other one */
    if (!w->ts.plain) {
        c = window_text(w, WINDOW_TS);
        if (!c) return NULL;
        body_set(&w->ts, c);
    }
    return &w->ts;
}

/* From the fragments' own bytes, or from those of the joined segment, at whose end they lie. */
static void join_ts(const struct segment *s, size_t bytes, uint8_t *at)
{
    struct span rest = SPAN_NONE;

    if (s->joined) rest = span_from(span(s->joined->data, s->joined->n), s->joined->n - bytes);
    for (size_t i = 0; i < s->n; i++) {
        const struct fragment *f = s->f[i];

        fragment_ts_put(f, s->init, s->joined ? rest : span_from(span(f->c->data, f->c->n), f->head_n), at);
        rest = span_from(rest, fragment_data_n(f));
        at += (size_t)f->ts_place.packets * TS_PACKET;
    }
}

struct chunk *window_ts_bytes(struct window *w, uint64_t msn)
{
    struct segment *s = find(w, msn);
    size_t packets = 0, bytes = 0;

    if (!s || s->ts) return s ? s->ts : NULL;
    for (size_t i = 0; i < s->n; i++) {
        packets += s->f[i]->ts_place.packets;
        bytes += fragment_data_n(s->f[i]);
    }
    s->ts = chunk_new(packets * TS_PACKET);
    if (!s->ts) return NULL;
    join_ts(s, bytes, s->ts->data);
    s->bytes += s->ts->n;
    w->bytes += s->ts->n;
    return s->ts;
}

const struct init *window_init_find(const struct window *w, struct span id)
{
    for (size_t i = 0; i < w->n; i++)
        if (span_is(id, w->v[i].init->id)) return w->v[i].init;
    return NULL;
}
