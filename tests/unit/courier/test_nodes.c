/* courier/nodes, link and post: two nodes in one process, over sockets of this machine. */
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/messages.h"
#include "courier/post.h"
#include "tests/support/courier_pair.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

struct side {
    struct nodes *nodes;
    struct posts *posts;
    unsigned sent, got, there;
    uint64_t last_id, last_kind, last_boot;
    int last_err;
    bool full;
    size_t last_n;
};
struct rig {
    struct side a, b;
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

    if (n->posts) posts_gone(n->posts, p);
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

static void post(struct side *n, uint16_t to, uint64_t id, size_t size)
{
    uint8_t *body = mem_new(size + 1);
    struct buf b;
    struct packer p = pair_pack(&b, 4);
    struct unpack *u;

    pack_kv_u64(&p, "id", id);
    pack_kv_u64(&p, "node", to);
    pack_kv_u64(&p, "kind", 5);
    pack_kv_bin(&p, "body", span(body, size));
    u = pair_unpack(&b);
    posts_send(n->posts, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    mem_free(body);
}

static int set_up(void **state)
{
    (void)state;
    rig = (struct rig){0};
    pair_start(&nodes_ops, &rig.a, &rig.b);
    rig.a.nodes = pair.a;
    rig.b.nodes = pair.b;
    rig.a.posts = posts_new(pair.loop, pair.a, &posts_ops, &rig.a);
    rig.b.posts = posts_new(pair.loop, pair.b, &posts_ops, &rig.b);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    posts_free(rig.a.posts);
    posts_free(rig.b.posts);
    rig.a.posts = rig.b.posts = NULL;
    pair_stop();
    return 0;
}

/* --- tests --- */

static bool answered(void)
{
    return rig.a.sent == 1;
}

static void a_message(void **state)
{
    (void)state;
    pair_meet("x", "x");
    post(&rig.a, 2, 77, 1000);
    pair_wait(answered);
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
    pair_meet("x", "x");
    post(&rig.a, 2, 1, NET_BODY_MAX);
    pair_wait(answered);
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
    pair_conf(pair.a, 1, "x", 2, 1);
    post(&rig.a, 2, 1, 1);
    pair_wait(answered);
    assert_int_equal(rig.a.last_err, EHOSTUNREACH);
}

static void no_room_there(void **state)
{
    (void)state;
    pair_meet("x", "x");
    rig.b.full = true;
    post(&rig.a, 2, 1, 1);
    pair_wait(answered);
    assert_int_equal(rig.a.last_err, ENOBUFS);
}

static bool refused(void)
{
    return rig.b.nodes->refused > 0;
}

/* The first of its addresses answers nobody: it is met over the second. */
static void another_address(void **state)
{
    char addrs[64];

    (void)state;
    snprintf(addrs, sizeof(addrs), "127.0.0.1:1,127.0.0.1:%u", pair.port_b);
    pair_conf_at(pair.a, 1, "x", 2, addrs);
    pair_conf(pair.b, 2, "x", 1, pair.port_a);
    pair_wait(pair_both_there);
    post(&rig.a, 2, 1, 10);
    pair_wait(answered);
    assert_int_equal(rig.a.last_err, 0);
}

static void another_key(void **state)
{
    (void)state;
    pair_conf(pair.b, 2, "y", 1, 1);
    pair_conf(pair.a, 1, "x", 2, pair.port_b);
    pair_wait(refused);
    assert_false(pair_of_a()->there);
    assert_false(pair_of_b()->in != NULL);
}

/* A node that the nodes file does not name. */
static void a_stranger(void **state)
{
    (void)state;
    pair_conf(pair.b, 2, "x", 3, 1);
    pair_conf(pair.a, 1, "x", 2, pair.port_b);
    pair_wait(refused);
    assert_false(pair_of_a()->there);
}

/* What answers at that address is another node than the one that is meant. */
static void the_wrong_node(void **state)
{
    (void)state;
    pair_conf(pair.b, 3, "x", 1, 1);
    pair_conf(pair.a, 1, "x", 2, pair.port_b);
    pair_wait(refused);
    assert_false(pair_of_a()->there);
}

static void our_own_number(void **state)
{
    (void)state;
    pair_conf(pair.b, 1, "x", 2, 1);
    pair_conf(pair.a, 1, "x", 2, pair.port_b);
    pair_wait(refused);
    assert_false(pair_of_a()->there);
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
    if (posted == 50) pair_conf(pair.a, 1, "xy", 2, pair.port_b);
    if (posted == 80) pair_conf(pair.b, 2, "xy", 1, pair.port_a);
    if (posted == 120) pair_conf(pair.a, 1, "yx", 2, pair.port_b);
    if (posted == 150) pair_conf(pair.b, 2, "yx", 1, pair.port_a);
    if (posted == 200) pair_conf(pair.a, 1, "y", 2, pair.port_b);
    if (posted == 250) pair_conf(pair.b, 2, "y", 1, pair.port_a);
    return rig.a.sent == MANY;
}

static void keys_that_change(void **state)
{
    (void)state;
    posted = 0;
    pair_meet("x", "x");
    pair_wait(all_answered);
    assert_int_equal(rig.b.got, MANY);
    assert_int_equal(rig.a.last_err, 0);
    assert_int_equal(pair_of_a()->out->key_id, 'y');
}

/* --- who says what he should not --- */

static void no_tls(void **state)
{
    int fd;

    (void)state;
    pair_meet("x", "x");
    fd = pair_connect(pair.port_b);
    assert_int_equal(fd_write_all(fd, SPAN_LIT("GET / HTTP/1.0\r\n\r\n")), 0);
    pair_wait(refused);
    fd_close(&fd);
    assert_true(pair_both_there());
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
    pair_conf(pair.b, 2, "x", 1, 1);
    for (size_t i = 0; i < ARRAY_N(frames); i++) {
        hostile_ended = 0;
        hostile = trunk_new(pair.loop, pair_connect(pair.port_b), keys, &self, 2, &hostile_ops);
        pair_wait(hostile_greeted);
        conn_send(hostile->conn, frames[i]);
        pair_wait(hostile_out);
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
        T(another_address),
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
