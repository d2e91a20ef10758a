/* Who asks, where trusted proxies stand before us: the nearest address of X-Forwarded-For that is not one of
 * them, and whether X-Forwarded-Proto says https. From anybody else these fields say nothing. Tests:
 * tests/unit/httpd/test_proxied.c. */
#ifndef HTTPD_PROXIED_H
#define HTTPD_PROXIED_H

#include "common/wire/head.h"
#include "httpd/access.h"

struct sockaddr;

/* Sets a->address, and a->secure where a proxy says so. */
void proxied_viewer(
    const struct cidrs *proxies, const struct sockaddr *peer, const struct head *head, struct access_ask *a);

#endif
