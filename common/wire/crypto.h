/* Digests: the one door to libcrypto beside TLS. The low-level functions are used on purpose: one digest
 * through EVP costs a process 560 KB of private memory, these 104 KB, and every camera's worker signs
 * requests. Sources: RFC 1321, RFC 3174, FIPS 180-4 (5.3.6.2 for SHA-512/256), RFC 2104. Tests:
 * tests/unit/wire/test_crypto.c. */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

#include "common/base/span.h"

enum crypto_hash { CRYPTO_MD5 = 1, CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA512_256 };

#define CRYPTO_HASH_MAX 32 /* bytes of the longest */
#define CRYPTO_MD5_N    16
#define CRYPTO_SHA1_N   20
#define CRYPTO_SHA256_N 32

size_t crypto_hash_n(enum crypto_hash h); /* bytes of its value */
/* The pieces, one behind the other. ret_value: crypto_hash_n bytes; returns that number. */
size_t crypto_hash(enum crypto_hash h, const struct span *pieces, size_t n, uint8_t *ret_value);
/* One piece, as lower-case digits with a NUL: ret_text of 2 * CRYPTO_HASH_MAX + 1 bytes. */
void crypto_hash_hex(enum crypto_hash h, const struct span *pieces, size_t n, char *ret_text);

/* SHA-256 of bytes that come bit by bit. */
struct crypto_sum {
    uint64_t state[16]; /* libcrypto's */
};
void crypto_sum_begin(struct crypto_sum *s);
void crypto_sum_add(struct crypto_sum *s, struct span bytes);
void crypto_sum_hex(struct crypto_sum *s, char ret_text[2 * CRYPTO_SHA256_N + 1]); /* ends it */

void crypto_hmac_sha256(
    struct span key, const struct span *pieces, size_t n, uint8_t ret_value[CRYPTO_SHA256_N]);
/* scrypt (RFC 7914): cost is log2 of N, r, p; n bytes. false: it would take more than 160 MiB. In a file of
 * its own (crypto_scrypt.c). */
bool crypto_scrypt(struct span password, struct span salt, const uint64_t cost[3], uint8_t *ret, size_t n);
/* In a time that depends on the lengths only. */
bool crypto_equal(struct span a, struct span b);

#endif
