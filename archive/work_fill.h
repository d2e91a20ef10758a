/* Back-fill in a storage's thread: a file without a name for a segment of another node, which ms-courier
 * fills; when it says that it is done the file is read back, gets its name, and goes into the index behind a
 * syncfs as every segment does, with a note whose it is. What was not brought to its end is gone with its
 * last descriptor, also after a crash. Where the file system knows no files without a name it stands in
 * WORK_FILL_PARTS until then, which is emptied when the storage is opened. Nobody is believed: footer and
 * checksum of the file itself count. Whoever wrote it could have written anything else there too, so that its
 * descriptor, while it lives, gives it no more power. Tests: tests/unit/archive/test_fill.c. */
#ifndef ARCHIVE_WORK_FILL_H
#define ARCHIVE_WORK_FILL_H

#include <sys/types.h>

#include "archive/seginfo.h"
#include "common/base/list.h"

#define WORK_FILLS_MAX   8       /* files under way */
#define WORK_FILL_PARTS  ".fill" /* of a storage */
#define WORK_FILL_RANGES 256     /* of each kind that are remembered; more: the oldest are not */
/* So long nothing of a time comes that was deleted by a cluster's act: the courier holds the nodes that have
 * still to do it by then (COURIER_HOLD). */
#define WORK_FILL_DELETED_US (60 * US_PER_S)
/* What the stream's own policy refuses is known for so long: the courier asks again before that. */
#define WORK_FILL_REFUSED_US (1800 * US_PER_S)

struct work;
struct job;

struct fill_order { /* of JOB_FILL_OPEN */
    uint16_t node;
    struct seg_info info;
};
struct work_fill_range {
    char uid[40];
    usec_t from_us, to_us, until_us; /* until_us: CLOCK_MONOTONIC */
};
struct work_fill_ranges {
    struct work_fill_range *v;
    size_t n, at; /* at: of those that are remembered, the next to be forgotten */
};
struct work_fill {
    struct list files;  /* being written */
    struct list stored; /* on their way into the index */
    size_t n_files;
    uint64_t parts; /* names given in WORK_FILL_PARTS */
    struct work_fill_ranges deleted, refused;
};
void work_fill_init(struct work_fill *f);
void work_fill_open(struct work *w, const struct job *j);
void work_fill_done(struct work *w, const struct job *j);
void work_fill_drop(struct work *w, const struct job *j); /* id 0: all */
/* What is there of that time goes now: what is still on its way here does not come behind it; by a cluster's
 * act: nor what other nodes have still to delete. */
void work_fill_deleted(struct work *w, const char *uid, usec_t from_us, usec_t to_us, bool act);
/* Stretches of a stream that another node offered lately and that its own policy does not keep here: by age,
 * or for its capacity. The i-th; false: there are no more. */
bool work_fill_refused(
    const struct work *w, const char *uid, size_t i, usec_t *ret_from_us, usec_t *ret_to_us);
void work_fill_opened(struct work *w); /* the storage: what a crash has left of files goes */
/* A segment is in the index: true, it was filled, and has been answered. */
bool work_fill_stored(struct work *w, const char *uid, uint64_t segment);
void work_fill_end(struct work *w);

#endif
