#include "httpd/routes.h"
#include "common/base/wr.h"
#include "httpd/handlers.h"
#include "common/ring/ring.h"

#define LIVE_ROAD (ROUTE_STREAM | ROUTE_MEDIA)
#define ROUTE_API (ROUTE_GET | 1u << HTTP_POST | 1u << HTTP_PUT | 1u << HTTP_DELETE)

/* The first pattern that fits wins. What a playlist names is relative to it, so every segment has its row
 * below
 * /<uid>/, /live/<uid>/ and /dvr/<uid>/. */
static const struct route table[] = {
    {"/api/v3/session", ROUTE_API, ROUTE_PANEL | ROUTE_BODY, ACCESS_PAGE, ROAD_PAGE, serve_session},
    {"/api/v3/setup", 1u << HTTP_POST, ROUTE_PANEL | ROUTE_BODY, ACCESS_PAGE, ROAD_PAGE, serve_setup},
    {"/api/v3/events/stream", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_events},
    {"/api/v3/openapi.json", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_openapi},
    {"/api/v3/**", ROUTE_API | 1u << HTTP_PATCH, ROUTE_PANEL | ROUTE_BODY | ROUTE_V3, ACCESS_PAGE, ROAD_PAGE,
        serve_api},
    {"/api/**", ROUTE_API, ROUTE_PANEL | ROUTE_BODY, ACCESS_PAGE, ROAD_PAGE, serve_api},
    {"/cpanel", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_cpanel},
    {"/cpanel/", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_cpanel},
    {"/cpanel/**", ROUTE_GET, ROUTE_MODULE, ACCESS_PAGE, ROAD_PAGE, serve_asset},
    {"/metrics", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_metrics},
    {"/healthz", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_healthz},
    {"/readyz", ROUTE_GET, ROUTE_PANEL, ACCESS_PAGE, ROAD_PAGE, serve_readyz},

    {"/live/:uid/playlist.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_master},
    {"/live/:uid/playlist_ios.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_master},
    {"/live/:uid/video.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_media_playlist},
    {"/live/:uid/preview.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_PREVIEW, ROAD_PICTURE, serve_preview},
    {"/live/:uid/preview.jpg", ROUTE_GET, LIVE_ROAD, ACCESS_PREVIEW, ROAD_PICTURE, serve_preview_jpeg},
    {"/live/:uid/live-init-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_live_init},
    {"/live/:uid/live-*.m4s", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_live_segment},

    {"/dvr/:uid/playlist.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_dvr_playlist},
    {"/dvr/:uid/playlist_ios.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_dvr_playlist},
    {"/dvr/:uid/record.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_COPY, ROAD_MP4, serve_dvr_mp4},
    {"/dvr/:uid/screenshot.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_dvr_picture},
    {"/dvr/:uid/screenshot.jpg", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_screenshot_jpeg},
    {"/dvr/:uid/dvr-init-*-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_init},
    {"/dvr/:uid/dvr-*-*-*-*.m4s", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_segment},

    {"/:uid/index.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_master},
    {"/:uid/index.ll.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_low_master},
    {"/:uid/video.ll.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_low_playlist},
    {"/:uid/live-*.*.m4s", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_live_part},
    {"/:uid/video.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_media_playlist},
    {"/:uid/mono.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_media_playlist},
    {"/:uid/live-init-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_live_init},
    {"/:uid/live-*.m4s", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_live_segment},
    {"/:uid/mse_ld", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_WS, serve_mse},
    {"/:uid/live.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_MP4, serve_live_mp4},
    {"/:uid/mpegts.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_ts_playlist},
    {"/:uid/live-*.ts", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_HLS, serve_ts_segment},
    {"/:uid/mpegts", ROUTE_GET, LIVE_ROAD, ACCESS_LIVE, ROAD_TS, serve_live_ts},
    {"/:uid/preview.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_PREVIEW, ROAD_PICTURE, serve_preview},
    {"/:uid/preview.jpg", ROUTE_GET, LIVE_ROAD, ACCESS_PREVIEW, ROAD_PICTURE, serve_preview_jpeg},

    {"/:uid/*-preview.jpg", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_archive_jpeg},
    {"/:uid/*.jpg", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_archive_jpeg},
    {"/:uid/archive-*-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_playlist},
    {"/:uid/index-*-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_master},
    {"/:uid/archive-*-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_COPY, ROAD_MP4, serve_archive_mp4},
    {"/:uid/*-preview.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_archive_picture},
    {"/:uid/strip-*-*-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_PICTURE, serve_strip},
    {"/:uid/strip-*-*-*.json", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_INFO, serve_strip_list},
    {"/:uid/video-timeshift_abs-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_timeshift_abs},
    {"/:uid/video-timeshift_rel-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_timeshift_rel},
    {"/:uid/video-*-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_playlist},
    {"/:uid/mono-*-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_playlist},
    {"/:uid/rewind-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_rewind},
    {"/:uid/timeshift_abs-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_timeshift_abs},
    {"/:uid/timeshift_rel-*.m3u8", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_timeshift_rel},
    {"/:uid/dvr-init-*-*.mp4", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_init},
    {"/:uid/dvr-*-*-*-*.m4s", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_HLS, serve_archive_segment},
    {"/:uid/recording_status.json", ROUTE_GET, LIVE_ROAD, ACCESS_DVR, ROAD_INFO, serve_recording_status},

    {"/:uid/stream.json", ROUTE_GET, LIVE_ROAD, ACCESS_PAGE, ROAD_INFO, serve_stream_info},
    {"/:uid/embed.html", ROUTE_GET, ROUTE_STREAM | ROUTE_FRAME, ACCESS_PAGE, ROAD_PAGE, serve_embed},
};

const struct route *route_table(size_t *ret_n)
{
    *ret_n = ARRAY_N(table);
    return table;
}

bool route_uid_ok(struct span uid)
{
    static const char *const ours[] = {"live", "dvr", "api", "cpanel", "s", "metrics", "healthz", "readyz"};

    if (uid.n == 0 || uid.n > RING_UID_MAX) return false;
    for (size_t i = 0; i < uid.n; i++) {
        uint8_t c = uid.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-') return false;
    }
    for (size_t i = 0; i < ARRAY_N(ours); i++)
        if (span_is(uid, ours[i])) return false;
    return true;
}

static bool keep(struct route_match *m, struct span s)
{
    if (m->n == ROUTE_CAPTURES_MAX) return false;
    m->capture[m->n++] = s;
    return true;
}

/* Each '*' takes the shortest text, the last one everything up to the pattern's end. */
bool route_segment(struct span pattern, struct span text, struct route_match *ret)
{
    ssize_t star = span_find(pattern, '*');

    if (star < 0) return span_eq(pattern, text);
    if (!span_starts(text, span_sub(pattern, 0, (size_t)star))) return false;
    text = span_from(text, (size_t)star);
    pattern = span_from(pattern, (size_t)star + 1);
    for (;;) {
        ssize_t next = span_find(pattern, '*');
        struct span plain = span_sub(pattern, 0, next < 0 ? pattern.n : (size_t)next);
        ssize_t at;

        if (next < 0) {
            if (text.n <= plain.n || !span_ends(text, plain)) return false;
            return keep(ret, span_sub(text, 0, text.n - plain.n));
        }
        at = span_find_span(span_from(text, 1), plain) +
            1; /* a time of -1 is a wrong time, and no other URL */
        if (at < 1 || !keep(ret, span_sub(text, 0, (size_t)at))) return false;
        text = span_from(text, (size_t)at + plain.n);
        pattern = span_from(pattern, (size_t)next + 1);
    }
}

static bool fits(const char *pattern, struct span path, struct route_match *ret)
{
    struct span want = span_of(pattern), a, b;

    while (span_split(&want, '/', &a)) {
        if (span_is(a, "**")) return path.n > 0 && keep(ret, path);
        if (!span_split(&path, '/', &b)) return false;
        if (span_is(a, ":uid")) {
            if (!route_uid_ok(b)) return false;
            ret->uid = b;
        } else if (!route_segment(a, b, ret)) {
            return false;
        }
    }
    return path.p == NULL;
}

unsigned route_find(struct span path, enum http_method method, bool module, struct route_match *ret)
{
    unsigned status = 404;

    for (size_t i = 0; i < ARRAY_N(table); i++) {
        struct route_match m = {.route = &table[i]};

        if (module && !(table[i].flags & (ROUTE_MODULE | ROUTE_PANEL | ROUTE_STREAM))) continue;
        if (!module && table[i].flags & ROUTE_PANEL) continue;
        if (!fits(table[i].pattern, path, &m)) continue;
        *ret = m;
        if (table[i].methods & 1u << method) return 0;
        status = 405;
        break;
    }
    return status;
}

const char *route_allow(const struct route *r, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);

    for (unsigned m = 0; m < HTTP_METHODS; m++)
        if (r->methods & 1u << m) wr_fmt(&w, "%s, ", http_method_name((enum http_method)m));
    wr_text(&w, "OPTIONS");
    return wr_cstr(&w);
}
