/* One pass over a storage's index: which segments are to go, by the decisions of retention.h. In steps of a
 * few milliseconds; nothing is changed here: the caller takes them out of the index, or only counts them.
 *
 * First all streams, in the order of their uids, for age and capacity; then, while the storage needs room,
 * the oldest of all, and last the oldest of what is kept for another node (keep.h, late_us). Tests:
 * tests/unit/archive/test_reap.c. */
#ifndef ARCHIVE_REAP_H
#define ARCHIVE_REAP_H

#include "archive/locks.h"
#include "archive/retention.h"

#define REAP_BATCH 128 /* segments, before the caller has to take them */

/* What may not go for another reason than a lock, as an event; NULL: nothing. */
typedef bool reap_protects(
    void *arg, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us);

/* For a reap_protects: does an event of that index keep it? What cannot be read is not deleted. */
bool reap_event_keeps(
    struct index *ix, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us);

struct reap_setup {
    struct index *ix;
    const struct map *policies; /* uid -> struct keep_policy */
    const struct locks *locks;
    struct retention_room room;
    usec_t now_us;
    reap_protects *protects;
    void *protects_arg;
};
struct reap_item {
    struct index_ref ref;
    enum retention_why why;
    uint64_t bytes;
    usec_t start_us, end_us;
};
struct reap_oldest { /* the first of a stream that may go */
    char uid[40];
    uint64_t id;
    usec_t start_us;
    bool behind; /* what may go is looked for behind id; start_us is where that begins */
};
struct reap {
    struct reap_setup s;
    bool floor;      /* the streams have all been looked at */
    char after[40];  /* the stream that was looked at last, or is */
    uint64_t cursor; /* in it: behind this segment; 0: at its begin */
    uint64_t has;    /* of it, less what goes */
    char inside[40]; /* between two segments of this one; "": of none */
    uint64_t needed; /* bytes, for the floor: less what goes */
    struct reap_oldest *heap;
    size_t n_heap, cap_heap;
    struct reap_oldest *late; /* of streams of which only that is left */
    size_t n_late;
    bool last_round; /* its turn has come */
    struct reap_item items[REAP_BATCH];
    size_t n; /* of items */
    struct seg_info *page;
    struct retention_sum sum; /* complete at the end */
    uint64_t reason_bytes[RETENTION_REASONS];
};

void reap_begin(struct reap *r, const struct reap_setup *s);
void reap_end(struct reap *r); /* a zeroed one too */
enum { REAP_MORE = 0, REAP_FULL = 1, REAP_DONE = 2 };
/* REAP_FULL: items are to be taken, then r->n is set to 0; REAP_DONE: also, and that was all. Negative:
 * -errno, and the pass is over. */
int reap_step(struct reap *r);

#endif
