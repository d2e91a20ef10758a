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
};

struct reel {
    char uid[RING_UID_MAX + 1];
    struct storage *st[ARCHIVE_STORAGES_MAX];
    size_t n_st;
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
    size_t i;          /* place in that order */
    bool placed;       /* i is where it goes on */
    struct found next; /* behind it, once it was searched */
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

/* rtsp_reel_find.c: looks for the first segment of a way, or for the one behind the one at hand. */
void reel_search(struct reel *r);
/* One storage is asked. Once all were: r->at is the first one, or r->next is known. */
enum reel_state reel_search_on(struct reel *r);

#endif
