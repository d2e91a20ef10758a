#include "tests/support/courier_pair.h"
#include "tests/support/loop_wait.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MESSAGE_MAX (2u << 16)

struct pair pair;

struct packer pair_pack(struct buf *b, uint32_t pairs)
{
    struct packer p;

    buf_init(b, MESSAGE_MAX);
    p = packer_of(b);
    pack_map(&p, pairs);
    return p;
}

struct unpack *pair_unpack(const struct buf *b)
{
    struct unpack *u;

    assert_int_equal(unpack_new(buf_span(b), &u), 0);
    return u;
}

static void pack_keys(struct packer *p, const char *keys)
{
    pack_key(p, "keys");
    pack_array(p, (uint32_t)strlen(keys));
    for (; *keys; keys++) {
        uint8_t secret[TLS_MUTUAL_KEY_N];

        memset(secret, *keys, sizeof(secret));
        pack_map(p, 2);
        pack_kv_u64(p, "id", (uint64_t)*keys);
        pack_kv_bin(p, "secret", span(secret, sizeof(secret)));
    }
}

/* addrs: with commas; "": there is no other. */
void pair_conf_at(struct nodes *n, uint16_t number, const char *keys, uint16_t other, const char *addrs)
{
    struct span rest = span_of(addrs), one;
    uint32_t count = 1;
    struct unpack *u;
    struct packer p;
    struct buf b;

    for (const char *c = addrs; *c; c++) count += *c == ',';
    p = pair_pack(&b, 5);
    pack_kv_u64(&p, "node", number);
    pack_kv_u64(&p, "cluster", 1);
    pack_kv_u64(&p, "boot", 1000u + number);
    pack_keys(&p, keys);
    pack_key(&p, "nodes");
    pack_array(&p, other ? 1 : 0);
    if (other) {
        pack_map(&p, 2);
        pack_kv_u64(&p, "node", other);
        pack_key(&p, "addrs");
        pack_array(&p, count);
        while (rest.n > 0 && span_split(&rest, ',', &one)) pack_str(&p, one);
    }
    u = pair_unpack(&b);
    nodes_conf(n, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

void pair_conf(struct nodes *n, uint16_t number, const char *keys, uint16_t other, uint16_t port)
{
    char addr[32];

    snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
    pair_conf_at(n, number, keys, other, addr);
}

int pair_connect(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static uint16_t listen_here(struct nodes *n)
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);
    int fd;

    assert_int_equal(listen_tcp("127.0.0.1", 0, 16, &fd), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    nodes_listen(n, fd);
    return ntohs(at.sin_port);
}

void pair_start(const struct nodes_ops *ops, void *arg_a, void *arg_b)
{
    pair = (struct pair){.loop = loop_new()};
    pair.a = nodes_new(pair.loop, ops, arg_a);
    pair.b = nodes_new(pair.loop, ops, arg_b);
    pair.port_a = listen_here(pair.a);
    pair.port_b = listen_here(pair.b);
}

static bool turned(void)
{
    return true;
}

void pair_stop(void)
{
    nodes_free(pair.a);
    nodes_free(pair.b);
    pair_wait(turned); /* connections that end */
    loop_free(pair.loop);
}

struct peer *pair_of_a(void)
{
    return nodes_find(pair.a, 2);
}

struct peer *pair_of_b(void)
{
    return nodes_find(pair.b, 1);
}

bool pair_both_there(void)
{
    return pair_of_a()->there && pair_of_b()->there;
}

void pair_meet(const char *keys_a, const char *keys_b)
{
    pair_conf(pair.a, 1, keys_a, 2, pair.port_b);
    pair_conf(pair.b, 2, keys_b, 1, pair.port_a);
    pair_wait(pair_both_there);
}

void pair_wait(bool (*until)(void))
{
    loop_wait(pair.loop, until);
}
