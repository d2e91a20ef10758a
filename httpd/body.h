/* Bodies of requests, for the routes that take one (ROUTE_BODY): gathered whole before the handler runs, at
 * most body_most() bytes, within HTTP_HEAD_TIMEOUT_US. All other routes let them pass and forget them.
 * Source: RFC 9110 10.1.1 (Expect), RFC 9112 6. Tests: tests/unit/httpd/test_body.c. */
#ifndef HTTPD_BODY_H
#define HTTPD_BODY_H

#include "httpd/http.h"

uint32_t body_most(const struct route *r);
/* Does this request have one that its route takes? Then it is gathered from now on (ask->gathers). */
bool body_begin(struct http *h);
/* Takes of it from *in. true: it is whole, in ask->body. false: more is needed, or it was refused. */
bool body_take(struct http *h, struct span *in);

#endif
