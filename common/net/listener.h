/* Listening sockets and passing descriptors. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "common/base/span.h"
#include "common/net/loop.h"

/* Binds and listens: host "*" is IPv4 and IPv6 on one socket, "127.0.0.1", "::1", "[::1]" or a name of this
 * machine. Non-blocking, close-on-exec, SO_REUSEADDR. 0 or -errno (-EADDRNOTAVAIL: no such host). */
int listen_tcp(const char *host, uint16_t port, int backlog, int *ret_fd);
/* A Unix stream socket at path, replacing a dead one; mode e.g. 0660. 0, -EADDRINUSE if somebody answers
 * there. */
int listen_unix(const char *path, unsigned mode, int *ret_fd);
int connect_unix(const char *path, int *ret_fd); /* blocking; for tools */

struct listener;
/* Accepts on fd (many loops may share it) and gives every connection's descriptor away. Out of descriptors:
 * waits a little and counts, never spins. */
struct listener *listener_new(struct loop *l, int fd, void (*on_accept)(void *arg, int fd), void *arg);
void listener_free(struct listener *l); /* closes nothing */

#endif
