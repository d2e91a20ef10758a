/* Ed25519: keys, signatures, and their text forms, as OpenSSL's own tools read and write them. In a file of
 * its own, since it costs a process more memory than digests: no worker links it. Sources: RFC 8032, RFC 8410
 * (the two DER forms have one length each, so that no parser is needed), RFC 7468. Tests:
 * tests/unit/wire/test_crypto_sign.c. */
#ifndef WIRE_CRYPTO_SIGN_H
#define WIRE_CRYPTO_SIGN_H

#include "common/base/span.h"

#define CRYPTO_KEY_N       32
#define CRYPTO_SIGNATURE_N 64
#define CRYPTO_PEM_MAX     160 /* with the NUL */
#define CRYPTO_PRINT_MAX   65  /* the same */

struct crypto_key {
    bool secret; /* seed is known: it can sign */
    uint8_t seed[CRYPTO_KEY_N], public[CRYPTO_KEY_N];
};
/* false: libcrypto has no randomness, or no Ed25519. */
bool crypto_key_make(struct crypto_key *ret);
/* "-----BEGIN PRIVATE KEY-----", or PUBLIC KEY; blanks around it are skipped. false: neither, or of another
 * kind. */
bool crypto_key_read(struct span pem, struct crypto_key *ret);
/* dst: CRYPTO_PEM_MAX. */
void crypto_key_public_pem(const struct crypto_key *k, char *dst);
void crypto_key_secret_pem(const struct crypto_key *k, char *dst);
/* SHA-256 of the public key's DER form, as lower-case digits; dst: CRYPTO_PRINT_MAX. */
void crypto_key_print(const struct crypto_key *k, char *dst);
/* The public half is left. */
void crypto_key_forget(struct crypto_key *k);

/* k: secret. false: libcrypto says no. */
bool crypto_sign(const struct crypto_key *k, struct span text, uint8_t ret[CRYPTO_SIGNATURE_N]);
bool crypto_signed_by(const struct crypto_key *k, struct span text, struct span signature);

#endif
