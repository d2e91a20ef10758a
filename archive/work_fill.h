/* Back-fill in a storage's thread: a file without a name for a segment of another node, which ms-courier
 * fills; when it says that it is done the file is read back, gets its name, and goes into the index behind a
 * syncfs as every segment does, with a note whose it is. What was not brought to its end is gone with its
 * last descriptor, also after a crash. Nobody is believed: footer and checksum of the file itself count.
 * Whoever wrote it could have written anything else there too, so that its descriptor, while it lives, gives
 * it no more power. Tests: tests/unit/archive/test_fill.c. */
#ifndef ARCHIVE_WORK_FILL_H
#define ARCHIVE_WORK_FILL_H

#include <sys/types.h>

#include "archive/seginfo.h"
#include "common/base/list.h"

#define WORK_FILLS_MAX 8 /* files under way */

struct work;
struct job;

struct fill_order { /* of JOB_FILL_OPEN */
    uint16_t node;
    struct seg_info info;
};
struct work_fill {
    struct list files;  /* being written */
    struct list stored; /* on their way into the index */
    size_t n_files;
};
void work_fill_init(struct work_fill *f);
void work_fill_open(struct work *w, const struct job *j);
void work_fill_done(struct work *w, const struct job *j);
void work_fill_drop(struct work *w, const struct job *j); /* id 0: all */
/* What is there of that time goes now: what is still on its way here does not come behind it. */
void work_fill_deleted(struct work *w, const char *uid, usec_t from_us, usec_t to_us);
/* A segment is in the index: true, it was filled, and has been answered. */
bool work_fill_stored(struct work *w, const char *uid, uint64_t segment);
void work_fill_end(struct work *w);

#endif
