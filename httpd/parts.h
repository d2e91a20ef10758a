/* Parts of an HLS segment (RFC 8216bis 3 and 4.4.4.9): runs of its fragments, each as long as the part target
 * allows, so that players get footage before the segment is closed. They share the fragments' bytes. A part
 * is closed when no other frame like its last one would fit; of a camera whose frames stand longer than the
 * target, each frame is a part. Pure. Tests: tests/unit/httpd/test_parts.c. */
#ifndef HTTPD_PARTS_H
#define HTTPD_PARTS_H

#include "httpd/fragment.h"

#define PART_MOST_US        (340 * US_PER_MS) /* of frames; the target is a little longer */
#define PART_TARGET_MOST_US (2 * US_PER_S)    /* of a camera with fewer frames: low latency it is not */

struct part {
    size_t from, n; /* fragments of the segment */
    usec_t dur_us;
    bool key; /* holds a frame where a decoder may start */
};
struct parts {
    struct part *v;
    size_t n, cap;
};

/* The part target of a stream of such frames: as many as fit PART_MOST_US, and a twelfth to spare for frames
 * that are not evenly apart (then no part but a segment's last is shorter than 85 % of it). */
usec_t parts_target(usec_t frame_us);
/* Fragment i of the segment has come. true: a part was closed. */
bool parts_add(struct parts *p, struct fragment *const *f, size_t i, usec_t target_us);
/* The segment ends with n fragments: what is open is a part. */
void parts_end(struct parts *p, struct fragment *const *f, size_t n);
void parts_done(struct parts *p);

#endif
