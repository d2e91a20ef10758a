/* ms-httpd inside a test: the real server with its hubs on a free port of this machine, streams whose rings
 * are filled from a file's footage, and plain sockets to ask it things. */
#ifndef SUPPORT_HTTPD_HELP_H
#define SUPPORT_HTTPD_HELP_H

#include "httpd/hub.h"
#include "httpd/storages.h"
#include "httpd/stream.h"
#include "tests/support/media_file.h"

struct httpd_help {
    struct server server;
    struct storages *storages;
    struct assets *assets;
    int listen_fd;
    uint16_t port;
};
/* port 0: any. web_dir NULL: no files. */
void httpd_help_start(struct httpd_help *h, unsigned threads, const char *web_dir, uint16_t port);
void httpd_help_stop(struct httpd_help *h);

/* A camera that plays a file again and again into a ring. */
struct httpd_camera {
    struct ring_writer *w;
    int ring_fd, demand_fd, frame_event, demand_event;
    struct demand *demand;
    const struct media_file *file;
    size_t at;
    usec_t base_us, length_us; /* wall clock of the file's start in this round; its length */
    struct track_set tracks;
    bool mute;          /* it plays the file without its sound */
    unsigned few, keys; /* 0, or of its pictures each so-manyth key frame alone; key frames up to here */
};
/* A stream that everybody may watch on every road. */
struct view httpd_view(const char *uid);
/* file NULL: the tracks of ring_help_tracks, and frames by httpd_camera_put. Its stream is known to the
 * server when this returns, with the rule as given. v: uid, name, rule and the rest. */
void httpd_camera_start(struct httpd_help *h, struct httpd_camera *c, const struct view *v,
    const struct media_file *file, usec_t start_wall_us);
void httpd_camera_stop(struct httpd_help *h, struct httpd_camera *c, const char *uid);
/* Puts every frame whose time has come, and signals once if any was put and somebody follows. */
void httpd_camera_until(struct httpd_camera *c, usec_t wall_us);
/* A video frame of n bytes, one NAL unit of zeros, 40 ms behind the last one, that arrives now; signalled if
 * somebody follows. */
void httpd_camera_put(struct httpd_camera *c, uint16_t flags, size_t n);
/* Waits until every hub has done what was posted to it. */
void httpd_help_settle(struct httpd_help *h);

struct http_reply {
    unsigned status;
    struct buf all; /* head and body */
    struct span head, body;
};
int httpd_help_connect(const struct httpd_help *h);
/* Sends `text`, reads one answer by its Content-Length (or to the end where there is none, or at most `most`
 * bytes of body). false: nothing came within 15 s, or it is no answer. */
bool http_help_ask(int fd, struct span text, size_t most, struct http_reply *ret);
/* GET path on a connection of its own. */
bool httpd_help_get(const struct httpd_help *h, const char *path, const char *fields, struct http_reply *ret);
/* Value of a header, empty when missing. */
struct span http_reply_field(const struct http_reply *r, const char *name);
void http_reply_done(struct http_reply *r);

#endif
