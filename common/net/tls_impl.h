/* What a handshake (tls_accept.c) needs of a connection (tls.c). */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include "common/net/tls.h"

/* Takes fd, unless it returns NULL (memory is out). */
struct tls *tls_new(struct tls_server *s, int fd, const char *protocols);
/* Goes on with the handshake. 0: done; -EAGAIN: for reading, or for writing; else it has failed. */
int tls_shake(struct tls *t, bool *ret_write, const char **ret_why);

#endif
