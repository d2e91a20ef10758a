/* How far each node has been told what is revoked, while rows go in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "master/cluster/cluster.h"
#include "master/cluster/revocations.h"
#include "master/master.h"

static void rows_go(void **state)
{
    static struct cluster_node nodes[2];
    static struct cluster c = {.nodes = nodes, .n_nodes = 2};
    static struct master m = {.cluster = &c};

    (void)state;
    nodes[0].revoked_told = 100; /* and the next hundred are on their way */
    nodes[0].revoked_sent = 200;
    revocations_gone(&m, 99);
    revocations_gone(&m, 99);
    assert_int_equal(nodes[0].revoked_told, 99);
    assert_int_equal(nodes[0].revoked_sent, 198);
    revocations_gone(&m, 198);
    assert_int_equal(nodes[0].revoked_sent, 198);
    assert_int_equal(nodes[1].revoked_told, 0);
    assert_int_equal(nodes[1].revoked_sent, 0);
    m.cluster = NULL;
    revocations_gone(&m, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(rows_go)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
