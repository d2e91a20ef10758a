/* courier/nodes, link and post: two nodes in one process, over sockets of this machine. */
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/messages.h"
#include "courier/post.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define LONGEST_US (60 * US_PER_S)

struct side {
    struct nodes *nodes;
    struct posts *posts;
    uint16_t port;
    unsigned sent, got, there;
    uint64_t last_id, last_kind, last_boot;
    int last_err;
    bool full;
    size_t last_n;
};
struct rig {
    struct loop *loop;
    struct side a, b;
    struct loop_timer look, late;
    bool (*until)(void);
    bool is_late;
};
static struct rig rig;

/* --- a node --- */

static void sent(void *arg, uint64_t id, int err)
{
    struct side *n = arg;

    n->sent++;
    n->last_id = id;
    n->last_err = err;
}

static bool got(void *arg, uint16_t node, uint64_t boot, uint64_t kind, struct span body)
{
    struct side *n = arg;

    (void)node;
    if (n->full) return false;
    n->got++;
    n->last_boot = boot;
    n->last_kind = kind;
    n->last_n = body.n;
    return true;
}

static void on_there(void *arg, struct peer *p)
{
    struct side *n = arg;

    n->there++;
    posts_there(n->posts, p);
}

static void on_away(void *arg, struct peer *p)
{
    (void)arg;
    (void)p;
}

static void on_gone(void *arg, struct peer *p)
{
    struct side *n = arg;

    posts_gone(n->posts, p);
}

static void on_question(void *arg, struct trunk *l, const struct wire_frame *f)
{
    struct side *n = arg;

    if (f->type == WIRE_POST) posts_take(n->posts, l, f);
}

static void on_trunk(void *arg, struct trunk *l)
{
    (void)arg;
    (void)l;
}

static const struct nodes_ops nodes_ops = {on_there, on_away, on_gone, on_question, on_trunk, on_trunk};
static const struct posts_ops posts_ops = {sent, got};

static void side_init(struct side *n)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int fd;

    *n = (struct side){0};
    n->nodes = nodes_new(rig.loop, &nodes_ops, n);
    n->posts = posts_new(rig.loop, n->nodes, &posts_ops, n);
    assert_int_equal(listen_tcp("127.0.0.1", 0, 16, &fd), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    n->port = ntohs(at.sin_port);
    nodes_listen(n->nodes, fd);
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

/* A letter is a key. other: number of the node that is named, at that port. */
static void conf(struct side *n, uint16_t number, const char *keys, uint16_t other, uint16_t port)
{
    struct unpack *u;
    struct packer p;
    char addr[32];
    struct buf b;

    snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
    buf_init(&b, 65536);
    p = packer_of(&b);
    pack_map(&p, 5);
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
        pack_array(&p, 1);
        pack_str(&p, span_of(addr));
    }
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    nodes_conf(n->nodes, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static void post(struct side *n, uint16_t to, uint64_t id, size_t size)
{
    uint8_t *body = mem_new(size + 1);
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 2 * 65536);
    p = packer_of(&b);
    pack_map(&p, 4);
    pack_kv_u64(&p, "id", id);
    pack_kv_u64(&p, "node", to);
    pack_kv_u64(&p, "kind", 5);
    pack_kv_bin(&p, "body", span(body, size));
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    posts_send(n->posts, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    mem_free(body);
}

/* --- the loop --- */

static void look(struct loop_timer *t)
{
    (void)t;
    if (rig.until()) loop_break(rig.loop);
}

static void late(struct loop_timer *t)
{
    (void)t;
    rig.is_late = true;
    loop_break(rig.loop);
}

static void wait_for(bool (*until)(void))
{
    rig.until = until;
    rig.is_late = false;
    loop_timer_every(rig.loop, &rig.look, US_PER_MS, look, NULL);
    loop_timer_set(rig.loop, &rig.late, LONGEST_US, late, NULL);
    loop_run(rig.loop);
    loop_timer_stop(&rig.look);
    loop_timer_stop(&rig.late);
    assert_false(rig.is_late);
}

static int set_up(void **state)
{
    (void)state;
    rig = (struct rig){.loop = loop_new()};
    side_init(&rig.a);
    side_init(&rig.b);
    return 0;
}

static bool turned(void)
{
    return true;
}

static int tear_down(void **state)
{
    struct side *both[] = {&rig.a, &rig.b};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(both); i++) {
        posts_free(both[i]->posts);
        both[i]->posts = NULL;
    }
    for (size_t i = 0; i < ARRAY_N(both); i++) {
        for (size_t k = 0; k < both[i]->nodes->n; k++) {
            mem_free(both[i]->nodes->v[k]->post);
            both[i]->nodes->v[k]->post = NULL;
        }
        both[i]->posts = posts_new(rig.loop, both[i]->nodes, &posts_ops, both[i]);
        nodes_free(both[i]->nodes);
        posts_free(both[i]->posts);
    }
    wait_for(turned); /* connections that end */
    loop_free(rig.loop);
    return 0;
}

static struct peer *of_a(void)
{
    return nodes_find(rig.a.nodes, 2);
}

static struct peer *of_b(void)
{
    return nodes_find(rig.b.nodes, 1);
}

static bool both_there(void)
{
    return of_a()->there && of_b()->there;
}

static void pair(const char *keys_a, const char *keys_b)
{
    conf(&rig.a, 1, keys_a, 2, rig.b.port);
    conf(&rig.b, 2, keys_b, 1, rig.a.port);
}

/* --- tests --- */

static bool answered(void)
{
    return rig.a.sent == 1;
}

static void a_message(void **state)
{
    (void)state;
    pair("x", "x");
    wait_for(both_there);
    post(&rig.a, 2, 77, 1000);
    wait_for(answered);
    assert_int_equal(rig.a.last_id, 77);
    assert_int_equal(rig.a.last_err, 0);
    assert_int_equal(rig.b.got, 1);
    assert_int_equal(rig.b.last_kind, 5);
    assert_int_equal(rig.b.last_boot, 1001);
    assert_int_equal(rig.b.last_n, 1000);
}

static void at_the_limit(void **state)
{
    (void)state;
    pair("x", "x");
    wait_for(both_there);
    post(&rig.a, 2, 1, NET_BODY_MAX);
    wait_for(answered);
    assert_int_equal(rig.a.last_err, 0);
    assert_int_equal(rig.b.last_n, NET_BODY_MAX);
    post(&rig.a, 2, 2, NET_BODY_MAX + 1);
    assert_int_equal(rig.a.last_err, EMSGSIZE);
    post(&rig.a, 9, 3, 1);
    assert_int_equal(rig.a.last_err, EHOSTUNREACH);
    assert_int_equal(rig.b.got, 1);
}

static void nobody_there(void **state)
{
    (void)state;
    conf(&rig.a, 1, "x", 2, 1);
    post(&rig.a, 2, 1, 1);
    wait_for(answered);
    assert_int_equal(rig.a.last_err, EHOSTUNREACH);
}

static void no_room_there(void **state)
{
    (void)state;
    pair("x", "x");
    wait_for(both_there);
    rig.b.full = true;
    post(&rig.a, 2, 1, 1);
    wait_for(answered);
    assert_int_equal(rig.a.last_err, ENOBUFS);
}

static bool refused(void)
{
    return rig.b.nodes->refused > 0;
}

static void another_key(void **state)
{
    (void)state;
    conf(&rig.b, 2, "y", 1, 1);
    conf(&rig.a, 1, "x", 2, rig.b.port);
    wait_for(refused);
    assert_false(of_a()->there);
    assert_false(of_b()->in != NULL);
}

/* A node that the nodes file does not name. */
static void a_stranger(void **state)
{
    (void)state;
    conf(&rig.b, 2, "x", 3, 1);
    conf(&rig.a, 1, "x", 2, rig.b.port);
    wait_for(refused);
    assert_false(of_a()->there);
}

/* What answers at that address is another node than the one that is meant. */
static void the_wrong_node(void **state)
{
    (void)state;
    conf(&rig.b, 3, "x", 1, 1);
    conf(&rig.a, 1, "x", 2, rig.b.port);
    wait_for(refused);
    assert_false(of_a()->there);
}

static void our_own_number(void **state)
{
    (void)state;
    conf(&rig.b, 1, "x", 2, 1);
    conf(&rig.a, 1, "x", 2, rig.b.port);
    wait_for(refused);
    assert_false(of_a()->there);
}

/* --- another key, while messages go --- */

#define MANY 300
static unsigned posted;

static bool all_answered(void)
{
    static unsigned long turn;

    turn++;
    if (posted < MANY) post(&rig.a, 2, ++posted, 10);
    /* the steps of docs/cluster.md, one at a time */
    if (posted == 50) conf(&rig.a, 1, "xy", 2, rig.b.port);
    if (posted == 80) conf(&rig.b, 2, "xy", 1, rig.a.port);
    if (posted == 120) conf(&rig.a, 1, "yx", 2, rig.b.port);
    if (posted == 150) conf(&rig.b, 2, "yx", 1, rig.a.port);
    if (posted == 200) conf(&rig.a, 1, "y", 2, rig.b.port);
    if (posted == 250) conf(&rig.b, 2, "y", 1, rig.a.port);
    return rig.a.sent == MANY;
}

static void keys_that_change(void **state)
{
    (void)state;
    posted = 0;
    pair("x", "x");
    wait_for(both_there);
    wait_for(all_answered);
    assert_int_equal(rig.b.got, MANY);
    assert_int_equal(rig.a.last_err, 0);
    assert_int_equal(of_a()->out->key_id, 'y');
}

/* --- who says what he should not --- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void no_tls(void **state)
{
    int fd;

    (void)state;
    pair("x", "x");
    wait_for(both_there);
    fd = connect_to(rig.b.port);
    assert_int_equal(fd_write_all(fd, SPAN_LIT("GET / HTTP/1.0\r\n\r\n")), 0);
    wait_for(refused);
    fd_close(&fd);
    assert_true(both_there());
}

static struct trunk *hostile;
static unsigned hostile_ended;

static bool hostile_hello(struct trunk *l, const char **ret_why)
{
    (void)l;
    (void)ret_why;
    return true;
}

static void hostile_frame(struct trunk *l, const struct wire_frame *f)
{
    (void)l;
    (void)f;
}

static void hostile_room(struct trunk *l)
{
    (void)l;
}

static void hostile_end(struct trunk *l, const char *why)
{
    (void)why;
    hostile_ended++;
    trunk_free(l);
    hostile = NULL;
}

static const struct trunk_ops hostile_ops = {hostile_hello, hostile_frame, hostile_room, hostile_end};

static bool hostile_greeted(void)
{
    return hostile && hostile->greeted;
}

static bool hostile_out(void)
{
    return hostile_ended > 0;
}

/* Somebody who has the key, as node 1, says what is no frame: his connection ends, and nothing else. */
static void a_node_gone_mad(void **state)
{
    const struct span frames[] = {SPAN_LIT("\0\0\0\0"), SPAN_LIT("\xff\xff\xff\xff"),
        SPAN_LIT("\0\0\0\1\xc0"), SPAN_LIT("\0\0\0\4\x93\x63\1\x80"), /* no such number */
        SPAN_LIT("\0\0\0\4\x93\3\1\x80"),                             /* END is for who was asked */
        SPAN_LIT("\0\0\0\4\x93\1\1\x80"),                             /* HELLO again */
        SPAN_LIT("\0\0\0\3\x92\2\1"), SPAN_LIT("\0\0\0\4\x93\x0a\1\x80") /* a message without a number */};
    struct tls_mutual_setup s = {.group = SPAN_LIT("1"), .n_keys = 1, .keys = {{.id = 'x'}}};
    const struct trunk_self self = {.node = 1, .cluster = 1, .boot = 5, .run = 6};
    struct tls_mutual *keys;

    (void)state;
    memset(s.keys[0].secret, 'x', sizeof(s.keys[0].secret));
    assert_int_equal(tls_mutual_new(&s, &keys), 0);
    conf(&rig.b, 2, "x", 1, 1);
    for (size_t i = 0; i < ARRAY_N(frames); i++) {
        hostile_ended = 0;
        hostile = trunk_new(rig.loop, connect_to(rig.b.port), keys, &self, 2, &hostile_ops);
        wait_for(hostile_greeted);
        conn_send(hostile->conn, frames[i]);
        wait_for(hostile_out);
        assert_int_equal(rig.b.got, 0);
    }
    tls_mutual_unref(keys);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_message),
        T(at_the_limit),
        T(nobody_there),
        T(no_room_there),
        T(another_key),
        T(a_stranger),
        T(the_wrong_node),
        T(our_own_number),
        T(keys_that_change),
        T(no_tls),
        T(a_node_gone_mad),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
