/* The text of HLS playlists (RFC 8216; version 7: fragmented MP4, version 3: MPEG-TS). Pure: writes a text
 * whose limit is the limit of the playlist. Tests: tests/unit/httpd/test_live.c, test_window.c. */
#ifndef HTTPD_HLS_H
#define HTTPD_HLS_H

#include "common/media/track.h"
#include "httpd/text.h"

#define HLS_TYPE            "application/vnd.apple.mpegurl"
#define HLS_LIVE_MAX        65536       /* bytes of a live playlist */
#define HLS_VOD_MAX         (16u << 20) /* of an archive's playlist: 8 days of 4 s segments */
#define HLS_MASTER_MAX      4096
#define HLS_HOLD_BACK_PARTS 3 /* RFC 8216bis 4.4.3.8: at least two, better three part targets */
#define HLS_SKIP_TARGETS    6 /* the same: the skip boundary is at least six target durations from the end */

struct hls_head {
    unsigned target_s; /* no segment is longer, rounded */
    uint64_t msn;      /* number of the first segment */
    uint64_t discont_seq;
    const char *type; /* "VOD", "EVENT"; NULL: none */
    bool independent;
    bool ts;          /* segments of MPEG-TS: nothing that players of version 3 do not know */
    bool gaps;        /* there are EXT-X-GAP in it */
    bool skips;       /* EXT-X-SKIP */
    bool from_start;  /* a player begins with the first segment */
    int64_t start_us; /* where a player begins, from the start (> 0) or the end (< 0); 0: its own choice */
};
struct hls_segment {
    const char *uri;
    usec_t dur_us, wall_us; /* wall_us 0: no date */
    bool discont;
};
void hls_begin(struct text *to, const struct hls_head *h);
void hls_map(struct text *to, const char *uri);
void hls_segment(struct text *to, const struct hls_segment *s);
/* The same in two: what stands before its parts, and behind them. */
void hls_segment_begin(struct text *to, bool discont, usec_t wall_us);
void hls_segment_end(struct text *to, usec_t dur_us, const char *uri);
/* Low latency (RFC 8216bis 4.4.3.8, 4.4.3.7, 4.4.5.2, 4.4.4.9, 4.4.5.3, 4.4.5.4): what the server can,
 * segments that are left out, parts, the next one, how far another rendition is (part < 0: it has none). */
void hls_low(struct text *to, usec_t part_us, unsigned target_s);
void hls_skip(struct text *to, size_t n);
void hls_part(struct text *to, usec_t dur_us, const char *uri, bool independent);
void hls_hint(struct text *to, const char *uri);
void hls_report(struct text *to, const char *uri, uint64_t msn, int64_t part);
void hls_end(struct text *to); /* of an archive */

struct hls_variant {
    const struct track_set *tracks;
    unsigned mask;
    uint32_t bandwidth, average; /* bit/s; 0: not known */
    uint32_t fps_milli;          /* frames in 1000 s; 0: not known */
    const char *uri;
};
/* The first is what players begin with where they have no reason for another. */
void hls_master(struct text *to, const struct hls_variant *v, size_t n);

/* The same playlist with `prefix` before every name in it that is relative. */
void hls_below(struct text *to, struct span playlist, const char *prefix);

/* EXT-X-TARGETDURATION: RFC 8216 compares segments rounded to whole seconds. */
unsigned hls_rounded_s(usec_t dur_us);

#endif
