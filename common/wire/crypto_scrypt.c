/* scrypt (RFC 7914), through EVP: apart from crypto.c, so that only who checks passwords pays for EVP. */
#include "common/wire/crypto.h"

#include <openssl/evp.h>

#define SCRYPT_MEM_MAX (160u << 20)

bool crypto_scrypt(struct span password, struct span salt, const uint64_t cost[3], uint8_t *ret, size_t n)
{
    return EVP_PBE_scrypt((const char *)password.p, password.n, salt.p, salt.n, 1ull << cost[0], cost[1],
               cost[2], SCRYPT_MEM_MAX, ret, n) == 1;
}
