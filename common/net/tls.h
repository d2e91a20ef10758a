/* TLS 1.2 and 1.3 for our listeners, by OpenSSL behind this one door (tls.c; certificates without
 * connections: tls_cert.c). Sources: RFC 8446, 5246, 7301 (ALPN), 9325 (what is offered). A handshake is a
 * tls_accept on a loop; what comes of it carries a conn (conn_over_tls). Renegotiation and compression are
 * off, sessions are resumed by tickets of keys that live as long as their tls_server. The process ignores or
 * blocks SIGPIPE.
 * Tests: tests/unit/net/test_tls.c, tests/e2e/test_tls.py. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "common/net/loop.h"
#include "common/net/tls_cert.h"

#define TLS_HANDSHAKE_US (10 * US_PER_S) /* from accept to the end of the handshake */

/* First of all in a process that ends by exit() while its threads run: what OpenSSL holds is left alone then,
 * not freed under their feet. */
void tls_process(void);

/* A certificate and its key at work: of many connections on many loops. */
struct tls_server;
struct tls_setup {
    struct span cert, key; /* PEM: the certificate and its chain; the private key */
    bool kernel;           /* kernel TLS, where the kernel has it: files go out by SSL_sendfile */
};
/* One reference. 0, or a condition of tls_cert.h. */
int tls_server_new(const struct tls_setup *s, struct tls_server **ret);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server *s); /* NULL too; any thread */

/* A connection. One thread at a time. Bytes, or -errno: -EAGAIN, -EPROTO for what TLS does not allow. */
struct tls;
ssize_t tls_read(struct tls *t, uint8_t *p, size_t cap); /* 0: the peer's end */
/* What was refused with -EAGAIN is offered again, the same bytes first. */
ssize_t tls_write(struct tls *t, struct span bytes);
ssize_t tls_sendfile(struct tls *t, int fd, uint64_t at, size_t n); /* tls_kernel(t) only */
bool tls_pending(const struct tls *t); /* are there bytes that were received and not read? */
bool tls_kernel(const struct tls *t);  /* does the kernel encrypt? */
bool tls_is_h2(const struct tls *t);   /* did ALPN agree on HTTP/2? */
int tls_fd(const struct tls *t);
void tls_end(struct tls *t);  /* says close_notify, once */
void tls_free(struct tls *t); /* closes the descriptor; NULL too */

/* A handshake. done is called once from the loop: t (the caller's then), or NULL and why. Until it is stopped
 * or done it owns fd. A client that has not sent its whole first record costs a socket and a timer. */
struct tls_accept;
struct tls_accept_ops {
    void (*done)(void *arg, struct tls *t, const char *why);
    /* ALPN: ours, the best first, as they stand on the wire; a client that knows none of them is refused.
     * NULL: whatever is asked for is not answered. */
    const char *protocols;
    usec_t most_us; /* 0: TLS_HANDSHAKE_US */
};
struct tls_accept *tls_accept_new(
    struct loop *l, int fd, struct tls_server *s, const struct tls_accept_ops *ops, void *arg);
void tls_accept_stop(struct tls_accept *a); /* not in or after done */

#endif
