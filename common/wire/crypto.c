#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/wire/crypto.h"
#include "common/base/err.h"
#include "common/base/wr.h"
#include "common/wire/hex.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#define SHA256_BLOCK 64

size_t crypto_hash_n(enum crypto_hash h)
{
    switch (h) {
    case CRYPTO_MD5: return CRYPTO_MD5_N;
    case CRYPTO_SHA1: return CRYPTO_SHA1_N;
    case CRYPTO_SHA256:
    case CRYPTO_SHA512_256: return CRYPTO_SHA256_N;
    }
    must(false); /* no such hash */
    return 0;
}

static void md5(const struct span *pieces, size_t n, uint8_t *ret)
{
    MD5_CTX c;

    MD5_Init(&c);
    for (size_t i = 0; i < n; i++) MD5_Update(&c, pieces[i].p, pieces[i].n);
    MD5_Final(ret, &c);
}

static void sha1(const struct span *pieces, size_t n, uint8_t *ret)
{
    SHA_CTX c;

    SHA1_Init(&c);
    for (size_t i = 0; i < n; i++) SHA1_Update(&c, pieces[i].p, pieces[i].n);
    SHA1_Final(ret, &c);
}

static void sha256(const struct span *pieces, size_t n, uint8_t *ret)
{
    SHA256_CTX c;

    SHA256_Init(&c);
    for (size_t i = 0; i < n; i++) SHA256_Update(&c, pieces[i].p, pieces[i].n);
    SHA256_Final(ret, &c);
}

/* SHA-512 with other initial values and the first half of the result (FIPS 180-4, 5.3.6.2 and 6.7). */
static void sha512_256(const struct span *pieces, size_t n, uint8_t *ret)
{
    static const uint64_t initial[8] = {0x22312194FC2BF72C, 0x9F555FA3C84C64C2, 0x2393B86B6F53B151,
        0x963877195940EABD, 0x96283EE2A88EFFE3, 0xBE5E1E2553863992, 0x2B0199FC2C85B8AA, 0x0EB72DDC81C52CA2};
    uint8_t full[SHA512_DIGEST_LENGTH];
    SHA512_CTX c;

    SHA512_Init(&c);
    for (size_t i = 0; i < ARRAY_N(initial); i++) c.h[i] = initial[i];
    for (size_t i = 0; i < n; i++) SHA512_Update(&c, pieces[i].p, pieces[i].n);
    SHA512_Final(full, &c);
    memcpy(ret, full, CRYPTO_SHA256_N);
}

size_t crypto_hash(enum crypto_hash h, const struct span *pieces, size_t n, uint8_t *ret_value)
{
    switch (h) {
    case CRYPTO_MD5: md5(pieces, n, ret_value); break;
    case CRYPTO_SHA1: sha1(pieces, n, ret_value); break;
    case CRYPTO_SHA256: sha256(pieces, n, ret_value); break;
    case CRYPTO_SHA512_256: sha512_256(pieces, n, ret_value); break;
    }
    return crypto_hash_n(h);
}

void crypto_hash_hex(enum crypto_hash h, const struct span *pieces, size_t n, char *ret_text)
{
    uint8_t value[CRYPTO_HASH_MAX];
    size_t len = crypto_hash(h, pieces, n, value);
    struct wr w = wr_of(ret_text, 2 * len + 1);

    hex_write(&w, span(value, len));
    wr_cstr(&w);
}

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct crypto_sum), "holds libcrypto's state");

/* Copied in and out, so that no type of another lies in those bytes. */
static void sum_step(struct crypto_sum *s, struct span bytes, uint8_t *ret_value)
{
    SHA256_CTX c;

    memcpy(&c, s->state, sizeof(c));
    SHA256_Update(&c, bytes.p, bytes.n);
    if (ret_value) SHA256_Final(ret_value, &c);
    memcpy(s->state, &c, sizeof(c));
}

void crypto_sum_begin(struct crypto_sum *s)
{
    SHA256_CTX c;

    SHA256_Init(&c);
    memcpy(s->state, &c, sizeof(c));
}

void crypto_sum_add(struct crypto_sum *s, struct span bytes)
{
    sum_step(s, bytes, NULL);
}

void crypto_sum_hex(struct crypto_sum *s, char ret_text[2 * CRYPTO_SHA256_N + 1])
{
    uint8_t value[CRYPTO_SHA256_N];
    struct wr w = wr_of(ret_text, 2 * CRYPTO_SHA256_N + 1);

    sum_step(s, SPAN_NONE, value);
    hex_write(&w, span(value, sizeof(value)));
    wr_cstr(&w);
}

void crypto_hmac_sha256(
    struct span key, const struct span *pieces, size_t n, uint8_t ret_value[CRYPTO_SHA256_N])
{
    uint8_t inner[SHA256_BLOCK], outer[SHA256_BLOCK], short_key[CRYPTO_SHA256_N];
    SHA256_CTX c;

    if (key.n > SHA256_BLOCK) {
        sha256(&key, 1, short_key);
        key = span(short_key, sizeof(short_key));
    }
    for (size_t i = 0; i < SHA256_BLOCK; i++) {
        uint8_t k = i < key.n ? key.p[i] : 0;

        inner[i] = k ^ 0x36;
        outer[i] = k ^ 0x5c;
    }
    SHA256_Init(&c);
    SHA256_Update(&c, inner, sizeof(inner));
    for (size_t i = 0; i < n; i++) SHA256_Update(&c, pieces[i].p, pieces[i].n);
    SHA256_Final(ret_value, &c);
    SHA256_Init(&c);
    SHA256_Update(&c, outer, sizeof(outer));
    SHA256_Update(&c, ret_value, CRYPTO_SHA256_N);
    SHA256_Final(ret_value, &c);
    explicit_bzero(inner, sizeof(inner));
    explicit_bzero(outer, sizeof(outer));
    explicit_bzero(short_key, sizeof(short_key));
    explicit_bzero(&c, sizeof(c));
}

bool crypto_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
