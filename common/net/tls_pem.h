/* A certificate and its key, read. For tls.c and tls_cert.c only. */
#ifndef NET_TLS_PEM_H
#define NET_TLS_PEM_H

#include <openssl/x509.h>

#include "common/net/tls_cert.h"

struct tls_pair {
    X509 *cert;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};
/* 0, or a condition, with nothing to be freed. */
int tls_pair_read(struct span cert, struct span key, struct tls_pair *ret);
void tls_pair_done(struct tls_pair *p);

#endif
