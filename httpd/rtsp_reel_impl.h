/* Between the parts of a reel: rtsp_reel.c (the segment at hand, its frames), rtsp_reel_find.c (which segment
 * is next). */
#ifndef HTTPD_RTSP_REEL_IMPL_H
#define HTTPD_RTSP_REEL_IMPL_H

#include "httpd/rtsp_reel.h"

/* A segment that may be next. id 0: none. */
struct found {
    uint64_t id, bytes;
    usec_t start_us, end_us;
    size_t st;
    bool open;
    uint16_t node;         /* of the cluster, that recorded it; 0: this one */
    usec_t from_us, to_us; /* joint: what is played of it */
};

struct reel {
    char uid[RING_UID_MAX + 1];
    struct storage *st[ARCHIVE_STORAGES_MAX];
    size_t n_st;
    bool joint; /* other nodes are among them: segments follow each other by time, each second once */
    struct reel_way way;
    struct open_segment open;
    usec_t now_us;
    /* the search for the next segment: which storage is asked next, and the best so far */
    bool searching;
    size_t ask;
    struct found best;
    bool any; /* there is footage anywhere */
    /* the segment at hand */
    struct found at;
    struct seg_table *t; /* NULL: none */
    int fd;
    uint32_t *order; /* its samples as they were captured: in the file each track of a fragment is one run */
    size_t n_order;
    size_t i;            /* place in that order */
    bool placed;         /* i is where it goes on */
    bool cut;            /* joint: it ends where the next one goes on */
    usec_t looked_us;    /* when more of another node's open segment was asked for last */
    struct found before; /* the one that was played before it */
    uint32_t avoid;      /* nodes that gave no file a moment ago, a bit each storage */
    usec_t avoid_us;     /* since then */
    struct found next;   /* behind it, once it was searched */
    bool next_known;
    /* playing */
    struct pay pay[TRACK_MAX];
    uint32_t random;
    bool has_pays, begun, joined;
    unsigned joining;                   /* tracks whose next frame is the first behind a join, a bit each */
    usec_t wall0_us, play0_us, last_us; /* this wall clock is due then; the last one that was */
};

static inline bool reel_backward(const struct reel *r)
{
    return r->way.scale_milli < 0;
}

/* Where what is played of the segment at hand ends, in reading direction; before the first: where it begins.
 */
static inline usec_t reel_edge(const struct reel *r)
{
    if (r->at.id == 0) return r->way.at_us;
    return reel_backward(r) ? r->at.from_us : r->at.to_us;
}

#define REEL_AVOID_US (5 * US_PER_S)

/* rtsp_reel_find.c: looks for the first segment of a way, or for the one behind the one at hand. */
void reel_search(struct reel *r);
/* One storage is asked. Once all were: r->at is the first one, or r->next is known. */
enum reel_state reel_search_on(struct reel *r);

#endif
