/* Which addresses a stream's worker may be connected to (reliability.md C12, R29). Pure: no socket, no
 * resolver.
 *
 * Never: unspecified, multicast, broadcast. Loopback and link-local only where the stream's configured host
 * is that very literal (or "localhost") and this host is asked for: no name, and no redirect, leads there.
 * Then the site's lists: what deny names is refused, and where allow names anything the rest is. An IPv4
 * address inside an IPv6 one (mapped, compatible, NAT64, 6to4) is judged as the IPv4 address. Tests:
 * tests/unit/connector/test_policy.c. */
#ifndef CONNECTOR_POLICY_H
#define CONNECTOR_POLICY_H

#include <netinet/in.h>

#include "common/net/addr.h"

#define POLICY_HOST_MAX  256
#define POLICY_CIDRS_MAX 256 /* of one list */

struct policy {
    char host[POLICY_HOST_MAX]; /* as configured, without brackets */
    struct cidrs allow, deny;
};

/* "10.0.0.0/8, fd00::/8". What cannot be read denies everything: 0, or -EINVAL. */
int policy_new(const char *host, struct span allow, struct span deny, struct policy *ret);
void policy_done(struct policy *p);
/* NULL: may be connected to for this host; otherwise why not. */
const char *policy_refuses(const struct policy *p, const char *asked_host, const struct sockaddr *addr);
/* A literal IPv4 or IPv6 address, brackets allowed; port in host order. */
bool policy_literal(const char *host, uint16_t port, struct sockaddr_storage *ret);

#endif
