/* AES-256-GCM (NIST SP 800-38D) with a nonce of 12 bytes, through EVP: whoever links it pays for EVP. A nonce
 * never comes twice under one key: that is the caller's. Tests: tests/unit/wire/test_crypto_aead.c. */
#ifndef WIRE_CRYPTO_AEAD_H
#define WIRE_CRYPTO_AEAD_H

#include "common/base/span.h"

#define AEAD_KEY_N   32
#define AEAD_NONCE_N 12
#define AEAD_TAG_N   16

/* plain.n + AEAD_TAG_N bytes into ret: what is sealed, and the tag behind it. head is protected, not hidden.
 * false: libcrypto has no memory. */
bool aead_seal(const uint8_t key[AEAD_KEY_N], const uint8_t nonce[AEAD_NONCE_N], struct span head,
    struct span plain, uint8_t *ret);
/* sealed.n - AEAD_TAG_N bytes into ret, which means nothing when false: too short, or forged. */
bool aead_open(const uint8_t key[AEAD_KEY_N], const uint8_t nonce[AEAD_NONCE_N], struct span head,
    struct span sealed, uint8_t *ret);

#endif
