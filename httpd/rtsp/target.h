/* What the URL of a request names: rtsp://host/<uid>, /live/<uid>/, /dvr/<uid>/?timestamp=..., each with the
 * control of a track behind it, before or behind the query (clients join them as text). Spans into the text.
 * Tests: tests/unit/rtsp/test_target.c. */
#ifndef RTSP_TARGET_H
#define RTSP_TARGET_H

#include "common/base/span.h"

struct rtsp_target {
    struct span uid;
    struct span query;   /* without '?'; may be empty */
    struct span control; /* "trackID=1", "track=video"; may be empty */
    struct span base;    /* of the text: without the control */
    bool dvr;
    bool original; /* /live/ and /dvr/: the spelling of the original */
};

/* base: what stands before all paths of this listener, with '/' at both ends. false: no URL of ours. */
bool rtsp_target(struct span text, const char *base, struct rtsp_target *ret);

#endif
