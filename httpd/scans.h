/* Tables of segments that are still written: each is read on from where it stood, however many viewers ask.
 * One cache a storage, capped in bytes; what was asked for longest ago goes first. Tests:
 * tests/unit/httpd/test_scans.c. */
#ifndef HTTPD_SCANS_H
#define HTTPD_SCANS_H

#include "archive/reader.h"

#define SCANS_BYTES_MAX (32u << 20) /* of one storage: about 80 cameras' two minutes */

struct scans;
struct scans *scans_new(size_t bytes_max);
void scans_free(struct scans *s); /* nobody uses it; NULL too */

/* In a pool thread: the table of a segment's first `bytes` bytes, or of more. Its own until scan_done; others
 * who want the same segment wait. SEG_OK, SEG_E_BAD, -errno. */
struct scan;
int scans_read(struct scans *s, const char *uid, uint64_t id, int fd, uint64_t bytes, struct scan **ret);
const struct seg_table *scan_table(const struct scan *c);
void scan_done(struct scans *s, struct scan *c);
/* Bytes that are kept. */
size_t scans_bytes(struct scans *s);

#endif
