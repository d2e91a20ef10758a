#include "httpd/proven.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/crypto.h"

#include <pthread.h>

struct entry {
    uint8_t mac[CRYPTO_SHA256_N];
    usec_t until_us; /* 0: free */
};
struct proven {
    pthread_mutex_t lock;
    uint8_t key[CRYPTO_SHA256_N];
    struct entry v[PROVEN_MAX];
    size_t at;
};

struct proven *proven_new(void)
{
    struct proven *k = NEW(struct proven);

    pthread_mutex_init(&k->lock, NULL);
    rng_bytes(k->key, sizeof(k->key));
    return k;
}

void proven_free(struct proven *k)
{
    if (!k) return;
    pthread_mutex_destroy(&k->lock);
    explicit_bzero(k, sizeof(*k));
    mem_free(k);
}

static void mac_of(const struct proven *k, const struct account *a, struct span password, uint8_t *ret)
{
    const struct span none = span("", 1);
    const struct span pieces[] = {
        SPAN_LIT("proven"), none, span_of(a->login), none, secret_reveal(&a->password), none, password};

    crypto_hmac_sha256(span(k->key, sizeof(k->key)), pieces, ARRAY_N(pieces), ret);
}

/* With the lock. The time it takes does not tell how much of one was right. */
static struct entry *find(struct proven *k, const uint8_t *mac, usec_t now_us)
{
    struct entry *found = NULL;

    for (size_t i = 0; i < PROVEN_MAX; i++)
        if (crypto_equal(span(k->v[i].mac, CRYPTO_SHA256_N), span(mac, CRYPTO_SHA256_N)) &&
            now_us < k->v[i].until_us)
            found = &k->v[i];
    return found;
}

void proven_add(struct proven *k, const struct account *a, struct span password, usec_t now_us)
{
    uint8_t mac[CRYPTO_SHA256_N];
    struct entry *e;

    if (!k) return;
    mac_of(k, a, password, mac);
    pthread_mutex_lock(&k->lock);
    e = find(k, mac, now_us);
    if (!e) e = &k->v[k->at++ % PROVEN_MAX];
    memcpy(e->mac, mac, sizeof(e->mac));
    e->until_us = now_us + PROVEN_US;
    pthread_mutex_unlock(&k->lock);
}

bool proven_has(struct proven *k, const struct account *a, struct span password, usec_t now_us)
{
    uint8_t mac[CRYPTO_SHA256_N];
    bool has;

    if (!k) return false;
    mac_of(k, a, password, mac);
    pthread_mutex_lock(&k->lock);
    has = find(k, mac, now_us) != NULL;
    pthread_mutex_unlock(&k->lock);
    return has;
}
