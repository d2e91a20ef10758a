/* The archive over HTTP inside a test: httpd (httpd_help.h) with one stream whose segments the segment writer
 * made and the index knows: 8 s from SITE_T0, 8 s directly behind, a gap of 100 s, 8 s, and behind these the
 * open segment. */
#ifndef SUPPORT_ARCHIVE_SITE_H
#define SUPPORT_ARCHIVE_SITE_H

#include "archive/index.h"
#include "archive/segment.h"
#include "tests/support/httpd_help.h"

#define SITE_FOOTAGE_S 8
#define SITE_T0        (1700000000 * US_PER_S)
#define SITE_UID       "cam-1"

struct site {
    struct httpd_help help;
    struct httpd_camera camera;
    char dir[64], path[128], out[128]; /* the storage "default"; the footage; for what a test writes */
    struct media_file footage;
    bool have_footage;
    struct index *ix;
    struct segw *open;
    char text[65536]; /* body of the last answer, where it fits */
};
extern struct site site;

/* Group fixtures of cmocka. */
int site_start(void **state);
int site_stop(void **state);
/* Skips where there is no ffmpeg that makes footage. */
void site_need_footage(void);
/* Waits until no job is in the pool of the storage any more: one that was left behind would come back to a
 * hub that has gone. */
void site_settle_pool(void);
/* 8 s of the footage from that moment on, in the storage of that folder; closed, and in its index. */
struct segw *site_write_segment(const char *dir, usec_t wall_us, bool discont);
void site_put_segment(const char *dir, struct index *ix, usec_t wall_us, bool discont);
/* Another open segment, from that moment on. */
void site_publish_open(usec_t wall_us);
/* GET /<uid>/<name>, or another path: the status. */
unsigned site_get(const char *name, const char *fields, struct http_reply *r);
/* The n-th line of site.text that names a file. */
bool site_uri(unsigned n, char *dst, size_t cap);

#endif
