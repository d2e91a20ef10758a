/* What a viewer begins with: all fragments since the last key frame. Bounded in number and bytes; where a
 * group of pictures is longer (a camera that hardly ever sends a key frame), nothing is kept of it, and who
 * comes then waits for the next key frame, and is told so (live_wait). Viewers who are there already go on.
 * Tests: tests/unit/httpd/test_gop.c. */
#ifndef HTTPD_GOP_H
#define HTTPD_GOP_H

#include "httpd/fragment.h"

#define GOP_FRAGMENTS_MAX 20000
#define GOP_BYTES_MAX     (64u << 20) /* 20 s of 25 Mbit/s; a viewer's first burst is no longer either */

struct gop {
    struct fragment **f;
    size_t n, cap;
    size_t bytes;
    bool over; /* it was too long: nothing is kept until the next key frame */
};

void gop_add(struct gop *g, struct fragment *f);
void gop_drop(struct gop *g);
void gop_done(struct gop *g);

#endif
