/* The HLS window of a watched stream: closed segments in memory, the open one that grows by fragments, and
 * the media playlist, made once per change and shared by everybody who asks. Rules:
 *   - EXT-X-TARGETDURATION is chosen when the first playlist is made and holds as long as the window lives
 * (RFC 8216 6.2.1: it MUST NOT change): what segments of the group of pictures as measured (here, or by the
 * worker) will last, with a sixteenth to spare, WINDOW_UNKNOWN_S where none was measured yet. A later window
 * of the stream chooses anew: nobody has asked for as long as three target durations then;
 *   - a segment ends at a key frame once it is WINDOW_LEAST_US long, or sooner where another group would not
 * fit; at every key frame while the window is being filled, so that the first viewer is answered at once;
 *   - no segment is longer than the target: where the group of pictures is, segments begin inside it, and the
 * playlist loses EXT-X-INDEPENDENT-SEGMENTS until they have left it. One frame that stands longer than the
 * target, or a gap, ends the segment at the target; what follows is a discontinuity;
 *   - media and discontinuity sequence never go back;
 *   - where sound comes or goes the playlist begins anew behind it: no player's buffer takes both;
 *   - a segment that left the playlist stays for about as long again;
 *   - players of low latency are listed more, as far as tracks and numbers allow, so that there is something
 * to leave out of what they ask for again (delta updates). Tests: tests/unit/httpd/test_window.c. */
#ifndef HTTPD_WINDOW_H
#define HTTPD_WINDOW_H

#include "httpd/answer.h"
#include "httpd/parts.h"
#include "common/ring/ring.h"

#define WINDOW_LEAST_US   (3600 * US_PER_MS) /* 4 s, and what a group of pictures may be shorter */
#define WINDOW_MOST_S     10                 /* longest target */
#define WINDOW_UNKNOWN_S  6                  /* target before any group of pictures was seen */
#define WINDOW_FIRST_US   US_PER_S           /* a first segment without a key frame behind it */
#define WINDOW_LISTED     6                  /* segments in the playlist; more where they are short */
#define WINDOW_KEPT       14                 /* in memory, the listed ones among them */
#define WINDOW_LOW_LISTED 10                 /* the same two while somebody asks for parts */
#define WINDOW_LOW_KEPT   21
#define WINDOW_IDLE       2 /* of both, while nobody asks for HLS */
#define WINDOW_FILL_US                                                                                       \
    (12 * US_PER_S) /* until so much was closed, every key frame cuts: a player gets going on little */
#define WINDOW_URI_MAX     (RING_UID_MAX + 24)
#define WINDOW_REPORTS_MAX 3
#define WINDOW_BYTES       (96u << 20) /* above: only what is listed is kept */

/* Of one window, with the same segments: fragmented MP4, MPEG-TS, MP4 with its parts for low latency, and of
 * that only what is new (RFC 8216bis 6.2.5.1: a Playlist Delta Update). */
enum window_form { WINDOW_MP4 = 0, WINDOW_TS, WINDOW_LOW, WINDOW_DELTA };

struct segment {
    uint64_t msn;
    bool discont; /* against the one before */
    bool key;     /* begins with a key frame */
    usec_t wall_us;
    int64_t start_us, dur_us;
    size_t bytes;
    struct init *init;
    /* For their tables of samples; the bytes go when the segment was joined, or is no longer listed with
     * parts. */
    struct fragment **f;
    size_t n, cap;
    struct parts parts;   /* while somebody asks for parts */
    struct chunk *joined; /* both made when the first viewer asks */
    struct chunk *ts;
};

/* How far another rendition is. */
struct window_report {
    char uri[WINDOW_URI_MAX];
    uint64_t msn;
    int64_t part; /* < 0: a whole segment */
};

struct window {
    uint64_t next_msn, discont_seq;
    unsigned target_s; /* 0: no playlist was made yet */
    int64_t key_us;    /* media time of the last key frame, where has_key */
    bool has_key;
    usec_t gop_us;        /* of the last whole group of pictures; 0: not known */
    bool watched;         /* by HLS */
    bool pending_discont; /* the next segment begins one */
    struct segment open;  /* n == 0: none */
    struct segment v[WINDOW_LOW_KEPT];
    size_t n, n_listed;
    size_t bytes;
    usec_t rate_us; /* media and bytes of all closed segments, for BANDWIDTH */
    uint64_t rate_bytes;
    uint32_t peak;        /* bit/s of the largest segment */
    struct body playlist; /* plain NULL: to be made; all four */
    struct body ts;
    usec_t frame_us; /* a frame of the last segment, on average; 0: not known */
    /* low latency: window_low.c */
    usec_t part_us;   /* the part target; 0: nobody has asked for parts */
    uint64_t changes; /* counted up with everything that a playlist of parts shows */
    struct body low, delta;
    struct window_report reports[WINDOW_REPORTS_MAX]; /* its owner's, before a playlist is made */
    size_t n_reports;
};

void window_init(struct window *w, uint64_t next_msn, uint64_t discont_seq);
void window_done(struct window *w);
/* The next fragment, of these tracks. true: a segment was closed. */
bool window_add(struct window *w, struct fragment *f, struct init *init);
/* Footage is missing, or the tracks change: closes what is open. true: a segment was closed. */
bool window_break(struct window *w);
/* Does the fragment that was added last begin a segment? */
bool window_begins(const struct window *w);
/* Closes the open segment though no key frame has come, where nothing is listed yet and it is long enough. */
bool window_hurry(struct window *w);
void window_watched(struct window *w, bool watched);
/* The length of the stream's groups of pictures, for the target, where none was seen here yet. */
void window_hint(struct window *w, usec_t gop_us);

/* The playlist; NULL: no segment yet, or memory is out. */
struct body *window_playlist(struct window *w);
const struct segment *window_find(const struct window *w, uint64_t msn);
/* Its bytes; NULL: memory is out. */
struct chunk *window_bytes(struct window *w, uint64_t msn);
/* The same as MPEG-TS. */
struct body *window_ts_playlist(struct window *w);
struct chunk *window_ts_bytes(struct window *w, uint64_t msn);
/* Cuts parts from now on, and of what is there still in fragments. Their target stays until nobody watches.
 */
void window_low_begin(struct window *w);
void window_low_end(struct window *w);
/* The playlist with parts; NULL: no segment yet, or memory is out. */
struct body *window_low_playlist(struct window *w);
/* The same without the segments behind its skip boundary; where there are none, or memory is out, the whole.
 */
struct body *window_low_delta(struct window *w);
/* What that ends with; false: it is not asked for. *ret_part < 0: a whole segment. */
bool window_low_last(const struct window *w, uint64_t *ret_msn, int64_t *ret_part);
/* Kinds of tracks that are sent: bit 0: picture, bit 1: sound. */
unsigned window_kinds(const struct track_set *tracks, unsigned mask);
enum window_state {
    WINDOW_THERE = 0,
    WINDOW_SOON, /* when the window changes */
    WINDOW_FAR,  /* nobody who has read the playlist asks for this */
    WINDOW_GONE
};
/* Blocking reload (RFC 8216bis 6.2.5.2): is this part of that segment, or what is behind it, listed? part <
 * 0: the whole segment. Of a window that has a playlist of parts. */
enum window_state window_has(const struct window *w, uint64_t msn, int64_t part);
/* A part by its place. WINDOW_THERE: *ret and *ret_part; WINDOW_SOON: it is the one that is hinted at. */
enum window_state window_part(const struct window *w, uint64_t msn, uint64_t part, const struct segment **ret,
    const struct part **ret_part);

const struct init *window_init_find(const struct window *w, struct span id);

#endif
