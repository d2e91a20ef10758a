/* What the master says of who may watch at all (HTTPD_AUTH): address lists, keys, accounts, limits. A
 * snapshot that nobody changes; every hub holds a reference of its own, and a reload gives it another.
 * Tests: tests/unit/httpd/test_auth.c. */
#ifndef HTTPD_AUTH_H
#define HTTPD_AUTH_H

#include <stdatomic.h>

#include "common/net/addr.h"
#include "common/wire/token.h"
#include "httpd/accounts.h"

struct packed;
struct server;

#define AUTH_BASE_MAX 256

struct auth {
    _Atomic unsigned refs;
    struct cidrs whitelist; /* whitelist-access; n 0: from everywhere */
    bool closed;            /* a list could not be read: nobody is let in */
    bool api;               /* api-enable */
    struct cidrs api_whitelist;
    char api_base[AUTH_BASE_MAX]; /* where it stands */
    unsigned api_rate;            /* calls a second of one caller; 0: no limit */
    struct cidrs api_exempt;      /* api-rate-exempt */
    bool cpanel;                  /* cpanel-enable */
    char cpanel_base[AUTH_BASE_MAX];
    struct cidrs cpanel_whitelist;
    bool panel_basic;     /* cpanel-auth = basic */
    struct cidrs proxies; /* trusted-proxies: what they say of a viewer is believed */
    struct cidrs exempt;  /* throttle-exempt */
    struct token_keys keys;
    struct accounts accounts;
    bool digest_md5, web_login;
    struct secret link_key; /* of the secure link; not set: there is none */
    char audience[TOKEN_AUDIENCE_MAX + 1];
    struct secret backend; /* URL of the site's own server; not set: there is none */
    usec_t backend_timeout_us;
    bool backend_down_allows;
    unsigned connections_limit;
    unsigned address_limit;   /* viewers; 0: no limit */
    uint64_t bandwidth_limit; /* bit/s of all that is sent; 0: no limit */
};

struct auth *auth_new(void); /* nothing configured; one reference */
struct auth *auth_ref(struct auth *a);
void auth_unref(struct auth *a); /* NULL too */
struct auth *auth_read(const struct packed *body);
/* Every hub uses it from now on. Takes the reference. */
void auth_share(struct server *server, struct auth *a);

#endif
