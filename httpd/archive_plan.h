/* From segments to the pieces that a playlist of the archive lists. Pure. Tests:
 * tests/unit/httpd/test_archive_plan.c. */
#ifndef HTTPD_ARCHIVE_PLAN_H
#define HTTPD_ARCHIVE_PLAN_H

#include "archive/seginfo.h"
#include "httpd/text.h"

#define PLAN_PIECES_MAX 200000
#define PLAN_TAG_MAX    9

/* One HLS segment: whole groups of pictures of one segment of the archive. */
struct piece_of {
    usec_t start_us, dur_us; /* wall clock */
    uint64_t id, tracks_hash;
    uint32_t from, to; /* sample numbers, as seg_cut takes them */
    uint8_t storage;   /* index in the plan's tags */
    bool first;        /* of its segment */
    bool discont;      /* the segment says that footage is missing before it */
    bool inside;       /* begins inside a GOP */
};
struct plan {
    struct piece_of *v;
    size_t n, cap;
    char tags[16][PLAN_TAG_MAX];
    uint64_t bytes; /* of the segments, with their time, for BANDWIDTH */
    usec_t bytes_us;
    uint32_t peak;
};
void plan_done(struct plan *p);

/* Adds the pieces of a segment that overlap [from_us, to_us). Of the open one too, as far as it is written.
 * false: too many, or memory is out. */
bool plan_add(struct plan *p, const struct seg_info *s, uint8_t storage, usec_t from_us, usec_t to_us);
/* Moves the pieces of `from` behind those of `to`. false: too many, or memory is out. */
bool plan_take(struct plan *to, struct plan *from);
/* In the order of time; of two pieces of one segment one is left. */
void plan_sort(struct plan *p);
/* The VOD playlist. */
void plan_write(const struct plan *p, struct text *to);

struct stretch {
    usec_t from_us, to_us;
};
struct stretches {
    struct stretch *v;
    size_t n, cap;
};
void stretches_done(struct stretches *s);
bool stretches_add(struct stretches *s, usec_t from_us, usec_t to_us);
/* Sorts, joins what is at most join_us apart, cuts to [from_us, to_us). */
void stretches_join(struct stretches *s, usec_t join_us, usec_t from_us, usec_t to_us);

#endif
