/* master/cluster/heartbeat: what is sealed is opened, and nothing else is. */
#include "master/cluster/heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KEY   SPAN_LIT("0123456789abcdef0123456789abcdef0123456789a")
#define OTHER SPAN_LIT("another key, that is as long as that one is, or longer")

static struct heartbeat full(const struct heartbeat_key *k)
{
    struct heartbeat h = {.path = 3,
        .cluster = 7,
        .from = 65535,
        .to = 2,
        .key = k->id,
        .boot = 0x1122334455667788,
        .counter = UINT64_MAX,
        .term = 1u << 31,
        .wall_us = INT64_MAX,
        .uptime_s = UINT32_MAX,
        .running = 1000,
        .flags = HEARTBEAT_WARMING | HEARTBEAT_FULL,
        .challenge = 5,
        .answer = UINT64_MAX,
        .n_peers = HEARTBEAT_PEERS_MAX,
        .n_streams = HEARTBEAT_STREAMS_MAX};

    for (size_t i = 0; i < h.n_peers; i++)
        h.peers[i] = (struct heartbeat_peer){(uint16_t)(i + 1), i & 1, (uint16_t)(i * 100)};
    for (size_t i = 0; i < h.n_streams; i++)
        h.streams[i] = (struct heartbeat_stream){heartbeat_id(span(&i, sizeof(i))), (uint8_t)i,
            (uint8_t)(255 - i), (uint16_t)(i * 900), (uint32_t)(i << 20)};
    return h;
}

static void round_trip(void **state)
{
    struct heartbeat_key keys[2];
    uint8_t bytes[HEARTBEAT_MAX];
    struct heartbeat h, got;
    size_t n;

    (void)state;
    heartbeat_key_of(OTHER, &keys[0]);
    heartbeat_key_of(KEY, &keys[1]);
    assert_int_not_equal(keys[0].id, keys[1].id);
    h = full(&keys[1]);
    n = heartbeat_seal(&h, &keys[1], bytes);
    assert_in_range(n, 1, HEARTBEAT_MAX);
    assert_int_equal(heartbeat_open(span(bytes, n), keys, 2, &got), HEARTBEAT_OK);
    assert_memory_equal(&h, &got, sizeof(h));
    h.n_peers = h.n_streams = 0;
    n = heartbeat_seal(&h, &keys[1], bytes);
    assert_int_equal(heartbeat_open(span(bytes, n), keys, 2, &got), HEARTBEAT_OK);
    assert_int_equal(got.n_streams, 0);
    assert_int_equal(heartbeat_open(span(bytes, n), keys, 1, &got), HEARTBEAT_E_KEY);
}

/* R44: every bit of it counts. */
static void bit_flips(void **state)
{
    struct heartbeat_key k;
    uint8_t bytes[HEARTBEAT_MAX];
    struct heartbeat h, got;
    size_t n;

    (void)state;
    heartbeat_key_of(KEY, &k);
    h = full(&k);
    n = heartbeat_seal(&h, &k, bytes);
    for (size_t i = 0; i < n * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(heartbeat_open(span(bytes, n), &k, 1, &got), HEARTBEAT_OK);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(heartbeat_open(span(bytes, n), &k, 1, &got), HEARTBEAT_OK);
}

static void lengths(void **state)
{
    uint8_t bytes[HEARTBEAT_MAX + 1] = {0};
    struct heartbeat_key k;
    struct heartbeat h, got;
    size_t n;

    (void)state;
    heartbeat_key_of(KEY, &k);
    h = full(&k);
    n = heartbeat_seal(&h, &k, bytes);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            heartbeat_open(span(bytes, i), &k, 1, &got), i < 48 ? HEARTBEAT_E_LENGTH : HEARTBEAT_E_FORGED);
    assert_int_equal(heartbeat_open(span(bytes, n + 1), &k, 1, &got), HEARTBEAT_E_FORGED);
    assert_int_equal(heartbeat_open(span(bytes, HEARTBEAT_MAX + 1), &k, 1, &got), HEARTBEAT_E_LENGTH);
    bytes[4] ^= 1;
    assert_int_equal(heartbeat_open(span(bytes, n), &k, 1, &got), HEARTBEAT_E_FORM);
}

/* The key is good, and what is sealed is not: one who has the key, and is of another mind. */
static void nobody_is_sealed(void **state)
{
    uint8_t bytes[HEARTBEAT_MAX];
    struct heartbeat_key k;
    struct heartbeat h, got;
    size_t n;

    (void)state;
    heartbeat_key_of(KEY, &k);
    h = full(&k);
    h.boot = 0;
    n = heartbeat_seal(&h, &k, bytes);
    assert_int_equal(heartbeat_open(span(bytes, n), &k, 1, &got), HEARTBEAT_E_FORM);
    h.boot = 1;
    h.from = 0;
    n = heartbeat_seal(&h, &k, bytes);
    assert_int_equal(heartbeat_open(span(bytes, n), &k, 1, &got), HEARTBEAT_E_FORM);
}

static void ids(void **state)
{
    (void)state;
    assert_true(heartbeat_id(SPAN_LIT("cam-1")) != heartbeat_id(SPAN_LIT("cam-2")));
    assert_true(heartbeat_id(SPAN_LIT("cam-1")) < UINT64_C(1) << 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(bit_flips),
        cmocka_unit_test(lengths),
        cmocka_unit_test(nobody_is_sealed),
        cmocka_unit_test(ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
