/* Names to addresses, without blocking (c-ares behind this one door). The name servers of resolv.conf are
 * read anew when they have not been for a minute and nobody waits for an answer. */
#ifndef CONNECTOR_RESOLVE_H
#define CONNECTOR_RESOLVE_H

#include <sys/socket.h>

#include "common/net/loop.h"

#define RESOLVE_ADDRS_MAX 8

struct resolver;
struct lookup;

/* servers: "127.0.0.1:5353" instead of the machine's (tests); NULL: the machine's. Must outlive the resolver.
 */
struct resolver *resolver_new(struct loop *l, const char *servers);
void resolver_free(struct resolver *r);
/* fn is called once, from the loop: err 0 and n > 0 addresses with this port, or ENOENT (no such name),
 * ETIMEDOUT, EIO with a text. Not called after lookup_cancel, which is harmless on NULL. */
typedef void lookup_fn(void *arg, int err, const char *text, const struct sockaddr_storage *addrs, size_t n);
struct lookup *lookup_start(struct resolver *r, const char *host, uint16_t port, lookup_fn *fn, void *arg);
void lookup_cancel(struct lookup *l);

#endif
