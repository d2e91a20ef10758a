/* What handshakes (tls_accept.c, tls_mutual.c) need of a connection (tls.c). */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include "common/net/tls.h"

/* Takes fd, unless it returns NULL (memory is out). */
struct tls *tls_new(struct tls_server *s, int fd, const char *protocols);
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct tls *tls_over(struct ssl_ctx_st *ctx, int fd, bool dials);
/* Which key the other has; the identity that is offered, kept as long as the connection. */
void tls_note_key(struct tls *t, uint32_t id);
const uint8_t *tls_note_identity(struct tls *t, struct span identity);
/* Goes on with the handshake. 0: done; -EAGAIN: for reading, or for writing; else it has failed. */
int tls_shake(struct tls *t, bool *ret_write, const char **ret_why);

#endif
