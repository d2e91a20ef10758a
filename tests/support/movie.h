/* A progressive MP4 read back by its sample tables, for tests of the export; and an export rendered from the
 * files of its segments. */
#ifndef SUPPORT_MOVIE_H
#define SUPPORT_MOVIE_H

#include "archive/export.h"
#include "common/base/buf.h"

struct movie_sample {
    uint64_t offset;
    uint32_t size, dur, form;
    int32_t cts;
    bool key;
};
struct movie_track_read {
    uint32_t hz, forms;
    uint64_t length;            /* mdhd */
    int64_t empty, skip, shown; /* edit list; skip -1: there is none */
    struct movie_sample *s;
    size_t n;
};
struct movie {
    struct movie_track_read t[TRACK_MAX];
    unsigned n;
    uint64_t mdat_at, mdat_n; /* payload */
};
/* head: the bytes up to the mdat's payload at least. false: boxes or tables do not fit together. */
bool movie_read(struct span head, struct movie *ret);
void movie_done(struct movie *m);

/* A segment in memory: its table, and the file it was read from. */
struct reel {
    struct seg_table *t;
    int fd;
};
/* Bytes [from, from + n) of the export by its pieces, sources being numbers of reels. */
int movie_render(const struct export *x, const struct reel *reels, uint64_t from, uint64_t n, struct buf *to);

#endif
