#include "httpd/window_text.h"
#include "httpd/bytes.h"
#include "httpd/hls.h"

#define URI_MAX   64
#define PARTS_FOR 3 /* target durations from the end on that are listed with parts (RFC 8216bis 4.4.4.9) */

static const struct segment *listed(const struct window *w, size_t i)
{
    return &w->v[w->n - w->n_listed + i];
}

static bool all_independent(const struct window *w)
{
    for (size_t i = 0; i < w->n_listed; i++)
        if (!listed(w, i)->key) return false;
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
static int64_t start_offset_us(const struct window *w, bool low)
{
    int64_t us = low ? open_us(w) : 0;

    for (size_t i = w->n_listed; i > 0; i--) {
        us += listed(w, i - 1)->dur_us;
        if (listed(w, i - 1)->key) return -us;
    }
    return 0;
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

static void write_segments(
    const struct window *w, struct text *to, enum window_form form, const struct init **init)
{
    usec_t left_us = open_us(w);
    size_t with_parts = w->n_listed;
    char uri[URI_MAX];

    while (form == WINDOW_LOW && with_parts > 0 && left_us < PARTS_FOR * (usec_t)w->target_s * US_PER_S)
        left_us += listed(w, --with_parts)->dur_us;
    for (size_t i = 0; i < w->n_listed; i++) {
        const struct segment *s = listed(w, i);

        write_begin(to, s, form, init);
        if (i >= with_parts) write_parts(to, s, s->msn);
        snprintf(
            uri, sizeof(uri), "live-%llu.%s", (unsigned long long)s->msn, form == WINDOW_TS ? "ts" : "m4s");
        hls_segment_end(to, s->dur_us, uri);
    }
}

bool window_shows_open(const struct window *w)
{
    return w->open.n == 0 || w->open.init->mask == listed(w, w->n_listed - 1)->init->mask;
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
    bool independent = all_independent(w), low = form == WINDOW_LOW;
    const struct init *init = NULL;
    struct hls_head head = {
        .target_s = w->target_s,
        .msn = listed(w, 0)->msn,
        .discont_seq = w->discont_seq,
        .independent = independent,
        .ts = form == WINDOW_TS,
        .start_us = independent ? 0 : start_offset_us(w, low),
    };
    struct chunk *c = NULL;
    struct text b;

    text_init(&b, HLS_LIVE_MAX);
    hls_begin(&b, &head);
    if (low) hls_low(&b, w->part_us);
    write_segments(w, &b, form, &init);
    if (low) write_open(w, &b, init);
    if (text_ok(&b)) c = bytes_chunk(text_span(&b));
    text_done(&b);
    return c;
}
