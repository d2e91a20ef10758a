/* master/cluster/transfer: another order that somebody gives the stream meanwhile counts, in every phase,
 * also behind a restart of the node that leads. Node 1 leads, nodes 2 and 3 are away. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/cluster/records_impl.h"
#include "master/cluster/takes.h"
#include "master/cluster/transfer_impl.h"
#include "master/edits.h"
#include "tests/support/courier_pair.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define UID "cam"

static struct {
    char dir[64], path[96], uid[8];
    struct master *m;
    struct conf *conf;
    struct conf_stream *stream;
    struct stream fleet;
    struct cluster_stream placed;
} rig;

static struct transfer *led(void)
{
    return transfers_find(rig.m->cluster->transfers, SPAN_LIT(UID));
}

/* The stream's order of nodes as this node's configuration has it. */
static void order_is(int64_t first, int64_t second)
{
    rig.placed.nodes[0] = first;
    rig.placed.nodes[1] = second;
    rig.placed.place.n = second > 0 ? 2 : 1;
}

static void file_is(const char *text)
{
    CLEANUP(fd_close) int fd = open(rig.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, span_of(text)), 0);
}

static int set_up(void **state)
{
    struct cluster *c;

    (void)state;
    memset(&rig, 0, sizeof(rig));
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    snprintf(rig.path, sizeof(rig.path), "%s/cam.ini", rig.dir);
    snprintf(rig.uid, sizeof(rig.uid), "%s", UID);
    rig.m = NEW(struct master);
    rig.m->loop = loop_new();
    rig.m->conf = rig.conf = NEW(struct conf);
    rig.conf->server.node_id = 1;
    rig.stream = NEW(struct conf_stream);
    rig.stream->uid = rig.uid;
    rig.stream->file = rig.path;
    rig.conf->streams = &rig.stream;
    rig.conf->n_streams = 1;
    (void)map_set(&rig.conf->by_uid, SPAN_LIT(UID), rig.stream);
    rig.fleet = (struct stream){.m = rig.m, .conf = rig.stream, .cluster = &rig.placed, .uid = UID};
    (void)map_set(&rig.m->fleet.by_uid, SPAN_LIT(UID), &rig.fleet);
    rig.m->cluster = c = NEW(struct cluster);
    c->m = rig.m;
    c->boot = 11;
    c->nodes = mem_new_n(2, sizeof(*c->nodes));
    memset(c->nodes, 0, 2 * sizeof(*c->nodes));
    c->nodes[0].member.id = 2;
    c->nodes[1].member.id = 3;
    c->n_nodes = 2;
    list_init(&c->net_waits);
    rig.m->state_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->file = state_file_new(rig.m->state_dir, "term");
    assert_non_null(c->file);
    file_is("primary-node = 1\n");
    order_is(1, 0);
    assert_int_equal(files_open(c), 0);
    assert_int_equal(transfers_open(c), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct cluster *c = rig.m->cluster;

    (void)state;
    transfers_close(c);
    files_close(c);
    takes_close(c);
    records_stop(c);
    state_file_free(c->file);
    loop_free(rig.m->loop);
    secret_done(&rig.conf->server.cluster_store);
    close(rig.m->state_dir);
    tool_rmdir(rig.dir);
    map_done(&rig.m->fleet.by_uid);
    map_done(&rig.conf->by_uid);
    mem_free(c->nodes);
    mem_free(c);
    mem_free(rig.stream);
    mem_free(rig.conf);
    mem_free(rig.m);
    return 0;
}

/* From node 1 to node 3, which has not taken its file. */
static struct transfer *begin(void)
{
    struct transfers *t = rig.m->cluster->transfers;
    struct transfer *x = t->v[t->n++] = NEW(struct transfer);

    span_copy(SPAN_LIT(UID), x->uid, sizeof(x->uid));
    x->to[x->n_to++].node = 3;
    x->from[x->n_from++].node = 1;
    return x;
}

/* This version of the stream's file, which lies here, is what node 2 has. */
static void pushed_by_2(uint64_t term, const char *text, int64_t first, int64_t second)
{
    char etag[EDITS_ETAG_MAX];
    struct packer p;
    struct buf b;

    file_is(text);
    order_is(first, second);
    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_u64(&p, "v", 1);
    pack_kv_u64(&p, "kind", SPREAD_HAVE);
    pack_key(&p, "rows");
    pack_array(&p, 1);
    pack_array(&p, 4);
    pack_str(&p, SPAN_LIT(UID));
    stamp_pack(&p, &(struct stamp){term, 2, 22});
    pack_str(&p, span_of(edits_etag(span_of(text), etag)));
    pack_bool(&p, false);
    files_got(rig.m, 2, 22, buf_span(&b));
    buf_done(&b);
    assert_int_equal(files_version(rig.m, UID)->stamp.term, term);
}

/* What leads here is in state-dir. */
static bool is_kept(void)
{
    struct transfers t = {.n = 0};
    const struct transfer *x = led();
    bool same;

    transfers_load(&t, rig.m->state_dir);
    same = t.n == 1 && stamp_cmp(&t.v[0]->order, &x->order) == 0 && strcmp(t.v[0]->before, x->before) == 0;
    for (size_t i = 0; i < t.n; i++) mem_free(t.v[i]);
    return same;
}

static void restart(void)
{
    usec_t until_us = clock_mono_us() + 60 * US_PER_S;

    while (!is_kept()) {
        assert_true(clock_mono_us() < until_us);
        sched_yield();
    }
    transfers_close(rig.m->cluster);
    assert_int_equal(transfers_open(rig.m->cluster), 0);
}

static void tick(void)
{
    transfers_tick(rig.m->cluster, clock_mono_us());
}

static void is_over(void)
{
    assert_int_equal(led()->phase, TRANSFER_FAILED);
    assert_non_null(strstr(led()->text, "another order meanwhile"));
    assert_false(files_pushing(rig.m, UID));
}

/* The transfer's own order is the version of the stream's file. */
static void is_ordered(struct transfer *x)
{
    x->pushed = true;
    pushed_by_2(5, "primary-node = 3\n", 3, 1);
    tick();
    assert_int_equal(x->phase, TRANSFER_SPREAD);
    assert_int_equal(x->order.term, 5);
}

static void the_same_order_is_none_other(void **state)
{
    struct transfer *x = begin();

    (void)state;
    is_ordered(x);
    pushed_by_2(6, "title = new\n", 3, 1);
    for (int i = 0; i < 3; i++) tick();
    assert_int_equal(x->order.term, 6);
    assert_int_equal(x->phase, TRANSFER_SPREAD);
    assert_false(files_pushing(rig.m, UID));
}

static void an_order_that_is_given_while_it_spreads(void **state)
{
    (void)state;
    is_ordered(begin());
    pushed_by_2(7, "primary-node = 1\n", 1, 2);
    for (int i = 0; i < 3; i++) tick();
    is_over();
}

static void the_same_behind_a_restart(void **state)
{
    (void)state;
    is_ordered(begin());
    restart();
    assert_int_equal(led()->order.term, 5);
    pushed_by_2(7, "primary-node = 1\n", 1, 2);
    for (int i = 0; i < 3; i++) tick();
    is_over();
}

/* It was agreed upon when this node was killed, and that was not durable. */
static void a_version_that_was_lost(void **state)
{
    struct transfer *x = begin();

    (void)state;
    is_ordered(x);
    x->order.term = 9;
    tick();
    assert_int_equal(x->phase, TRANSFER_FAILED);
    assert_false(files_pushing(rig.m, UID));
}

/* It cannot push, and this is no fault of the stream's file: it waits, and says for what. */
static void who_has_lost_its_promises_waits(void **state)
{
    int fd = openat(rig.m->state_dir, "files.bad", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct transfer *x;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    files_close(rig.m->cluster);
    rig.conf->server.state_dir = rig.dir;
    assert_int_equal(files_open(rig.m->cluster), 0);
    x = begin();
    for (int i = 0; i < 3; i++) tick();
    assert_int_equal(x->phase, TRANSFER_SPREAD);
    assert_non_null(strstr(x->text, "files.bad"));
}

/* --- where the site's etcd keeps the stream --- */

static void say(void (*fn)(struct master *, const struct packed *), struct buf *b)
{
    struct unpack *u = pair_unpack(b);

    fn(rig.m, unpack_root(u));
    unpack_done(u);
    buf_done(b);
}

static struct transfer *begin_stored(enum transfer_phase phase)
{
    struct transfer *x = begin();
    struct packer p;
    struct buf b;

    rig.conf->server.cluster_store = secret_of(SPAN_LIT("http://10.0.0.1:2379"));
    takes_open(rig.m->cluster);
    assert_int_equal(records_start(rig.m->cluster), 0);
    p = pair_pack(&b, 5);
    pack_kv_u64(&p, "kind", ETCD_STREAM);
    pack_kv_text(&p, "name", UID);
    pack_kv_u64(&p, "revision", 3);
    pack_kv_text(&p, "text", "x");
    pack_kv_bool(&p, "gone", false);
    say(records_on_row, &b);
    records_stored(rig.m, UID, 3, NULL, 0);
    assert_true(records_has(rig.m, UID));
    x->phase = phase;
    x->pushed = true;
    x->put_us = clock_mono_us();
    span_copy(SPAN_LIT("1"), x->before, sizeof(x->before));
    return x;
}

/* Its order was put there, and this node has not seen it yet: what it reads next is another's. */
static void an_order_that_is_put_into_etcd(void **state)
{
    struct transfer *x = begin_stored(TRANSFER_SPREAD);

    (void)state;
    tick();
    assert_int_equal(x->phase, TRANSFER_SPREAD);
    order_is(2, 1);
    tick();
    is_over();
}

static void the_same_while_it_settles(void **state)
{
    struct transfer *x = begin_stored(TRANSFER_SETTLE);

    (void)state;
    order_is(3, 1);
    tick();
    assert_int_equal(x->phase, TRANSFER_SETTLE);
    order_is(1, 2);
    tick();
    is_over();
}

static void a_put_that_comes_back(void **state)
{
    struct transfer *x = begin_stored(TRANSFER_SPREAD);

    (void)state;
    order_is(3, 1);
    tick();
    assert_int_equal(x->phase, TRANSFER_TAKE);
}

/* What is replaced is known over a restart. */
static void etcd_behind_a_restart(void **state)
{
    (void)state;
    transfer_enter(rig.m->cluster->transfers, begin_stored(TRANSFER_SPREAD), TRANSFER_SPREAD, "");
    restart();
    order_is(2, 1);
    tick();
    is_over();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_same_order_is_none_other),
        T(an_order_that_is_given_while_it_spreads),
        T(the_same_behind_a_restart),
        T(a_version_that_was_lost),
        T(who_has_lost_its_promises_waits),
        T(an_order_that_is_put_into_etcd),
        T(the_same_while_it_settles),
        T(a_put_that_comes_back),
        T(etcd_behind_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
