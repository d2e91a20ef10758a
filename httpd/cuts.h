/* Ready-made pieces of segments: the head that is sent before the media, and the ranges of the file that are
 * the media. With many viewers of the same footage its table is read once. One cache a storage, capped in
 * bytes; what was asked for longest ago goes first. A piece holds good while its file is the one it was made
 * from, has not become shorter, and was not written to but at its end. A lock is held for a look into memory
 * only. Tests: tests/unit/httpd/test_cuts.c. */
#ifndef HTTPD_CUTS_H
#define HTTPD_CUTS_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "archive/reader.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/ring/ring.h"

#define CUTS_BYTES_MAX (16u << 20) /* of one storage: about an hour of four cameras */

/* from and to 0: the init segment. */
struct cut_key {
    char uid[RING_UID_MAX + 1];
    uint64_t id;
    uint32_t from, to;
    usec_t until_us; /* what was captured before; 0: all of it */
    usec_t shown_us; /* nor what is shown then or later: where a viewer's window ends; 0: it has no end */
};
struct cut {
    struct buf head;
    struct seg_cut media; /* without its samples */
    struct {
        dev_t dev;
        ino_t ino;
        off_t bytes;             /* that long it was when the piece was made, */
        struct timespec changed; /* and not touched since then, unless it grew */
    } file;
    /* the cache's */
    _Atomic uint32_t refs;
    char name[RING_UID_MAX + 80];
    struct list link;
    size_t cost;
};
/* One reference; what the caller puts into head and media is freed with the last. */
struct cut *cut_new(const struct cut_key *key);
void cut_unref(struct cut *c); /* NULL too */
void cut_made_from(struct cut *c, const struct stat *file);
bool cut_fits(const struct cut *c, const struct stat *file);

struct cuts;
struct cuts *cuts_new(size_t bytes_max);
void cuts_free(struct cuts *s);
/* Thread-safe. Referenced; NULL: not there. */
struct cut *cuts_get(struct cuts *s, const struct cut_key *key);
/* Keeps a reference of its own, instead of one that had the same key. One that is larger than an eighth of
 * the cache is not kept. */
void cuts_put(struct cuts *s, struct cut *c);
void cuts_drop(struct cuts *s, struct cut *c); /* its file has changed */
size_t cuts_bytes(struct cuts *s);

#endif
