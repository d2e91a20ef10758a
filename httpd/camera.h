/* The streams of one camera (camera-uid; stream-profile tells main and sub apart), as the home hubs of the
 * others know them: what low-latency HLS offers beside a stream. A stream's home hub fills its own entry in,
 * any hub copies those of the others; one lock, held for a look into memory only. Rules:
 *   - the master playlist of the main stream lists the others behind it, that of another lists itself alone;
 *   - nobody is led to what is not open to everybody, is not captured now, or has other kinds of tracks
 * (Media Source Extensions keep those that a player began with);
 *   - streams have rings and media times of their own, and a camera's clock runs off ours: what places a
 * moment in both is EXT-X-PROGRAM-DATE-TIME, fitted to this node's clock for both (timeline.h), so that it
 * agrees within a part. Media times may differ by as much as the camera's clock has run off between the
 * beginnings of both sessions; hls.js and AVFoundation align renditions by the date, and hls.js moves a
 * rendition whose media time is off by more than a fragment to where the date says. Tests:
 * tests/unit/httpd/test_camera.c, tests/e2e/test_lowlat.py. */
#ifndef HTTPD_CAMERA_H
#define HTTPD_CAMERA_H

#include "common/media/track.h"
#include "common/ring/ring.h"
#include "httpd/hls.h"
#include "httpd/window.h"

#define CAMERA_OTHERS_MAX WINDOW_REPORTS_MAX /* of more streams of one camera the first ones */
#define CAMERA_FRESH_US   (5 * US_PER_S)
#define CAMERA_WAIT_US    (500 * US_PER_MS) /* for what other hubs know */

struct cameras;
struct camera_entry;
struct http;
struct stream;
struct view;

/* What is known of a stream. */
struct camera_stream {
    char uid[RING_UID_MAX + 1];
    bool sub;
    usec_t seen_us; /* when the following was looked at, by the monotonic clock; 0: never */
    bool open;      /* everybody may watch it by HLS, and it is captured */
    unsigned mask;  /* tracks that players get */
    uint32_t bandwidth, fps_milli;
    struct track_set tracks;
    bool low; /* somebody watches it with low latency: its playlist ends with ... */
    uint64_t msn;
    int64_t part; /* < 0: a whole segment */
};

struct cameras *cameras_new(void);
void cameras_free(struct cameras *c); /* all have left */
/* NULL: a stream of no camera. Not yet seen. */
struct camera_entry *camera_join(struct cameras *c, const char *camera, const char *uid, bool sub);
void camera_leave(struct camera_entry *e); /* NULL too */
/* Everything but uid, sub, low and what belongs to it. */
void camera_put(struct camera_entry *e, const struct camera_stream *s);
/* After a change of the window, of which s->low and what belongs to it are told. e NULL: nothing. */
void camera_put_low(struct camera_entry *e, const struct window *w);
/* Copies of the others; e NULL: none. */
size_t camera_others(const struct camera_entry *e, struct camera_stream *ret, size_t most);

/* s->v is new: joins, leaves, joins another, or tells what has changed. */
void camera_of_view(struct stream *s, const struct view *before);
/* For a master playlist of low latency: are the others known as they are now? false: the request waits, and
 * is run again. */
bool camera_known(struct http *h);
/* Those that are listed behind the main stream, which has such tracks. v[i].uri lies in uri[i]. */
struct camera_variants {
    size_t n;
    struct hls_variant v[CAMERA_OTHERS_MAX];
    struct camera_stream of[CAMERA_OTHERS_MAX];
    char uri[CAMERA_OTHERS_MAX][WINDOW_URI_MAX];
};
void camera_variants(const struct stream *s, unsigned kinds, struct camera_variants *ret);
/* The others are told how far this one is; *w, of those that are watched too, how far they are. */
void camera_reports(const struct stream *s, struct window *w);

#endif
