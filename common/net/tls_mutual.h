/* TLS 1.3 between equals, each of whom proves that he belongs: by a key that all have (external PSK with
 * (EC)DHE, RFC 8446 4.2.11 and 2.2, RFC 9257), or by certificates of one authority. Nothing older is spoken,
 * no session is resumed. What comes of a handshake carries a conn (conn_over_tls). The process ignores or
 * blocks SIGPIPE. Tests: tests/unit/net/test_tls_mutual.c. */
#ifndef NET_TLS_MUTUAL_H
#define NET_TLS_MUTUAL_H

#include "common/net/tls.h"

#define TLS_MUTUAL_KEY_N 32
#define TLS_MUTUAL_KEYS  2

struct tls_mutual_key {
    uint32_t id;
    uint8_t secret[TLS_MUTUAL_KEY_N];
};
struct tls_mutual_setup {
    struct span group;                           /* a text that both name: keys count within it */
    struct tls_mutual_key keys[TLS_MUTUAL_KEYS]; /* the first is offered, all are believed */
    size_t n_keys;
    struct span cert, key, authority; /* PEM; with these no key is believed. An empty authority: the keys */
};
struct tls_mutual;
/* One reference. 0, or a condition of tls_cert.h. */
int tls_mutual_new(const struct tls_mutual_setup *s, struct tls_mutual **ret);
struct tls_mutual *tls_mutual_ref(struct tls_mutual *m);
void tls_mutual_unref(struct tls_mutual *m); /* NULL too */
/* Would a connection that was proven so still be? key_id of tls_key_id. */
bool tls_mutual_believes(const struct tls_mutual *m, uint32_t key_id);
/* Which key the other has proven to have; 0: he has shown a certificate. */
uint32_t tls_key_id(const struct tls *t);
/* The common name of the certificate that it has shown. false: it has shown none, or that has not one name.
 */
bool tls_common_name(const struct tls *t, char *dst, size_t max);

/* A handshake over a connected socket, which it owns until done is called, once, from the loop: t (the
 * caller's then), or NULL and why. */
struct tls_meeting;
typedef void tls_met_fn(void *arg, struct tls *t, const char *why);
struct tls_meeting *tls_meet(
    struct loop *l, int fd, struct tls_mutual *m, bool dials, tls_met_fn *done, void *arg);
void tls_meeting_stop(struct tls_meeting *m); /* not in or after done */

#endif
