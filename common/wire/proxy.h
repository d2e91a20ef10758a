/* PROXY protocol, version 2: who the client is, said by a proxy before the first byte of the connection.
 * Source: haproxy's doc/proxy-protocol.txt, section 2.2. Tests: tests/unit/wire/test_proxy.c,
 * tests/fuzz/fuzz_proxy.c. */
#ifndef WIRE_PROXY_H
#define WIRE_PROXY_H

#include "common/base/span.h"

#define PROXY_SIGNATURE_N 12
#define PROXY_HEAD_N      16   /* signature, version and command, family, length */
#define PROXY_MAX         1040 /* of the whole header: with what we read nothing of */

struct proxy_said {
    bool local; /* the proxy itself asks, or of a family that we do not know: the peer is who it is */
    bool v6;
    uint8_t address[16]; /* an IPv4 address in the first four */
    uint16_t port;
    size_t n; /* bytes of the header */
};
/* Conditions (positive). */
enum {
    PROXY_E_NONE = 1, /* this is no such header */
    PROXY_E_MORE = 2, /* it may become one: *ret_need bytes have to be there */
    PROXY_E_BAD = 3
};
int proxy_read(struct span in, struct proxy_said *ret, size_t *ret_need);

#endif
