#include "httpd/window_text.h"
#include "httpd/bytes.h"
#include "httpd/hls.h"

#define URI_MAX   64
#define PARTS_FOR 3 /* target durations from the end on that are listed with parts (RFC 8216bis 4.4.4.9) */

/* Place of the first listed one in w->v. */
static size_t first_of(const struct window *w, enum window_form form)
{
    size_t i = w->n - w->n_listed;
    unsigned kinds = window_kinds_at(w, w->n - 1);

    if (form != WINDOW_LOW && form != WINDOW_DELTA) return i;
    while (i > 0 && w->n - i < WINDOW_LOW_LISTED && window_kinds_at(w, i - 1) == kinds) i--;
    return i;
}

static bool all_independent(const struct window *w, size_t first)
{
    for (size_t i = first; i < w->n; i++)
        if (!w->v[i].key) return false;
    return true;
}

/* Of the open segment, in parts. */
static usec_t open_us(const struct window *w)
{
    usec_t us = 0;

    for (size_t i = 0; i < w->open.parts.n; i++) us += w->open.parts.v[i].dur_us;
    return us;
}

/* Where the window holds segments that begin inside a group of pictures, players are told where they can
 * begin, from the end on. */
static int64_t start_offset_us(const struct window *w, size_t first, bool low)
{
    int64_t us = low ? open_us(w) : 0;

    for (size_t i = w->n; i > first; i--) {
        us += w->v[i - 1].dur_us;
        if (w->v[i - 1].key) return -us;
    }
    return 0;
}

/* Discontinuities that are over; what low latency lists besides is not. */
static uint64_t discont_seq_of(const struct window *w, size_t first)
{
    uint64_t seq = w->discont_seq;

    for (size_t i = first; i < w->n - w->n_listed; i++) seq -= w->v[i].discont && seq > 0;
    return seq;
}

/* Segments that a delta update leaves out: those that end before its skip boundary. */
static size_t skipped(const struct window *w, size_t first)
{
    usec_t behind_us = open_us(w), boundary_us = HLS_SKIP_TARGETS * (usec_t)w->target_s * US_PER_S;
    size_t i = w->n;

    while (i > first && behind_us < boundary_us) behind_us += w->v[--i].dur_us;
    return i - first;
}

static void write_begin(
    struct text *to, const struct segment *s, enum window_form form, const struct init **init)
{
    char uri[URI_MAX];
    bool discont = s->discont;

    if (form != WINDOW_TS && s->init != *init && (!*init || strcmp((*init)->id, s->init->id) != 0)) {
        if (discont) text_put(to, "#EXT-X-DISCONTINUITY\n");
        discont = false;
        snprintf(uri, sizeof(uri), "live-init-%s.mp4", s->init->id);
        hls_map(to, uri);
    }
    *init = s->init;
    hls_segment_begin(to, discont, s->wall_us);
}

static void part_uri(char uri[static URI_MAX], uint64_t msn, size_t part)
{
    snprintf(uri, URI_MAX, "live-%llu.%zu.m4s", (unsigned long long)msn, part);
}

static void write_parts(struct text *to, const struct segment *s, uint64_t msn)
{
    char uri[URI_MAX];

    for (size_t i = 0; i < s->parts.n; i++) {
        part_uri(uri, msn, i);
        hls_part(to, s->parts.v[i].dur_us, uri, s->parts.v[i].key);
    }
}

/* Where its parts are listed: the last PARTS_FOR target durations. */
static size_t first_with_parts(const struct window *w, size_t first)
{
    usec_t left_us = open_us(w);
    size_t i = w->n;

    while (i > first && left_us < PARTS_FOR * (usec_t)w->target_s * US_PER_S) left_us += w->v[--i].dur_us;
    return i;
}

/* *init: of the one before, which the player has already; then of the last. */
static void write_segments(
    const struct window *w, struct text *to, size_t first, enum window_form form, const struct init **init)
{
    bool low = form == WINDOW_LOW || form == WINDOW_DELTA;
    size_t with_parts = low ? first_with_parts(w, first) : w->n;
    char uri[URI_MAX];

    for (size_t i = first; i < w->n; i++) {
        const struct segment *s = &w->v[i];

        write_begin(to, s, form, init);
        if (i >= with_parts) write_parts(to, s, s->msn);
        snprintf(
            uri, sizeof(uri), "live-%llu.%s", (unsigned long long)s->msn, form == WINDOW_TS ? "ts" : "m4s");
        hls_segment_end(to, s->dur_us, uri);
    }
}

bool window_shows_open(const struct window *w)
{
    return w->open.n == 0 || w->open.init->mask == w->v[w->n - 1].init->mask;
}

/* What is open, and what comes next. */
static void write_open(const struct window *w, struct text *to, const struct init *init)
{
    char uri[URI_MAX];

    if (!window_shows_open(w)) return;
    if (w->open.parts.n > 0) {
        write_begin(to, &w->open, WINDOW_LOW, &init);
        write_parts(to, &w->open, w->next_msn);
    }
    part_uri(uri, w->next_msn, w->open.parts.n);
    hls_hint(to, uri);
}

struct chunk *window_text(const struct window *w, enum window_form form)
{
    bool low = form == WINDOW_LOW || form == WINDOW_DELTA;
    size_t first = first_of(w, form), skip = form == WINDOW_DELTA ? skipped(w, first) : 0;
    bool independent = all_independent(w, first);
    const struct init *init = skip > 0 ? w->v[first + skip - 1].init : NULL;
    struct hls_head head = {
        .target_s = w->target_s,
        .msn = w->v[first].msn,
        .discont_seq = discont_seq_of(w, first),
        .independent = independent,
        .ts = form == WINDOW_TS,
        .skips = skip > 0,
        .start_us = independent ? 0 : start_offset_us(w, first, low),
    };
    struct chunk *c = NULL;
    struct text b;

    if (form == WINDOW_DELTA && skip == 0) return NULL;
    text_init(&b, HLS_LIVE_MAX);
    hls_begin(&b, &head);
    if (low) hls_low(&b, w->part_us, w->target_s);
    if (skip > 0) hls_skip(&b, skip);
    write_segments(w, &b, first + skip, form, &init);
    if (low) write_open(w, &b, init);
    for (size_t i = 0; low && i < w->n_reports; i++)
        hls_report(&b, w->reports[i].uri, w->reports[i].msn, w->reports[i].part);
    if (text_ok(&b)) c = bytes_chunk(text_span(&b));
    text_done(&b);
    return c;
}
