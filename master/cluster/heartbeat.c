#include "master/cluster/heartbeat.h"
#include "common/base/err.h"
#include "common/base/rd.h"
#include "common/base/wr.h"
#include "common/wire/crypto.h"
#include "common/wire/crypto_aead.h"

#define MAGIC   0x4d534842u /* MSHB */
#define VERSION 1
#define PURPOSE "media-server heartbeat 1"
#define ID_MASK ((UINT64_C(1) << 48) - 1)

void heartbeat_key_of(struct span text, struct heartbeat_key *ret)
{
    const struct span id = SPAN_LIT("media-server key id");
    uint8_t value[CRYPTO_SHA256_N];
    struct rd r;

    crypto_hash(CRYPTO_SHA256, &text, 1, ret->secret);
    crypto_hmac_sha256(span(ret->secret, sizeof(ret->secret)), &id, 1, value);
    r = rd_of(span(value, sizeof(value)));
    ret->id = rd_u32(&r);
}

uint64_t heartbeat_id(struct span uid)
{
    uint8_t value[CRYPTO_SHA256_N];
    struct rd r;

    crypto_hash(CRYPTO_SHA256, &uid, 1, value);
    r = rd_of(span(value, sizeof(value)));
    return rd_u64(&r) & ID_MASK;
}

/* What seals the datagrams of one start of one node. */
static void sealing_key(
    const struct heartbeat *h, const struct heartbeat_key *k, uint8_t ret[CRYPTO_SHA256_N])
{
    uint8_t who[12];
    struct wr w = wr_of(who, sizeof(who));
    const struct span pieces[] = {SPAN_LIT(PURPOSE), span(who, sizeof(who))};

    wr_u16(&w, h->cluster);
    wr_u16(&w, h->from);
    wr_u64(&w, h->boot);
    crypto_hmac_sha256(span(k->secret, sizeof(k->secret)), pieces, ARRAY_N(pieces), ret);
}

static void nonce_of(const struct heartbeat *h, uint8_t ret[AEAD_NONCE_N])
{
    struct wr w = wr_of(ret, AEAD_NONCE_N);

    wr_u32(&w, 0);
    wr_u64(&w, h->counter);
}

/* --- the head --- */

static void write_head(struct wr *w, const struct heartbeat *h)
{
    wr_u32(w, MAGIC);
    wr_u8(w, VERSION);
    wr_u8(w, h->path);
    wr_u16(w, h->cluster);
    wr_u32(w, h->key);
    wr_u16(w, h->from);
    wr_u16(w, h->to);
    wr_u64(w, h->boot);
    wr_u64(w, h->counter);
}

static bool read_head(struct rd *r, struct heartbeat *h)
{
    bool ours = rd_u32(r) == MAGIC;

    ours &= rd_u8(r) == VERSION;
    h->path = rd_u8(r);
    h->cluster = rd_u16(r);
    h->key = rd_u32(r);
    h->from = rd_u16(r);
    h->to = rd_u16(r);
    h->boot = rd_u64(r);
    h->counter = rd_u64(r);
    return ours && rd_ok(r) && h->boot != 0 && h->from != 0;
}

/* --- the body --- */

static void write_body(struct wr *w, const struct heartbeat *h)
{
    wr_u64(w, h->term);
    wr_u64(w, (uint64_t)h->wall_us);
    wr_u32(w, h->uptime_s);
    wr_u16(w, h->running);
    wr_u8(w, h->flags);
    wr_u64(w, h->challenge);
    wr_u64(w, h->answer);
    wr_u8(w, (uint8_t)h->n_peers);
    for (size_t i = 0; i < h->n_peers; i++) {
        wr_u16(w, h->peers[i].node);
        wr_u8(w, h->peers[i].flags);
        wr_u16(w, h->peers[i].age_10ms);
    }
    wr_u8(w, (uint8_t)h->n_streams);
    for (size_t i = 0; i < h->n_streams; i++) {
        const struct heartbeat_stream *s = &h->streams[i];

        wr_u16(w, (uint16_t)(s->id >> 32));
        wr_u32(w, (uint32_t)s->id);
        wr_u8(w, s->flags);
        wr_u8(w, s->age_100ms);
        wr_u16(w, s->rate);
        wr_u32(w, s->term);
    }
}

static bool read_body(struct rd *r, struct heartbeat *h)
{
    size_t n_peers, n_streams;

    h->term = rd_u64(r);
    h->wall_us = (int64_t)rd_u64(r);
    h->uptime_s = rd_u32(r);
    h->running = rd_u16(r);
    h->flags = rd_u8(r);
    h->challenge = rd_u64(r);
    h->answer = rd_u64(r);
    n_peers = rd_u8(r);
    if (n_peers > HEARTBEAT_PEERS_MAX) return false;
    for (size_t i = 0; i < n_peers; i++) {
        h->peers[i].node = rd_u16(r);
        h->peers[i].flags = rd_u8(r);
        h->peers[i].age_10ms = rd_u16(r);
    }
    n_streams = rd_u8(r);
    if (n_streams > HEARTBEAT_STREAMS_MAX) return false;
    for (size_t i = 0; i < n_streams; i++) {
        struct heartbeat_stream *s = &h->streams[i];

        s->id = (uint64_t)rd_u16(r) << 32;
        s->id |= rd_u32(r);
        s->flags = rd_u8(r);
        s->age_100ms = rd_u8(r);
        s->rate = rd_u16(r);
        s->term = rd_u32(r);
    }
    h->n_peers = n_peers;
    h->n_streams = n_streams;
    return rd_ok(r) && rd_left(r) == 0;
}

/* --- the datagram --- */

size_t heartbeat_seal(const struct heartbeat *h, const struct heartbeat_key *k, uint8_t ret[HEARTBEAT_MAX])
{
    uint8_t body[HEARTBEAT_MAX - HEARTBEAT_HEAD_N - AEAD_TAG_N], key[CRYPTO_SHA256_N], nonce[AEAD_NONCE_N];
    struct wr head = wr_of(ret, HEARTBEAT_HEAD_N), w = wr_of(body, sizeof(body));
    bool ok;

    must(h->n_peers <= HEARTBEAT_PEERS_MAX && h->n_streams <= HEARTBEAT_STREAMS_MAX);
    write_head(&head, h);
    write_body(&w, h);
    must(wr_ok(&head) && wr_ok(&w));
    sealing_key(h, k, key);
    nonce_of(h, nonce);
    ok = aead_seal(key, nonce, wr_span(&head), wr_span(&w), ret + HEARTBEAT_HEAD_N);
    explicit_bzero(key, sizeof(key));
    return ok ? HEARTBEAT_HEAD_N + w.n + AEAD_TAG_N : 0;
}

static const struct heartbeat_key *key_of(
    const struct heartbeat *h, const struct heartbeat_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].id == h->key) return &keys[i];
    return NULL;
}

enum heartbeat_bad heartbeat_open(
    struct span datagram, const struct heartbeat_key *keys, size_t n_keys, struct heartbeat *ret)
{
    struct span head = span_sub(datagram, 0, HEARTBEAT_HEAD_N),
                sealed = span_from(datagram, HEARTBEAT_HEAD_N);
    uint8_t body[HEARTBEAT_MAX], key[CRYPTO_SHA256_N], nonce[AEAD_NONCE_N];
    const struct heartbeat_key *k;
    struct rd r = rd_of(head);
    bool ok;

    *ret = (struct heartbeat){.from = 0};
    if (datagram.n < HEARTBEAT_HEAD_N + AEAD_TAG_N || datagram.n > HEARTBEAT_MAX) return HEARTBEAT_E_LENGTH;
    if (!read_head(&r, ret)) return HEARTBEAT_E_FORM;
    k = key_of(ret, keys, n_keys);
    if (!k) return HEARTBEAT_E_KEY;
    sealing_key(ret, k, key);
    nonce_of(ret, nonce);
    ok = aead_open(key, nonce, head, sealed, body);
    explicit_bzero(key, sizeof(key));
    if (!ok) return HEARTBEAT_E_FORGED;
    r = rd_of(span(body, sealed.n - AEAD_TAG_N));
    return read_body(&r, ret) ? HEARTBEAT_OK : HEARTBEAT_E_FORM;
}
