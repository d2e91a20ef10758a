/* From segments to the pieces that a playlist of the archive lists. Pure. Rules:
 *   - a piece is whole groups of pictures of one segment, as the segment's key frames divide it;
 *   - segments that follow each other within INDEX_JOIN_US are a run; runs are played one after the other in
 *     the order of their starts. Where the clock was set back two runs cover the same time: the second is
 *     played behind the first, and no player is sent back and forth between them;
 *   - a discontinuity stands wherever one run ends, footage is missing, or the tracks change;
 *   - of a playlist that grows or slides, pieces are numbered from the time it was asked for first, which
 *     stands in its URL: the same archive gives the same numbers, whoever asks, in every process.
 * Tests: tests/unit/httpd/test_archive_plan.c. */
#ifndef HTTPD_ARCHIVE_PLAN_H
#define HTTPD_ARCHIVE_PLAN_H

#include "archive/seginfo.h"
#include "httpd/sight.h"
#include "httpd/text.h"

#define PLAN_PIECES_MAX   200000
#define PLAN_SEGMENTS_MAX 100000
#define PLAN_STORAGES_MAX 32
#define PLAN_TAG_MAX      9
#define PLAN_GAP_US       (10 * US_PER_S) /* of time without footage in one entry */

/* One HLS segment. */
struct piece_of {
    usec_t start_us, dur_us; /* wall clock */
    uint32_t from, to;       /* sample numbers, as seg_cut takes them */
    uint32_t seg;            /* index in the plan's segments */
    bool inside;             /* begins inside a GOP */
    bool gap;                /* nothing was recorded then */
    bool discont;            /* a player has to start anew between the one before and this */
    usec_t until_us;         /* only what was captured before; 0: all of it */
};
struct plan_segment {
    uint64_t id, tracks_hash;
    usec_t start_us, end_us; /* wall clock, of the whole segment */
    size_t first, n;         /* its pieces */
    uint32_t samples, run;
    uint16_t node;   /* of the cluster, that recorded it; 0: this one */
    uint8_t storage; /* index in the plan's tags */
    bool discont;    /* it says that footage is missing before it */
    bool writes;     /* it is being written */
};
struct plan {
    struct piece_of *v;
    size_t n, cap;
    struct plan_segment *s;
    size_t n_s, cap_s;
    char tags[PLAN_STORAGES_MAX][PLAN_TAG_MAX];
    uint64_t bytes; /* of the segments, with their time, for BANDWIDTH */
    usec_t bytes_us;
    uint32_t peak;
};
void plan_done(struct plan *p);

/* Puts one behind the others. false: too many, or memory is out. */
bool plan_put(struct plan *p, const struct piece_of *piece);
bool plan_put_segment(struct plan *p, const struct plan_segment *s);
/* Adds the pieces of a segment that overlap [from_us, to_us). open: what lies behind its
 * last listed key frame is left out, since it will be longer. Of what the viewer may see: pieces that begin
 * there, the last one up to its end. false: too many, or memory is out. */
struct plan_span {
    usec_t from_us, to_us;
    struct sight sight;
    usec_t entry_us; /* its first key frame that may be seen, where a piece has others before; 0: none has */
    uint32_t entry;  /* that one's number */
    uint8_t storage;
    bool open, writes; /* it is being written */
};
bool plan_add(struct plan *p, const struct seg_info *s, const struct plan_span *span);
/* Moves what is in `from` behind what is in `to`. false: too many, or memory is out. */
bool plan_take(struct plan *to, struct plan *from);
/* By their starts; of two that are the same segment the longer is left. */
void plan_drop_twins(struct plan *p);
/* What more than one node recorded is left once (archive_merge.h). false: too many, or memory is out. */
bool plan_merge(struct plan *p);
/* In playing order; of two that are the same segment the longer is left. false: memory is out. */
bool plan_sort(struct plan *p);
/* Of a sorted plan: entries for time between the pieces in which nothing was recorded. false: too many, or
 * memory is out. */
bool plan_fill_gaps(struct plan *p);
/* Of a sorted plan that grows: drops what lies behind a hole that no segment speaks of and that is younger
 * than since_us. What is missing there is about to be known. */
void plan_settle(struct plan *p, usec_t since_us);

enum plan_kind {
    PLAN_VOD,     /* a time that is over, or taken as it is now */
    PLAN_GROWING, /* from a time on */
    PLAN_SLIDING  /* the last window_us before edge_us */
};
/* What of a plan is listed, and how. */
struct plan_view {
    enum plan_kind kind;
    bool ended;      /* nothing will come behind it */
    bool from_start; /* a player begins with the first piece */
    usec_t edge_us, window_us;
    usec_t gop_us; /* of the camera as measured: the next pieces are as long */
};
/* Number of pieces in the view. */
size_t plan_listed(const struct plan *p, const struct plan_view *v);
void plan_write(const struct plan *p, const struct plan_view *v, struct text *to);

#endif
