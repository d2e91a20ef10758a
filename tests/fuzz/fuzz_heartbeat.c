/* Heartbeats: a datagram that was not sealed is none; what somebody with the key has sealed, whatever it is,
 * is read within its bounds, and what is read is sealed and read again as it was. The first byte says which.
 */
#include "common/base/wr.h"
#include "common/wire/crypto.h"
#include "common/wire/crypto_aead.h"
#include "master/cluster/heartbeat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct heartbeat_key key;

/* The head of a heartbeat of node 2, and the bytes as its body. */
static size_t seal(struct span body, uint8_t ret[HEARTBEAT_MAX])
{
    struct heartbeat h = {.from = 2, .to = 1, .key = key.id, .boot = 1, .counter = 1};
    uint8_t sealing[CRYPTO_SHA256_N], who[12], nonce[AEAD_NONCE_N] = {[AEAD_NONCE_N - 1] = 1};
    struct wr w = wr_of(who, sizeof(who));
    const struct span pieces[] = {SPAN_LIT("media-server heartbeat 1"), span(who, sizeof(who))};

    if (heartbeat_seal(&h, &key, ret) == 0) return 0;
    wr_u16(&w, 0);
    wr_u16(&w, 2);
    wr_u64(&w, 1);
    crypto_hmac_sha256(span(key.secret, sizeof(key.secret)), pieces, ARRAY_N(pieces), sealing);
    if (!aead_seal(sealing, nonce, span(ret, HEARTBEAT_HEAD_N), body, ret + HEARTBEAT_HEAD_N)) return 0;
    return HEARTBEAT_HEAD_N + body.n + AEAD_TAG_N;
}

static void round_trip(const struct heartbeat *h)
{
    uint8_t bytes[HEARTBEAT_MAX];
    struct heartbeat again;
    size_t n = heartbeat_seal(h, &key, bytes);

    if (heartbeat_open(span(bytes, n), &key, 1, &again) != HEARTBEAT_OK) __builtin_trap();
    if (again.n_streams != h->n_streams || again.n_peers != h->n_peers || again.term != h->term)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t bytes[HEARTBEAT_MAX];
    struct heartbeat h;
    size_t sealed;

    if (key.id == 0) heartbeat_key_of(SPAN_LIT("nobody can know this, since it is only here"), &key);
    if (n == 0) return 0;
    if (data[0] & 1) {
        if (heartbeat_open(span(data + 1, n - 1), &key, 1, &h) == HEARTBEAT_OK) __builtin_trap();
        return 0;
    }
    if (n - 1 > HEARTBEAT_MAX - HEARTBEAT_HEAD_N - AEAD_TAG_N) return 0;
    sealed = seal(span(data + 1, n - 1), bytes);
    if (heartbeat_open(span(bytes, sealed), &key, 1, &h) == HEARTBEAT_OK) round_trip(&h);
    return 0;
}
