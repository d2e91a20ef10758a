/* Sound that a camera announces and does not send. A player's buffer is what all its tracks have together, so
 * a sound track without frames stops the picture: such tracks are left out of what viewers get, and come when
 * their sound does. What stops later goes on as silence (hush.h). Only beside video; media time decides, but
 * for a deadline at the start. Tests: tests/unit/httpd/test_quiet.c. */
#ifndef HTTPD_QUIET_H
#define HTTPD_QUIET_H

#include "common/ring/ring.h"

#define QUIET_US       (2 * US_PER_S)    /* of video without a frame of sound, at the start */
#define QUIET_AFTER_US (4 * US_PER_S)    /* and later, of sound whose silence is not known: it has stopped */
#define QUIET_BACK_US  (500 * US_PER_MS) /* of sound: it is back */
#define QUIET_LATE_US  (3 * US_PER_S)    /* arrival: by then it is decided */

struct quiet {
    unsigned out; /* tracks left out, a bit each */
    usec_t begun_us;
    int64_t main_us; /* media time of the newest frame of the video */
    struct {
        bool any;
        int64_t since_us, last_us; /* media time of its newest stretch */
    } t[TRACK_MAX];
};

/* What the ring holds of these tracks from `from` on. true: q->out is decided, and q begun anew. false: not
 * enough is there; ask again. */
bool quiet_look(
    struct quiet *q, struct ring_reader *r, uint64_t from, const struct track_set *tracks, usec_t now_us);
/* The next frame of those tracks, left out or not. */
void quiet_frame(struct quiet *q, const struct track_set *tracks, const struct frame *f);
/* At a key frame of the video: the tracks to leave out from here on. */
unsigned quiet_now(const struct quiet *q, const struct track_set *tracks);

#endif
