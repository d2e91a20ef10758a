/* Low-latency HLS (RFC 8216bis): /<uid>/index.ll.m3u8, video.ll.m3u8 with blocking reload, parts. Who asks
 * for what is not there yet waits on the stream's list and costs nothing; all of them are answered when it
 * comes. The segments, their numbers and their init are those of plain HLS, whose playlists stay as they are.
 * Of the camera's other streams (camera.h) it is said how far they are; who asks again may leave out what it
 * has (a delta update). */
#include "httpd/camera.h"
#include "httpd/handlers.h"
#include "httpd/hls.h"
#include "httpd/live.h"
#include "common/wire/url.h"

#define NUMBER_MAX 24 /* characters of _HLS_msn, _HLS_part */

/* What a player wants to be in the playlist. */
struct wish {
    bool given;
    uint64_t msn;
    int64_t part; /* < 0: the whole segment */
    bool skip;    /* it has what came before: a delta update will do */
};

/* false: no number. *ret_given: is it there? */
static bool number_of(struct span query, const char *name, uint64_t *ret, bool *ret_given)
{
    struct span rest = query, key, value;
    char text[NUMBER_MAX];

    *ret_given = false;
    while (url_query_next(&rest, &key, &value)) *ret_given |= span_is(key, name);
    if (!*ret_given) return true;
    return url_query_get(query, name, text, sizeof(text)) && span_u64(span_of(text), UINT32_MAX, ret);
}

/* RFC 8216bis 6.2.5.1: v2 may leave out dates of events too, of which there are none. Of another value the
 * answer is the whole. */
static bool skips(struct span query)
{
    char text[NUMBER_MAX];

    return url_query_get(query, "_HLS_skip", text, sizeof(text)) &&
        (strcmp(text, "YES") == 0 || strcmp(text, "v2") == 0);
}

static bool wish_of(const struct http *h, struct wish *ret)
{
    uint64_t part = 0;
    bool has_part;

    *ret = (struct wish){.part = -1};
    if (!number_of(h->ask->req.query, "_HLS_msn", &ret->msn, &ret->given)) return false;
    if (!number_of(h->ask->req.query, "_HLS_part", &part, &has_part)) return false;
    if (has_part) ret->part = (int64_t)part;
    ret->skip = skips(h->ask->req.query);
    return ret->given || !has_part;
}

/* RFC 8216bis 6.2.5.2: three target durations, then 503. */
static void wait_for_part(struct http *h, const struct window *w)
{
    if (h->ask->timed_out)
        answer_error_with(h, 503, "Retry-After: 1\r\n", "the camera is late with this part");
    else
        http_wait(h, &h->ask->stream->parts, 3 * (usec_t)w->target_s * US_PER_S);
}

void serve_low_playlist(struct http *h)
{
    struct answer a = {.status = 200, .type = HLS_TYPE, .cache = CACHE_CHECK};
    char left_out[LIVE_LEFT_OUT_MAX];
    struct wish wish;
    struct follow *f;
    struct window *w;
    struct body *b;

    if (!wish_of(h, &wish)) {
        answer_error(h, 400, "_HLS_msn and _HLS_part are numbers, and no part is without its segment");
        return;
    }
    f = live_follow(h);
    if (!f) return;
    w = follow_hls(f);
    window_low_begin(w);
    camera_reports(h->ask->stream, w);
    b = wish.skip ? window_low_delta(w) : window_low_playlist(w);
    if (!b || !follow_live(f)) {
        live_wait(h);
        return;
    }
    switch (wish.given ? window_has(w, wish.msn, wish.part) : WINDOW_THERE) {
    case WINDOW_SOON: wait_for_part(h, w); break;
    case WINDOW_FAR: answer_error(h, 400, "the playlist does not go that far ahead"); break;
    case WINDOW_THERE:
    case WINDOW_GONE:
        a.extra = live_left_out(follow_init(f), follow_init(f)->mask, left_out, sizeof(left_out));
        answer_body(h, &a, b, true);
        break;
    }
}

/* The part of what a range asks for that lies in this fragment. */
static void send_piece(struct http *h, const struct fragment *f, const struct http_range *r, uint64_t at)
{
    uint64_t from = MAX(r->from, at), end = MIN(r->from + r->n, at + f->c->n);

    if (from < end) conn_send_chunk(h->conn, f->c, (size_t)(from - at), (size_t)(end - from));
}

static void send_part(struct http *h, const struct segment *s, const struct part *p)
{
    struct answer a = {.status = 200, .type = LIVE_SEGMENT, .cache = LIVE_CACHE_WHILE};
    char etag[ETAG_MAX], extra[ANSWER_EXTRA_MAX];
    struct http_range range;
    uint64_t n = 0, at = 0;

    for (size_t i = 0; i < p->n; i++) n += s->f[p->from + i]->c->n;
    snprintf(etag, sizeof(etag), "\"%llx.%zx-%llx\"", (unsigned long long)s->f[p->from]->number, p->n,
        (unsigned long long)s->wall_us);
    a.v.etag = span_of(etag);
    if (!answer_range(h, &a, n, extra, sizeof(extra), &range)) return;
    answer_head(h, &a, range.n);
    for (size_t i = 0; i < p->n && !h->ask->head_only; at += s->f[p->from + i++]->c->n)
        send_piece(h, s->f[p->from + i], &range, at);
    http_done(h);
}

void serve_live_part(struct http *h)
{
    const struct segment *s;
    const struct part *p;
    struct follow *f;
    struct window *w;
    uint64_t msn, part;

    if (!span_u64(h->ask->match.capture[0], UINT32_MAX, &msn) ||
        !span_u64(h->ask->match.capture[1], UINT32_MAX, &part)) {
        answer_error(h, 400, "a part's name is two numbers");
        return;
    }
    f = live_follow(h);
    if (!f) return;
    w = follow_hls(f);
    switch (window_part(w, msn, part, &s, &p)) {
    case WINDOW_THERE: send_part(h, s, p); break;
    case WINDOW_SOON: wait_for_part(h, w); break;
    case WINDOW_FAR:
    case WINDOW_GONE: answer_error(h, 404, "this part is no longer there, or not yet"); break;
    }
}
