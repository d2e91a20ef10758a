/* The body of who signs in: an object of texts, such as user and password. Tests: tests/e2e/test_signin.py.
 */
#ifndef HTTPD_SIGN_FIELDS_H
#define HTTPD_SIGN_FIELDS_H

#include "httpd/http.h"

#define SIGN_BODY_MAX 4096

/* Decoded into mem, which the caller wipes. at: behind how many bytes it is no JSON. */
struct sign_fields {
    struct span user, password, secret;
    size_t n, at;
    bool bad;
    uint8_t mem[SIGN_BODY_MAX];
};
void sign_fields_read(struct span body, struct sign_fields *ret); /* of at most SIGN_BODY_MAX */
/* false: it says to be something else, which was answered. */
bool sign_is_json(struct http *h);

#endif
