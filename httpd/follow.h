/* Following a ring while somebody watches. Frames are copied out once, become fragments that all viewers of
 * all formats share, and go to the HLS window and to every endless viewer. Tells the worker through the
 * demand page that somebody follows, and leaves a little after the last viewer. A ring that is bad is left
 * and opened again, with growing pauses; a frame for which there is no memory counts as lost. Tests:
 * tests/unit/httpd/test_follow.c. */
#ifndef HTTPD_FOLLOW_H
#define HTTPD_FOLLOW_H

#include "httpd/cutter.h"
#include "httpd/gop.h"
#include "httpd/stream.h"
#include "httpd/window.h"

#define FOLLOW_LINGER_US (4 * US_PER_S) /* behind the last endless viewer or open request */
#define FOLLOW_HLS_LEAST_US                                                                                  \
    (15 * US_PER_S) /* behind the last HLS request; three target durations if that is more */
#define FOLLOW_HLS_KEEP_US  (60 * US_PER_S) /* a playlist that stands still is offered so long */
#define FOLLOW_DOWN_KEEP_US (12 * US_PER_S) /* the same while the camera is known to be away */

#define FOLLOW_UNFED_US (30 * US_PER_S) /* an endless viewer that is sent nothing for so long is ended */

struct follow;

/* An endless viewer. */
struct viewer {
    struct list link;
    /* The next fragment. false: passed over. */
    bool (*on_fragment)(struct viewer *v, struct fragment *f, const struct init *init);
    void (*on_end)(struct viewer *v); /* the stream is gone, or its tracks have changed, or nothing was sent
                                         for FOLLOW_UNFED_US */
    bool takes_changes;               /* goes on with other tracks: its next fragment's init says which */
    usec_t fed_us;                    /* last fragment that was not passed over */
    uint32_t pace_us;                 /* fragments may come so late, some at once; 0: each as it is there */
};

/* Starts following, when need be; counts as being watched. NULL: the stream has no ring. */
struct follow *follow_get(struct stream *s);
/* Ends it, with its viewers; harmless without one. */
void follow_end(struct stream *s);
void follow_new_ring(struct stream *s);
/* Name, access or state changed: viewers that may no longer watch are ended. */
void follow_rule_changed(struct stream *s);

/* The window, watched from now on by HLS. */
struct window *follow_hls(struct follow *f);
/* Has footage come lately, and is all of it here that the ring held at the start? */
bool follow_live(const struct follow *f);
/* Has the stream nothing that MP4 players can play? */
bool follow_unplayable(const struct follow *f);
/* Of the newest frames; NULL: none yet. */
const struct init *follow_init(const struct follow *f);
/* Frames in 1000 s, as last measured; 0: not known. */
uint32_t follow_fps_milli(const struct follow *f);

/* Is there a key frame to begin with? Else wait on stream->waiting. */
bool follow_can_join(const struct follow *f);
/* Is there none because the group of pictures is too long to be kept (gop.h)? */
bool follow_gop_over(const struct follow *f);
/* From the last key frame on, at once; false: there is none. */
bool follow_join(struct follow *f, struct viewer *v);
/* From the next key frame on. false: nothing can be joined. */
bool follow_join_late(struct follow *f, struct viewer *v);
void follow_leave(struct follow *f, struct viewer *v);

#endif
