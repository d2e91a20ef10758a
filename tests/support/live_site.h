/* Live roads inside a test: httpd (httpd_help.h) and cameras that play real footage. */
#ifndef SUPPORT_LIVE_SITE_H
#define SUPPORT_LIVE_SITE_H

#include "tests/support/httpd_help.h"

struct live_site {
    struct httpd_help help;
    char dir[64];
    struct media_file footage; /* H.264 and AAC, a key frame each second */
    bool have_footage;
};
extern struct live_site live;

/* For group fixtures of cmocka. */
int live_start(unsigned footage_s, unsigned hubs);
int live_stop(void **state);
/* Skips where there is no ffmpeg that makes footage. */
void live_need_footage(void);
/* A stream that has been captured for `s` seconds. */
void live_camera(struct httpd_camera *c, const struct view *v, unsigned s);

#endif
