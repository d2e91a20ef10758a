/* The socket of the heartbeats: one for all nodes and ways, IPv4 and IPv6. Addresses are kept as IPv6, IPv4
 * in its mapped form. Tests: tests/cluster. */
#ifndef CLUSTER_LINK_H
#define CLUSTER_LINK_H

#include <netinet/in.h>

#include "common/base/span.h"
#include "common/net/loop.h"

#define LINK_TEXT_MAX 64
#define LINK_TURN_MAX 256 /* datagrams read before others get their turn */

typedef void link_fn(void *arg, struct span datagram, const struct sockaddr_in6 *from);
struct link {
    struct loop_io io;
    int fd;
    bool v4; /* a machine without IPv6 */
    link_fn *fn;
    void *arg;
};

/* Bound to that port on every address. 0 or -errno. */
int link_open(struct link *l, struct loop *loop, uint16_t port, link_fn *fn, void *arg);
void link_close(struct link *l);
/* All that wait, LINK_TURN_MAX at most. */
void link_read(struct link *l);
/* What the network does not take is lost, as any datagram may be. false: nothing was sent. */
bool link_send(const struct link *l, const struct sockaddr_in6 *to, struct span datagram);

/* "10.0.0.1", "::1"; false: not an address but a name. */
bool link_addr(struct span text, uint16_t port, struct sockaddr_in6 *ret);
const char *link_text(const struct sockaddr_in6 *a, char dst[LINK_TEXT_MAX]);

#endif
