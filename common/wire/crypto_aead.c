#include "common/wire/crypto_aead.h"

#include <limits.h>
#include <openssl/evp.h>

static bool fits(struct span head, struct span body)
{
    return head.n <= INT_MAX && body.n <= INT_MAX;
}

bool aead_seal(const uint8_t key[AEAD_KEY_N], const uint8_t nonce[AEAD_NONCE_N], struct span head,
    struct span plain, uint8_t *ret)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;
    bool ok = c && fits(head, plain) && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(c, NULL, &n, head.p, (int)head.n) == 1 &&
        EVP_EncryptUpdate(c, ret, &n, plain.p, (int)plain.n) == 1 &&
        EVP_EncryptFinal_ex(c, ret + plain.n, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_N, ret + plain.n) == 1;

    EVP_CIPHER_CTX_free(c);
    return ok;
}

bool aead_open(const uint8_t key[AEAD_KEY_N], const uint8_t nonce[AEAD_NONCE_N], struct span head,
    struct span sealed, uint8_t *ret)
{
    struct span body = span_sub(sealed, 0, sealed.n >= AEAD_TAG_N ? sealed.n - AEAD_TAG_N : 0);
    uint8_t tag[AEAD_TAG_N], none[AEAD_TAG_N];
    EVP_CIPHER_CTX *c;
    int n = 0;
    bool ok;

    if (sealed.n < AEAD_TAG_N || !fits(head, body)) return false;
    memcpy(tag, sealed.p + body.n, sizeof(tag));
    c = EVP_CIPHER_CTX_new();
    ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_DecryptUpdate(c, NULL, &n, head.p, (int)head.n) == 1 &&
        EVP_DecryptUpdate(c, ret, &n, body.p, (int)body.n) == 1 &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_N, tag) == 1 &&
        EVP_DecryptFinal_ex(c, none, &n) == 1;
    EVP_CIPHER_CTX_free(c);
    return ok;
}
