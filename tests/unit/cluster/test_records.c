/* master/cluster/records: what a site's etcd takes away by not naming it, and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records_impl.h"
#include "master/cluster/takes.h"
#include "master/master.h"
#include "tests/support/courier_pair.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <unistd.h>

#define STREAMS 5

static struct {
    char dir[64];
    struct master *m;
    struct conf *conf;
    uint64_t cluster; /* of the etcd */
} rig;

static void open_records(void)
{
    assert_int_equal(records_start(rig.m->cluster), 0);
}

static int set_up(void **state)
{
    (void)state;
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    rig.m = NEW(struct master);
    rig.m->loop = loop_new();
    rig.cluster = 7;
    rig.m->conf = rig.conf = NEW(struct conf);
    rig.m->cluster = NEW(struct cluster);
    rig.m->cluster->m = rig.m;
    rig.m->state_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig.conf->server.cluster_store = secret_of(SPAN_LIT("http://10.0.0.1:2379"));
    takes_open(rig.m->cluster);
    open_records();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    takes_close(rig.m->cluster);
    records_stop(rig.m->cluster);
    loop_free(rig.m->loop);
    secret_done(&rig.conf->server.cluster_store);
    close(rig.m->state_dir);
    tool_rmdir(rig.dir);
    mem_free(rig.m->cluster);
    mem_free(rig.conf);
    mem_free(rig.m);
    return 0;
}

static void say(void (*fn)(struct master *, const struct packed *), struct buf *b)
{
    struct unpack *u = pair_unpack(b);

    fn(rig.m, unpack_root(u));
    unpack_done(u);
    buf_done(b);
}

static void row(const char *uid, uint64_t revision, bool gone)
{
    struct buf b;
    struct packer p = pair_pack(&b, 5);

    pack_kv_u64(&p, "kind", ETCD_STREAM);
    pack_kv_text(&p, "name", uid);
    pack_kv_u64(&p, "revision", revision);
    pack_kv_text(&p, "text", gone ? "" : "x");
    pack_kv_bool(&p, "gone", gone);
    say(records_on_row, &b);
    records_stored(rig.m, uid, revision, NULL, 0);
}

/* The store names the first n of all. */
static void read_all(size_t n, uint64_t revision)
{
    struct buf b;
    struct packer p;
    char uid[32];

    records_on_begin(rig.m, NULL);
    for (size_t i = 0; i < n; i++) {
        snprintf(uid, sizeof(uid), "cam-%zu", i);
        row(uid, i + 1, false);
    }
    p = pair_pack(&b, 2);
    pack_kv_u64(&p, "revision", revision);
    pack_kv_u64(&p, "cluster", rig.cluster);
    say(records_on_ready, &b);
    for (size_t i = 0; i < STREAMS; i++) { /* what is to go has gone */
        snprintf(uid, sizeof(uid), "cam-%zu", i);
        records_stored(rig.m, uid, revision, NULL, 0);
    }
}

/* Lines of what is kept, over a restart. */
static size_t there(void)
{
    uint8_t *bytes = NULL;
    struct span rest, line;
    size_t n = 0, lines = 0;

    records_stop(rig.m->cluster);
    if (fd_read_file(rig.m->state_dir, "records", 1 << 16, &bytes, &n) == 0) {
        rest = span(bytes, n);
        while (span_split(&rest, '\n', &line)) lines += line.n > 0 && line.p[0] != '@';
    }
    mem_free(bytes);
    open_records();
    return lines;
}

static void what_is_not_named_goes(void **state)
{
    (void)state;
    read_all(STREAMS, 10);
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS - 2, 11);
    assert_int_equal(there(), STREAMS - 2);
}

static void an_empty_store(void **state)
{
    (void)state;
    read_all(STREAMS, 10);
    read_all(0, 11);
    assert_int_equal(there(), STREAMS);
    row("cam-1", 12, true); /* a delete that is seen */
    assert_int_equal(there(), STREAMS - 1);
}

/* Neither at once nor when it is read the next time. */
static void a_store_that_has_lost_most(void **state)
{
    (void)state;
    read_all(STREAMS, 10);
    read_all(2, 11);
    assert_int_equal(there(), STREAMS);
    read_all(2, 12);
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS, 13); /* named again: as ever */
    read_all(STREAMS - 1, 14);
    assert_int_equal(there(), STREAMS - 1);
}

static void a_store_that_went_back(void **state)
{
    (void)state;
    read_all(STREAMS, 10);
    read_all(STREAMS - 1, 4);
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS - 1, 5);
    assert_int_equal(there(), STREAMS);
}

/* Restored from a backup, or begun anew: whatever its revision says. */
static void another_cluster(void **state)
{
    (void)state;
    read_all(STREAMS, 10);
    assert_int_equal(there(), STREAMS); /* known over a restart */
    rig.cluster = 8;
    read_all(STREAMS - 1, 20);
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS - 1, 21); /* the same one now, and still not */
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS, 22);
    read_all(STREAMS - 1, 23); /* what it has named itself it takes away */
    assert_int_equal(there(), STREAMS - 1);
}

/* The highest that it said counts, not the highest of a record that is left. */
static void back_over_a_restart(void **state)
{
    (void)state;
    read_all(STREAMS, 100);
    assert_int_equal(there(), STREAMS);
    read_all(STREAMS - 1, 99);
    assert_int_equal(there(), STREAMS);
}

static void node(const char *id, const char *hosts)
{
    struct buf b;
    struct packer p = pair_pack(&b, 4);

    pack_kv_u64(&p, "kind", ETCD_NODE);
    pack_kv_text(&p, "name", id);
    pack_kv_text(&p, "text", hosts);
    pack_kv_bool(&p, "gone", false);
    say(records_on_row, &b);
}

static void ready(uint64_t revision)
{
    struct buf b;
    struct packer p = pair_pack(&b, 2);

    pack_kv_u64(&p, "revision", revision);
    pack_kv_u64(&p, "cluster", rig.cluster);
    say(records_on_ready, &b);
}

/* Nodes as the file has them that the configuration reads, behind a restart. */
static size_t nodes_there(void)
{
    struct records *r = rig.m->cluster->records;
    size_t n;

    if (r->nodes_changed) assert_int_equal(records_write_nodes(r), 0);
    records_stop(rig.m->cluster);
    open_records();
    n = rig.m->cluster->records->n_nodes;
    return n;
}

/* A mark that a node is kept outlives this process. */
static void nodes_of_another_cluster(void **state)
{
    (void)state;
    records_on_begin(rig.m, NULL);
    for (int i = 1; i <= 3; i++) node((char[2]){(char)('0' + i), 0}, "10.0.0.1");
    ready(10);
    assert_int_equal(nodes_there(), 3);
    rig.cluster = 8;
    records_on_begin(rig.m, NULL);
    node("1", "10.0.0.1");
    node("2", "10.0.0.1");
    ready(11);
    assert_int_equal(nodes_there(), 3);
    records_on_begin(rig.m, NULL);
    node("1", "10.0.0.1");
    node("2", "10.0.0.1");
    ready(12);
    assert_int_equal(nodes_there(), 3); /* still kept */
    records_on_begin(rig.m, NULL);
    node("1", "10.0.0.1");
    node("3", "10.0.0.1");
    ready(13);
    assert_int_equal(nodes_there(), 2); /* named, and gone: 2; 3 is the store's again */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_not_named_goes),
        T(an_empty_store),
        T(a_store_that_has_lost_most),
        T(a_store_that_went_back),
        T(another_cluster),
        T(back_over_a_restart),
        T(nodes_of_another_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
