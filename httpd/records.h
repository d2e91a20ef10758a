/* What an archive says of a stream: a storage of this machine by its index and its folders, another node by
 * what it answers (shelf.h). In the storage's pool; all of it may wait for a disk, or at most
 * AWAY_PATIENCE_US for the node. Conditions and errors are those of archive/index.h. Tests:
 * tests/unit/httpd/test_archive.c, test_archive_away.c. */
#ifndef HTTPD_RECORDS_H
#define HTTPD_RECORDS_H

#include "archive/index.h"
#include "archive/stretches.h"
#include "httpd/storages.h"

struct records {
    struct storage *st;
    struct index *ix; /* NULL: another node's */
    bool stale;       /* the node does not answer: this is what it has said before */
    uint64_t
        open_id; /* of another node's segments that were listed, the one that is still written; 0: none */
    usec_t open_start_us, open_end_us;
};
/* 0, or -ENOENT: there is no index yet. To be closed at once when it is read. */
int records_open(struct storage *st, struct records *ret);
void records_close(struct records *r);

/* Another node's open segment is not among them, but in r->open_*. */
int records_segments(
    struct records *r, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n);
int records_ranges(
    struct records *r, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n);
/* What locks keep of [q->from_us, q->to_us), not cut to it: added. A node tells it by the second. */
int records_locks(struct records *r, const struct index_query *q, struct stretches *ret);
int records_last(struct records *r, const char *uid, struct seg_info *ret);
int records_last_by(struct records *r, const char *uid, usec_t at_us, struct seg_info *ret);

/* What the index of this machine says of a segment; INDEX_E_NONE of another node's: its file says it. 0,
 * positive, -errno (-EAGAIN: no index yet). */
int records_get(struct storage *st, const char *uid, uint64_t id, struct seg_info *ret);
/* The file of a segment, read-only. 0 or -errno. */
int records_file(struct storage *st, const char *uid, uint64_t id, int *ret_fd);

#endif
