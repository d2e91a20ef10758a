/* Fields of HTTP messages that several answers need: dates, byte ranges, preconditions, content codings.
 * Source: RFC 9110 (5.6.7 dates, 12.5.3 Accept-Encoding, 13 conditions, 14 ranges). Pure functions.
 * Tests: tests/unit/wire/test_http_fields.c. */
#ifndef WIRE_HTTP_FIELDS_H
#define WIRE_HTTP_FIELDS_H

#include "common/wire/head.h"

#define HTTP_DATE_MAX 30
/* "Sun, 06 Nov 1994 08:49:37 GMT" into at least HTTP_DATE_MAX bytes; returns dst. */
const char *http_date(usec_t wall_us, char *dst);
/* All three forms of RFC 9110 5.6.7. false: none of them. */
bool http_date_parse(struct span s, usec_t *ret_wall_us);

/* What is served: an entity tag with its quotes ("\"abc\"", "W/\"abc\""), empty when there is none; time of
 * its last change, 0 when not known. */
struct http_validators {
    struct span etag;
    usec_t modified_us;
};
/* If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since in the order of RFC 9110 13.2.2.
 * get_or_head: the method. 0: serve it; 304; 412. */
unsigned http_conditions(const struct head *h, bool get_or_head, const struct http_validators *v);
/* May Range be honoured (If-Range absent, or true by strong comparison)? */
bool http_if_range(const struct head *h, const struct http_validators *v);

struct http_range {
    uint64_t from, n; /* n > 0 */
};
enum { HTTP_RANGE_ONE = 1, HTTP_RANGE_NOT_SATISFIABLE = 2 };
/* The Range field of a GET for `size` bytes. 0: serve everything (none, another unit, broken, or several
 * ranges, which a server may ignore: RFC 9110 14.2); HTTP_RANGE_ONE: *ret; HTTP_RANGE_NOT_SATISFIABLE: 416.
 */
int http_range(struct span value, uint64_t size, struct http_range *ret);
/* The same with If-Range looked at first. */
int http_range_of(
    const struct head *h, const struct http_validators *v, uint64_t size, struct http_range *ret);

/* Weight that Accept-Encoding gives to a coding, in thousandths; 0: do not use it. "identity" too. */
unsigned http_accepts_coding(const struct head *h, const char *coding);

#endif
