/* Certificates and private keys in PEM, as libcrypto reads them: looked at before they are used, and made for
 * a first start. Tests: tests/unit/net/test_tls_cert.c. */
#ifndef NET_TLS_CERT_H
#define NET_TLS_CERT_H

#include "common/base/buf.h"

#define TLS_CERT_MAX  (48u << 10) /* bytes of a certificate and its chain */
#define TLS_KEY_MAX   (12u << 10)
#define TLS_NAME_MAX  128
#define TLS_PRINT_MAX 96 /* "AB:CD:...", SHA-256 */

/* Conditions; tls_why() says them. */
enum {
    TLS_E_CERT = 1, /* no certificate in it, or a broken one */
    TLS_E_CHAIN,    /* what follows the certificate is broken */
    TLS_E_KEY,      /* no private key in it, a broken one, or one with a pass phrase */
    TLS_E_PAIR,     /* the key is not the certificate's */
    TLS_E_WEAK      /* the key or the signature is too weak to be offered */
};
const char *tls_why(int condition);

/* Is this an authority: a certificate in PEM, or several? 0, or a condition. */
int tls_authority_check(struct span pem);

struct tls_facts {
    int64_t from_s, to_s;       /* validity, unix seconds */
    char print[TLS_PRINT_MAX];  /* fingerprint of the certificate, as browsers show it */
    char subject[TLS_NAME_MAX]; /* common name, or the first alternative name; "" if neither */
};
/* Do these belong together? 0 and *ret, or a condition. */
int tls_pair_check(struct span cert, struct span key, struct tls_facts *ret);

/* A key (P-256) and a certificate for these names (DNS names or addresses), signed by itself. false: memory
 * is out, or a name cannot be. */
bool tls_self_signed(const char *const *names, size_t n, unsigned days, struct buf *cert, struct buf *key);

#endif
