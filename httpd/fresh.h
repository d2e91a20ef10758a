/* Where a viewer begins in a ring. Tests: tests/unit/httpd/test_live.c. */
#ifndef HTTPD_FRESH_H
#define HTTPD_FRESH_H

#include "common/ring/ring.h"

#define FRESH_US (30 * US_PER_S) /* footage older than this is no live picture */

/* The oldest key frame that is not older than FRESH_US, or the last key frame while frames are coming. false:
 * nothing fresh. */
bool fresh_start(struct ring_reader *r, usec_t now_us, uint64_t *ret_seq);

#endif
