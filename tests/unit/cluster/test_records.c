/* master/cluster/records: what a site's etcd takes away by not naming it, and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records.h"
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
    rig.m->conf = rig.conf = NEW(struct conf);
    rig.m->cluster = NEW(struct cluster);
    rig.m->cluster->m = rig.m;
    rig.m->state_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig.conf->server.cluster_store = secret_of(SPAN_LIT("http://10.0.0.1:2379"));
    open_records();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    records_stop(rig.m->cluster);
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
    records_stored(rig.m, uid, revision, NULL);
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
    p = pair_pack(&b, 1);
    pack_kv_u64(&p, "revision", revision);
    say(records_on_ready, &b);
    for (size_t i = 0; i < STREAMS; i++) { /* what is to go has gone */
        snprintf(uid, sizeof(uid), "cam-%zu", i);
        records_stored(rig.m, uid, revision, NULL);
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
        while (span_split(&rest, '\n', &line)) lines += line.n > 0;
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_not_named_goes),
        T(an_empty_store),
        T(a_store_that_has_lost_most),
        T(a_store_that_went_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
