/* Flussonic's secure link: a token "hash-salt-end-start" whose hash is sha1hex(name + ip + start + end + key
 * + salt), with "no_check_ip" for the ip where it is bound to none. The fields have no separators, so that
 * they can shift into each other: it counts only where the site has a secure-link-key. Source: Flussonic's
 * documentation of securetoken. Tests: tests/unit/httpd/test_secure_link.c. */
#ifndef HTTPD_SECURE_LINK_H
#define HTTPD_SECURE_LINK_H

#include "httpd/access_facts.h"

/* Has it the form? */
bool secure_link_is(struct span token);
/* KNOWN_YES: *ret_until_s is its end. */
enum known secure_link_ok(struct span key, const struct access_ask *a, int64_t now_s, int64_t *ret_until_s);

#endif
