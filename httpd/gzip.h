/* gzip (RFC 1952) of whole answers; the only door to zlib. Tests: tests/e2e/test_http_media.py. */
#ifndef HTTPD_GZIP_H
#define HTTPD_GZIP_H

#include "common/base/span.h"

enum gzip_effort { GZIP_FAST = 1, GZIP_QUICK = 5, GZIP_BEST = 9 };
#define GZIP_LONG (256u << 10) /* of longer answers the last tenth is not worth the time */

/* For an answer that is made on request. */
static inline enum gzip_effort gzip_effort_for(size_t n)
{
    return n > GZIP_LONG ? GZIP_FAST : GZIP_QUICK;
}

/* *ret_p (mem_free) and *ret_n. false: memory is out, or it would not get smaller. */
bool gzip_pack(struct span in, enum gzip_effort effort, uint8_t **ret_p, size_t *ret_n);

#endif
