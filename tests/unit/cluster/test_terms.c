/* Terms that are heard: what a broken node says takes none of them away from the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "master/cluster/cluster.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <unistd.h>

#define FAR  (UINT32_MAX / 2)
#define STEP (UINT32_C(1) << 20)

static struct {
    char dir[64];
    int dir_fd;
    struct cluster *c;
} rig;

static int set_up(void **state)
{
    (void)state;
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    rig.dir_fd = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig.c = NEW(struct cluster);
    rig.c->file = state_file_new(rig.dir_fd, "cluster");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    state_file_free(rig.c->file);
    mem_free(rig.c);
    close(rig.dir_fd);
    tool_rmdir(rig.dir);
    return 0;
}

static void as_far_as_a_cluster_gets(void **state)
{
    (void)state;
    assert_true(cluster_heard_term(rig.c, 0));
    assert_true(cluster_heard_term(rig.c, 3000000)); /* of a node that lost its state-dir, all at once */
    assert_true(cluster_heard_term(rig.c, 7));
    assert_int_equal(cluster_next_term(rig.c), 3000001);
    assert_false(cluster_heard_term(rig.c, UINT32_MAX));
    assert_false(cluster_heard_term(rig.c, UINT64_MAX));
    assert_false(cluster_heard_term(rig.c, FAR + UINT64_C(1)));
    assert_int_equal(cluster_next_term(rig.c), 3000002);
    assert_true(cluster_heard_term(rig.c, FAR));
    assert_false(cluster_heard_term(rig.c, FAR + STEP + 1));
    assert_true(cluster_heard_term(rig.c, FAR + STEP));
    assert_int_equal(cluster_next_term(rig.c), FAR + STEP + 1);
}

/* Whatever one node says again and again: terms rise. */
static void said_for_ever(void **state)
{
    static const uint64_t said[] = {1, FAR, FAR + UINT64_C(1), UINT32_MAX - STEP, UINT32_MAX - UINT64_C(1),
        UINT32_MAX, UINT32_MAX + UINT64_C(1), UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(said); i++)
        for (size_t k = 0; k < 20; k++) {
            uint64_t was = rig.c->term;

            (void)cluster_heard_term(rig.c, said[i]);
            assert_true(cluster_next_term(rig.c) > was);
        }
}

/* Who holds a stream by no term that can be does not hold it: nobody has to be above him. */
static void of_a_stream(void **state)
{
    struct cluster_stream s = {.id = 77, .nodes = {2}, .place = {.n = 1}}, *streams[] = {&s};
    const struct cluster_node n = {.member = {.id = 2}};
    struct heartbeat h = {.n_streams = 1, .streams = {{.id = 77, .flags = HEARTBEAT_RUNS}}};

    (void)state;
    rig.c->streams = streams;
    rig.c->n_streams = 1;
    h.streams[0].term = 9;
    streams_heard(rig.c, &n, &h, 1);
    assert_int_equal(s.place.said[0].term, 9);
    h.streams[0].term = UINT32_MAX;
    streams_heard(rig.c, &n, &h, 2);
    assert_int_equal(s.place.said[0].term, 0);
    assert_int_equal(s.place.said[0].flags, HEARTBEAT_RUNS);
    assert_int_equal(cluster_next_term(rig.c), 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(as_far_as_a_cluster_gets), T(said_for_ever), T(of_a_stream)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
