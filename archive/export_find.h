/* Which segments an MP4 of a period is made of: of all storages, in the order of time, each once. Tests:
 * tests/unit/archive/test_evidence.c, tests/e2e/test_http_mp4.py. */
#ifndef ARCHIVE_EXPORT_FIND_H
#define ARCHIVE_EXPORT_FIND_H

#include "archive/seginfo.h"

#define EXPORT_LEAD_US                                                                                       \
    (60 * US_PER_S) /* a key frame before the first moment may lie in a segment so long before it */

/* A segment that is in it, or a part of one. */
struct export_source {
    uint64_t id, bytes; /* so much of it was written when it was looked for */
    usec_t start_us, end_us;
    usec_t key_us; /* its first key frame; INT64_MAX: none is known */
    uint32_t crc;
    uint16_t node;   /* of the cluster, that recorded it; 0: this one */
    uint8_t storage; /* the caller's number */
    bool inside;     /* begins inside a group of pictures */
    bool part;       /* only what was captured in [start_us, end_us) of it */
};
struct export_sources {
    struct export_source *v;
    size_t n, cap;
    bool any, too_many; /* any: one of them reaches into the time asked for; too many: EXPORT_PARTS_MAX */
};
void export_sources_done(struct export_sources *s); /* zeroed and done ones too */
/* Takes what may be of use for [from_us, to_us). */
void export_sources_add(
    struct export_sources *s, const struct seg_info *i, uint8_t storage, usec_t from_us, usec_t to_us);
/* One as it is. */
void export_sources_put(struct export_sources *s, const struct export_source *one);
/* All of another's, too. */
void export_sources_join(struct export_sources *s, const struct export_sources *other);
/* In order, each once; without what lies before the first moment, but for what leads to it: a segment that
 * begins inside a group of pictures needs the one before. */
void export_sources_settle(struct export_sources *s, usec_t from_us);

/* --- export_merge.c --- */
/* Listed key frames of what other nodes recorded: where footage may change from one to another. */
struct export_marks {
    struct export_mark {
        uint64_t id;
        usec_t at_us;
    } * v;
    size_t n, cap;
};
void export_marks_done(struct export_marks *m);                          /* zeroed and done ones too */
void export_marks_add(struct export_marks *m, const struct seg_info *i); /* of this node: nothing */
/* Settled ones, of which several nodes recorded some: each second once (merge.h). open_id: the one that is
 * still written, 0: none. false: memory is out. */
bool export_sources_merge(
    struct export_sources *s, const struct export_marks *marks, size_t n_marks, uint64_t open_id);

#endif
