/* What an HTTP request brings to be let in by: the token of `?token=`, of `Authorization` (bare or Bearer) or
 * of the path's cookie, in this order; an account's login in `Authorization`; and the viewer's address.
 * Tests: tests/unit/httpd/test_credentials.c,
 * tests/fuzz/fuzz_credentials.c. */
#ifndef HTTPD_CREDENTIALS_H
#define HTTPD_CREDENTIALS_H

#include "common/wire/http.h"
#include "httpd/access.h"

#define CREDENTIALS_COOKIE "ms_token"

struct credentials {
    char *token;       /* NULL: none */
    struct span login; /* Basic or Digest, of the request's head */
};
/* A token that is longer than ACCESS_TOKEN_MAX is none. */
void credentials_of(const struct http_request *req, struct credentials *ret);
void credentials_done(struct credentials *c);
/* The first cookie of this name, as it stands; p NULL: there is none. */
struct span cookie_get(const struct head *head, const char *name);

#endif
