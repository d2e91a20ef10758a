/* How many watch at a time: of a stream (stream-limit), of a token or user, of an address, and the bytes that
 * go out altogether. Streams are counted at home; what reaches over hubs is counted under one lock, which is
 * taken when a viewer comes or goes, never per request. Tests:
 * tests/unit/httpd/test_quota.c. */
#ifndef HTTPD_QUOTA_H
#define HTTPD_QUOTA_H

#include "httpd/access.h"

struct session;
struct stream;
struct quota;

struct quota *quota_new(void);
void quota_free(struct quota *q); /* NULL too */
/* One more viewer on that session: its slots are one more. NULL: yes; otherwise why not. */
const char *quota_take(struct session *s);
/* One less. */
void quota_give(struct session *s);
/* So many viewers count under a name now; for tests. */
unsigned quota_of_address(struct quota *q, const struct addr *a);

#endif
