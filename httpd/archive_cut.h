/* In a pool thread: a piece of a segment as it is sent, from the storage's cache (cuts.h) or made from the
 * segment's table. Tests: tests/unit/httpd/test_archive_faults.c. */
#ifndef HTTPD_ARCHIVE_CUT_H
#define HTTPD_ARCHIVE_CUT_H

#include "httpd/archive.h"

/* The piece, referenced, and its file. 0, -errno (-EAGAIN: no index yet), or positive: there is no such
 * piece.
 */
int archive_cut(struct storage *st, const struct cut_key *key, const struct open_segment *open,
    struct cut **ret, int *ret_fd);
/* The file of a piece that is known. -ESTALE: it is another one now. */
int archive_cut_open(struct storage *st, const struct cut_key *key, const struct cut *c, int *ret_fd);

#endif
