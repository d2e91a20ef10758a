/* The HLS window of a watched stream: closed segments in memory, the open one that grows by fragments, and
 * the media playlist, made once per change and shared by everybody who asks. Rules:
 *   - a segment ends at a key frame once it is WINDOW_LEAST_US long; at the first key frame of all while the
 * window is being filled, so that the first viewer is answered at once; without key frames after
 * WINDOW_MOST_US;
 *   - EXT-X-TARGETDURATION never goes down, media and discontinuity sequence never go back;
 *   - a segment that left the playlist stays for about as long again.
 * Tests: tests/unit/httpd/test_window.c. */
#ifndef HTTPD_WINDOW_H
#define HTTPD_WINDOW_H

#include "httpd/answer.h"
#include "httpd/fragment.h"

#define WINDOW_LEAST_US (3600 * US_PER_MS) /* 4 s, and what a group of pictures may be shorter */
#define WINDOW_MOST_US  (10 * US_PER_S)
#define WINDOW_FIRST_US US_PER_S /* a first segment without a key frame behind it */
#define WINDOW_LISTED   6        /* segments in the playlist; more where they are short */
#define WINDOW_KEPT     14       /* in memory, the listed ones among them */
#define WINDOW_IDLE     2        /* of both, while nobody asks for HLS */
#define WINDOW_FILL_US                                                                                       \
    (12 * US_PER_S) /* until so much was closed, every key frame cuts: a player gets going on little */
#define WINDOW_BYTES (96u << 20) /* above: only what is listed is kept */

struct segment {
    uint64_t msn;
    bool discont; /* against the one before */
    bool key;     /* begins with a key frame */
    usec_t wall_us;
    int64_t start_us, dur_us;
    size_t bytes;
    struct init *init;
    struct fragment **f; /* until joined */
    size_t n, cap;
    struct chunk *joined; /* made when the first viewer asks */
};

struct window {
    uint64_t next_msn, discont_seq;
    unsigned target_s;    /* 0: nothing was listed yet */
    bool watched;         /* by HLS */
    bool pending_discont; /* the next segment begins one */
    struct segment open;  /* n == 0: none */
    struct segment v[WINDOW_KEPT];
    size_t n, n_listed;
    size_t bytes;
    usec_t rate_us; /* media and bytes of all closed segments, for BANDWIDTH */
    uint64_t rate_bytes;
    uint32_t peak;        /* bit/s of the largest segment */
    struct body playlist; /* plain NULL: to be made */
};

void window_init(struct window *w, uint64_t next_msn, uint64_t discont_seq);
void window_done(struct window *w);
/* The next fragment, of these tracks. true: a segment was closed. */
bool window_add(struct window *w, struct fragment *f, struct init *init);
/* Footage is missing, or the tracks change: closes what is open. true: a segment was closed. */
bool window_break(struct window *w);
/* Closes the open segment though no key frame has come, where nothing is listed yet and it is long enough. */
bool window_hurry(struct window *w);
void window_watched(struct window *w, bool watched);

/* The playlist; NULL: no segment yet, or memory is out. */
struct body *window_playlist(struct window *w);
const struct segment *window_find(const struct window *w, uint64_t msn);
/* Its bytes; NULL: memory is out. */
struct chunk *window_bytes(struct window *w, uint64_t msn);
const struct init *window_init_find(const struct window *w, struct span id);

#endif
