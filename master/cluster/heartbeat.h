/* A heartbeat: one datagram from a node to a node, at most HEARTBEAT_MAX bytes. Pure: no socket, no clock.
 *
 *   head, 32 bytes, protected and readable:  magic u32, version u8, path u8, cluster u16, key u32, from u16,
 *                                            to u16, boot u64, counter u64
 *   body, sealed by AES-256-GCM:             term u64, wall_us i64, uptime_s u32, streams u16, flags u8,
 *                                            challenge u64, answer u64,
 *                                            n u8 and n times: node u16, flags u8, age u16 (10 ms)
 *                                            n u8 and n times: id u48, flags u8, age u8 (100 ms), rate u16
 *                                            (16 kbit/s), term u32
 *   tag, 16 bytes
 *
 * The sealing key is HMAC-SHA-256(cluster's key, "media-server heartbeat 1", cluster, from, boot), the nonce
 * is the counter: boot is random at each start, so neither comes twice. Numbers are big-endian.
 * Tests: tests/unit/cluster/test_heartbeat.c, fuzz: tests/fuzz/fuzz_heartbeat.c. */
#ifndef CLUSTER_HEARTBEAT_H
#define CLUSTER_HEARTBEAT_H

#include "common/base/span.h"

#define HEARTBEAT_MAX         1200
#define HEARTBEAT_HEAD_N      32
#define HEARTBEAT_PEERS_MAX   16
#define HEARTBEAT_STREAMS_MAX 70
#define HEARTBEAT_KEY_MIN     43 /* characters of a key: 256 bits as base64 */
#define HEARTBEAT_NEVER       UINT16_MAX
#define HEARTBEAT_RATE_UNIT   16000u

/* Conditions. */
enum heartbeat_bad {
    HEARTBEAT_OK = 0,
    HEARTBEAT_E_LENGTH, /* shorter than any, or longer than HEARTBEAT_MAX */
    HEARTBEAT_E_FORM,   /* no heartbeat, of another version, or sealed nonsense */
    HEARTBEAT_E_KEY,    /* under a key that we do not have */
    HEARTBEAT_E_FORGED  /* changed on its way, or not made by who has the key */
};

/* Of the sender. */
enum {
    HEARTBEAT_WARMING = 1,  /* takes nothing over yet */
    HEARTBEAT_DRAINING = 2, /* gives away what it records */
    HEARTBEAT_FULL = 4,     /* takes nothing more over */
    HEARTBEAT_LEAVING = 8,  /* ends now */
    HEARTBEAT_TIGHT = 16    /* what it might take over has no room here but that of what is to stay */
};
/* Of another node, as the sender sees it. */
enum { HEARTBEAT_TWICE = 1 /* two servers have its number */ };
/* Of a stream, at the sender's. */
enum {
    HEARTBEAT_RUNS = 1,     /* it has a worker for it */
    HEARTBEAT_GOOD = 2,     /* what comes is recorded, or taken where it is not to be recorded */
    HEARTBEAT_READY = 4,    /* and somebody could play from a key frame what was recorded since it began */
    HEARTBEAT_STARTING = 8, /* too early to tell */
    HEARTBEAT_REFUSED = 16  /* the camera is full: it allows no further session */
};

/* The highest three bits: place in the stream's order, from 1, of a node that the sender hears itself and
 * that has it ready; 0: none. */
#define HEARTBEAT_SEES_SHIFT 5

struct heartbeat_key {
    uint32_t id; /* tells keys apart, and nothing about them */
    uint8_t secret[32];
};
struct heartbeat_peer {
    uint16_t node;
    uint8_t flags;
    uint16_t age_10ms; /* since the sender heard it; HEARTBEAT_NEVER */
};
struct heartbeat_stream {
    uint64_t id; /* heartbeat_id() of its uid */
    uint8_t flags;
    uint8_t age_100ms; /* since what it has to show grew last */
    uint16_t rate;     /* of the camera, in HEARTBEAT_RATE_UNIT */
    uint32_t term;     /* by which the sender holds it; 0: it does not */
};
struct heartbeat {
    uint8_t path; /* which of its ways to the receiver the sender has used, from 0 */
    uint16_t cluster, from, to;
    uint32_t key;
    uint64_t boot, counter;
    uint64_t term; /* the highest that the sender knows */
    int64_t wall_us;
    uint32_t uptime_s;
    uint16_t running; /* streams */
    uint8_t flags;
    uint64_t challenge; /* asks the receiver for the same number as answer; 0: nothing is asked */
    uint64_t answer;
    size_t n_peers, n_streams;
    struct heartbeat_peer peers[HEARTBEAT_PEERS_MAX];
    struct heartbeat_stream streams[HEARTBEAT_STREAMS_MAX];
};

void heartbeat_key_of(struct span text, struct heartbeat_key *ret);
/* 48 bits of a uid. */
uint64_t heartbeat_id(struct span uid);
/* Bytes written, at most HEARTBEAT_MAX; 0: libcrypto has no memory. h->key is that of k. */
size_t heartbeat_seal(const struct heartbeat *h, const struct heartbeat_key *k, uint8_t ret[HEARTBEAT_MAX]);
/* Under one of the keys. What is not HEARTBEAT_OK leaves *ret with its head alone, as far as it was read. */
enum heartbeat_bad heartbeat_open(
    struct span datagram, const struct heartbeat_key *keys, size_t n_keys, struct heartbeat *ret);

#endif
