/* The session description of a stream, for DESCRIBE. Source: RFC 8866, RFC 2326 appendix C, and those of
 * pay.h. Tests: tests/unit/rtsp/test_describe.c. */
#ifndef RTSP_DESCRIBE_H
#define RTSP_DESCRIBE_H

#include "httpd/rtsp/pay.h"

#define DESCRIBE_MAX 32768 /* bytes: TRACK_MAX configurations in base64, and what stands around them */

struct describe {
    const struct pay *pay; /* of n tracks, at most TRACK_MAX; those without a form are left out */
    size_t n;
    const char *name;
    uint64_t id;     /* of the description: grows with every change */
    bool kind_names; /* control URLs as the original had them: track=video, not trackID=0 */
    usec_t start_us; /* of an archive's footage: t= says it in NTP seconds, a=range as clock; 0: live */
    usec_t end_us;   /* 0: open */
};
void describe_write(const struct describe *d, struct wr *w);
void describe_kinds(const struct describe *d, uint8_t ret[TRACK_MAX]);
/* What follows the base of a track's URL: "trackID=1", or as the original had it "track=audio". */
void describe_control(const uint8_t kinds[TRACK_MAX], size_t i, bool by_kind, struct wr *w);
/* The track that a control names, in either spelling; -1: none. kinds: enum track_kind, 0: no such track. */
int describe_track(const uint8_t kinds[TRACK_MAX], struct span control);
/* 20261122T170320.250Z, as Range and a=range write it. */
void describe_clock(struct wr *w, usec_t wall_us);

#endif
