/* Internet addresses and networks. Every address is 16 bytes: IPv4 in its mapped form (RFC 4291 2.5.5.2), so
 * that "10.0.0.0/8" fits an IPv4 peer of a socket that takes both. Tests: tests/unit/net/test_addr.c. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "common/base/span.h"

struct sockaddr;

struct addr {
    uint8_t b[16];
};
#define ADDR_TEXT_MAX 48
#define ADDR_V4_BITS  96 /* of the mapped form before the address */

/* false: neither IPv4 nor IPv6. */
bool addr_of(const struct sockaddr *sa, struct addr *ret);
struct addr addr_of_v4(const uint8_t four[4]);
/* "10.0.0.1", "::1", "[::1]"; nothing else. */
bool addr_parse(struct span text, struct addr *ret);
bool addr_is_v4(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
/* Of this machine, a private network (RFC 1918, RFC 4193) or this link. */
bool addr_is_private(const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
/* As people write it, IPv4 without its prefix; returns dst. */
const char *addr_text(const struct addr *a, char dst[ADDR_TEXT_MAX]);
bool addr_has_prefix(const struct addr *a, const uint8_t *prefix, unsigned bits);
/* Whoever has one address has them all: the address itself of IPv4, the /64 of IPv6. */
struct addr addr_source(const struct addr *a);

struct cidr {
    struct addr addr;
    unsigned bits; /* of the 16 bytes: those of IPv4 are 96 to 128 */
};
/* "10.0.0.0/8", "fd00::/8", "::ffff:10.0.0.0/104", an address alone. */
bool cidr_parse(struct span text, struct cidr *ret);
bool cidr_has(const struct cidr *c, const struct addr *a);

struct cidrs {
    struct cidr *v;
    size_t n;
};
/* A list with commas; empty members are left out. 0; -EINVAL: one is none, or there are more than most: *ret
 * is then empty. */
int cidrs_parse(struct span text, size_t most, struct cidrs *ret);
bool cidrs_has(const struct cidrs *l, const struct addr *a);
void cidrs_done(struct cidrs *l);

#endif
