/* Silence in the place of sound that pauses or stops while it is watched. A player's buffer is what all its
 * tracks have together: a sound track without frames stops the picture. So frames of silence go on where the
 * sound ended, as far behind the picture as the sound was, until it comes again; what of it comes then for a
 * time that was filled is left out. Sound that comes in large portions pauses between them by habit, which is
 * learnt. Media time decides, by the pictures. Sources: ISO 14496-3 4.4.2 (raw_data_block), RFC 6716 3.1.
 * Tests: tests/unit/httpd/test_hush.c. */
#ifndef HTTPD_HUSH_H
#define HTTPD_HUSH_H

#include "common/media/frame.h"
#include "common/media/track.h"

#define HUSH_US       (300 * US_PER_MS)  /* of video without a frame of sound: it pauses */
#define HUSH_HABIT_US (1500 * US_PER_MS) /* a longer pause is none by habit */
#define HUSH_MOST     128                /* frames of silence before one picture */

struct hush {
    usec_t main_us; /* media time of the newest picture */
    struct {
        bool begun, silent; /* silent: what was given last was silence */
        usec_t last_us;     /* media time of the sound that came last */
        usec_t since_us;    /* main_us when it came; its own time where pictures are further apart */
        usec_t habit_us;    /* how long it usually pauses */
        int64_t next;       /* ticks: where silence goes on */
    } t[TRACK_MAX];
};

/* Is it sound whose silence is known here? */
bool hush_can(const struct track *t);
/* The bytes of a frame of its silence. */
struct span hush_silence(const struct track *t);
/* A frame of sound comes. false: silence stands in its place. */
bool hush_heard(struct hush *h, const struct track_set *tracks, const struct frame *f);
/* A picture comes; mask: tracks that are given. */
void hush_picture(struct hush *h, const struct track_set *tracks, unsigned mask, const struct frame *f);
/* The next frame of silence of that track that belongs before it, without bytes and wall clock. false: none.
 */
bool hush_next(struct hush *h, const struct track_set *tracks, unsigned track, struct frame *ret);
/* Footage is missing from here on. */
void hush_break(struct hush *h);

#endif
