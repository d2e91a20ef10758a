#include "common/wire/crypto_sign.h"
#include "common/base/err.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"

#include <openssl/evp.h>

#define DER_PUBLIC_N 44
#define DER_SECRET_N 48
#define PUBLIC_LABEL "PUBLIC KEY"
#define SECRET_LABEL "PRIVATE KEY"

/* What stands before the 32 bytes: RFC 8410, 4 and 7. */
static const uint8_t public_head[DER_PUBLIC_N - CRYPTO_KEY_N] = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const uint8_t secret_head[DER_SECRET_N - CRYPTO_KEY_N] = {
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

static bool derive_public(struct crypto_key *k)
{
    EVP_PKEY *p = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->seed, sizeof(k->seed));
    size_t n = sizeof(k->public);
    bool ok = p && EVP_PKEY_get_raw_public_key(p, k->public, &n) == 1 && n == sizeof(k->public);

    EVP_PKEY_free(p);
    return ok;
}

bool crypto_key_make(struct crypto_key *ret)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    EVP_PKEY *p = NULL;
    struct crypto_key k = {.secret = true};
    size_t n = sizeof(k.seed);
    bool ok = c && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_keygen(c, &p) == 1 &&
        EVP_PKEY_get_raw_private_key(p, k.seed, &n) == 1 && n == sizeof(k.seed) && derive_public(&k);

    EVP_PKEY_free(p);
    EVP_PKEY_CTX_free(c);
    if (ok) *ret = k;
    explicit_bzero(&k, sizeof(k));
    return ok;
}

/* --- text --- */

/* What stands between the lines of that label. */
static bool armour_off(struct span pem, const char *label, struct span *ret)
{
    char begin[40], end[40];
    size_t nb = (size_t)snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
    size_t ne = (size_t)snprintf(end, sizeof(end), "-----END %s-----", label);
    struct span s = span_trim(pem);

    if (s.n < nb + ne || !span_is(span_sub(s, 0, nb), begin) || !span_is(span_sub(s, s.n - ne, ne), end))
        return false;
    *ret = span_sub(s, nb, s.n - nb - ne);
    return true;
}

static bool read_form(struct span pem, const char *label, struct span head, uint8_t ret[CRYPTO_KEY_N])
{
    uint8_t der[DER_SECRET_N];
    struct wr w = wr_of(der, sizeof(der));
    struct span body;
    bool ok = armour_off(pem, label, &body) && base64_read(body, &w) && w.n == head.n + CRYPTO_KEY_N &&
        span_eq(span(der, head.n), head);

    if (ok) memcpy(ret, der + head.n, CRYPTO_KEY_N);
    explicit_bzero(der, sizeof(der));
    return ok;
}

bool crypto_key_read(struct span pem, struct crypto_key *ret)
{
    struct crypto_key k = {.secret = false};
    bool ok = read_form(pem, PUBLIC_LABEL, span(public_head, sizeof(public_head)), k.public);

    if (!ok && read_form(pem, SECRET_LABEL, span(secret_head, sizeof(secret_head)), k.seed))
        ok = k.secret = derive_public(&k);
    if (ok) *ret = k;
    explicit_bzero(&k, sizeof(k));
    return ok;
}

static void write_form(const char *label, struct span head, const uint8_t *value, char *dst)
{
    uint8_t der[DER_SECRET_N];
    struct wr w = wr_of(dst, CRYPTO_PEM_MAX);

    memcpy(der, head.p, head.n);
    memcpy(der + head.n, value, CRYPTO_KEY_N);
    wr_fmt(&w, "-----BEGIN %s-----\n", label);
    base64_write(&w, span(der, head.n + CRYPTO_KEY_N));
    wr_fmt(&w, "\n-----END %s-----\n", label);
    wr_cstr(&w);
    must(wr_ok(&w));
    explicit_bzero(der, sizeof(der));
}

void crypto_key_public_pem(const struct crypto_key *k, char *dst)
{
    write_form(PUBLIC_LABEL, span(public_head, sizeof(public_head)), k->public, dst);
}

void crypto_key_secret_pem(const struct crypto_key *k, char *dst)
{
    must(k->secret);
    write_form(SECRET_LABEL, span(secret_head, sizeof(secret_head)), k->seed, dst);
}

void crypto_key_print(const struct crypto_key *k, char *dst)
{
    const struct span der[] = {span(public_head, sizeof(public_head)), span(k->public, sizeof(k->public))};

    crypto_hash_hex(CRYPTO_SHA256, der, ARRAY_N(der), dst);
}

void crypto_key_forget(struct crypto_key *k)
{
    explicit_bzero(k->seed, sizeof(k->seed));
    k->secret = false;
}

/* --- signatures --- */

bool crypto_sign(const struct crypto_key *k, struct span text, uint8_t ret[CRYPTO_SIGNATURE_N])
{
    EVP_PKEY *p;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = CRYPTO_SIGNATURE_N;
    bool ok;

    must(k->secret);
    p = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->seed, sizeof(k->seed));
    ok = p && c && EVP_DigestSignInit(c, NULL, NULL, NULL, p) == 1 &&
        EVP_DigestSign(c, ret, &n, text.p, text.n) == 1 && n == CRYPTO_SIGNATURE_N;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(p);
    return ok;
}

bool crypto_signed_by(const struct crypto_key *k, struct span text, struct span signature)
{
    EVP_PKEY *p = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->public, sizeof(k->public));
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = signature.n == CRYPTO_SIGNATURE_N && p && c &&
        EVP_DigestVerifyInit(c, NULL, NULL, NULL, p) == 1 &&
        EVP_DigestVerify(c, signature.p, signature.n, text.p, text.n) == 1;

    EVP_MD_CTX_free(c);
    EVP_PKEY_free(p);
    return ok;
}
