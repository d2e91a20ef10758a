/* Live HLS: master and media playlists, init segments, segments of MP4 and of MPEG-TS. */
#include "httpd/camera.h"
#include "httpd/handlers.h"
#include "httpd/hls.h"
#include "httpd/live.h"
#include "common/base/mem.h"

static uint32_t bandwidth_of(const struct window *w, const struct stream *s)
{
    uint32_t now = s->status ? atomic_load(&s->status->bitrate_in) : 0;

    return MAX(w->peak, now);
}

static uint32_t average_of(const struct window *w)
{
    if (w->rate_us <= 0) return 0;
    return (uint32_t)MIN(w->rate_bytes * 8 * 1000 / (uint64_t)MAX(w->rate_us / 1000, 1), UINT32_MAX);
}

/* The stream of the request, where it can be watched now; false: it was answered, or waits. */
static bool own_variant(struct http *h, const char *playlist, struct hls_variant *ret)
{
    struct follow *f = live_follow(h);
    struct window *w;

    if (!f) return false;
    w = follow_hls(f);
    if (!follow_init(f) || !follow_live(f)) {
        live_wait(h);
        return false;
    }
    *ret = (struct hls_variant){.tracks = &follow_init(f)->tracks,
        .mask = follow_init(f)->mask,
        .bandwidth = bandwidth_of(w, h->ask->stream),
        .average = average_of(w),
        .fps_milli = follow_fps_milli(f),
        .uri = playlist};
    return true;
}

static void answer_master(struct http *h, const struct hls_variant *v, size_t n)
{
    struct answer a = {.status = 200, .type = HLS_TYPE, .cache = CACHE_CHECK};
    const struct init *init = follow_init(h->ask->stream->follow);
    char left_out[LIVE_LEFT_OUT_MAX];
    struct text b;

    a.extra = live_left_out(init, init->mask, left_out, sizeof(left_out));
    text_init(&b, HLS_MASTER_MAX);
    hls_master(&b, v, n);
    if (text_ok(&b))
        answer_made(h, &a, text_span(&b));
    else
        answer_error(h, 503, "out of memory");
    text_done(&b);
}

void serve_master(struct http *h)
{
    struct hls_variant v;

    if (own_variant(h, "video.m3u8", &v)) answer_master(h, &v, 1);
}

/* The other streams of the camera behind this one. */
void serve_low_master(struct http *h)
{
    struct hls_variant v[1 + CAMERA_OTHERS_MAX];
    struct camera_variants others;

    if (!own_variant(h, "video.ll.m3u8", &v[0]) || !camera_known(h)) return;
    camera_variants(h->ask->stream, window_kinds(v[0].tracks, v[0].mask), &others);
    for (size_t i = 0; i < others.n; i++) v[1 + i] = others.v[i];
    answer_master(h, v, 1 + others.n);
}

/* ts: of MPEG-TS. */
static void serve_playlist(struct http *h, bool ts)
{
    struct answer a = {.status = 200, .type = HLS_TYPE, .cache = CACHE_CHECK};
    struct follow *f = live_follow(h);
    const struct init *init;
    char left_out[LIVE_LEFT_OUT_MAX];
    struct body *b;

    if (!f) return;
    b = ts ? window_ts_playlist(follow_hls(f)) : window_playlist(follow_hls(f));
    if (!b || !follow_live(f)) {
        live_wait(h);
        return;
    }
    init = follow_init(f);
    if (ts && init->ts.mask == 0) {
        answer_error(h, 415, "this stream has no track that goes into MPEG-TS");
        return;
    }
    a.extra = live_left_out(init, ts ? init->ts.mask : init->mask, left_out, sizeof(left_out));
    answer_body(h, &a, b, true);
}

void serve_media_playlist(struct http *h)
{
    serve_playlist(h, false);
}

void serve_ts_playlist(struct http *h)
{
    serve_playlist(h, true);
}

void serve_live_init(struct http *h)
{
    struct answer a = {.status = 200, .type = LIVE_SEGMENT, .cache = LIVE_CACHE_WHILE};
    struct follow *f = live_follow(h);
    const struct init *init;

    if (!f) return;
    init = window_init_find(follow_hls(f), h->ask->match.capture[0]);
    if (init)
        answer_chunk(h, &a, init->c);
    else
        answer_error(h, 404, "no such init segment now");
}

static void serve_segment(struct http *h, bool ts)
{
    struct answer a = {.status = 200, .type = ts ? LIVE_TS : LIVE_SEGMENT, .cache = LIVE_CACHE_WHILE};
    char etag[ETAG_MAX];
    struct follow *f;
    struct chunk *c;
    uint64_t msn;

    if (!span_u64(h->ask->match.capture[0], UINT32_MAX, &msn)) {
        answer_error(h, 400, "a segment's name is a number");
        return;
    }
    f = live_follow(h);
    if (!f) return;
    c = ts ? window_ts_bytes(follow_hls(f), msn) : window_bytes(follow_hls(f), msn);
    if (!c) {
        answer_error(h, 404, "this segment is no longer there, or not yet");
        return;
    }
    snprintf(etag, sizeof(etag), "\"%llu-%zx\"", (unsigned long long)msn, c->n);
    a.v.etag = span_of(etag);
    answer_chunk(h, &a, c);
}

void serve_live_segment(struct http *h)
{
    serve_segment(h, false);
}

void serve_ts_segment(struct http *h)
{
    serve_segment(h, true);
}
