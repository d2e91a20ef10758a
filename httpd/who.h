/* Who asks the API or the panel: by a token of the API, by the cookie of a sign-in (signin.c), or by Basic
 * where the site has cpanel-auth = basic. A cookie counts only for requests of our own pages: browsers say
 * where a request comes from, and what changes something shows the text that only those pages were told.
 * Tests: tests/e2e/test_signin.py, tests/fuzz/fuzz_credentials.c. */
#ifndef HTTPD_WHO_H
#define HTTPD_WHO_H

#include "httpd/caller.h"
#include "httpd/http.h"

#define WHO_COOKIE        "ms-session"
#define WHO_COOKIE_SECURE "__Host-ms-session" /* browsers take it over TLS only, and for this host alone */
#define WHO_CSRF          "X-CSRF-Token"

enum who {
    WHO_NONE,    /* nobody, or something that lets nobody in */
    WHO_IS,      /* ask->caller */
    WHO_WAITS,   /* the handler runs again */
    WHO_ANSWERED /* it was refused, and that was answered */
};
/* For handlers of the module listener that belong to no stream. */
enum who who_asks(struct http *h);
/* The same for pages: where the site has cpanel-auth = basic, the browser is told to ask. */
enum who who_page(struct http *h);
/* For streams on the module listener: by the cookie alone. NULL: nobody. */
const struct caller *who_signed_in(struct http *h);

/* The address behind trusted proxies; secure: TLS, up to us or to such a proxy. */
void who_peer(const struct http *h, struct addr *ret, bool *ret_secure);
/* Where passwords may be shown: cpanel-whitelist, or else over TLS or from a private address. */
bool who_may_sign_in(const struct http *h, const struct addr *a, bool secure);
/* Does the request come from a page of another site? */
bool who_is_foreign(const struct http *h);
/* true: this address has guessed too much, which was answered (429). */
bool who_is_throttled(struct http *h, const struct addr *a);
/* A wrong password or token of this address. */
void who_guessed(struct http *h, const struct addr *a);

#endif
