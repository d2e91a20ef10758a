/* common/conf/nodes: the nodes file with ways and ports, names in the stream files, and what the cluster's
 * keys ask of each other. */
#include "common/conf/nodes.h"
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct conf_files *const f = &conf_files;

static void nodes_and_names(void **state)
{
    static const char key[] = "0123456789abcdef0123456789abcdef0123456789a";
    char ini[512];

    (void)state;
    conf_files_put(f, "media-server.nodes",
        "1 = a\n2 = b.example, 10.0.0.2:7000\n3 = [fd00::3]:7001, fd00::4, [fd00::5]\n");
    conf_files_put(f, "streams/c.ini",
        "[c]\nprimary-node = B.example\nsecondary-node = 3, self, nobody\n"
        "stream-url = rtsp://h/1\n");
    snprintf(ini, sizeof(ini),
        "[server]\nnode-host = self\ncluster-enable = true\ncluster-key = %s\ncluster-tolerance = 1s\n"
        "cluster-ping-interval = 250ms\n[storages]\na = /a\n",
        key);
    conf_files_ok(ini);
    assert_true(conf_clustered(f->conf));
    assert_int_equal(f->conf->n_nodes, 3);
    assert_int_equal(f->conf->nodes[0].n_paths, 1);
    assert_int_equal(f->conf->nodes[1].n_paths, 2);
    assert_string_equal(f->conf->nodes[1].paths[0].host, "b.example");
    assert_int_equal(f->conf->nodes[1].paths[0].port, 0);
    assert_string_equal(f->conf->nodes[1].paths[1].host, "10.0.0.2");
    assert_int_equal(f->conf->nodes[1].paths[1].port, 7000);
    assert_string_equal(f->conf->nodes[2].paths[0].host, "fd00::3");
    assert_int_equal(f->conf->nodes[2].paths[0].port, 7001);
    assert_string_equal(f->conf->nodes[2].paths[1].host, "fd00::4");
    assert_string_equal(f->conf->nodes[2].paths[2].host, "fd00::5");
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("b.EXAMPLE")), 2);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("10.0.0.2")), 2);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("3")), 3);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("1")), 1);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("self")), 1);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("4")), 0);
    assert_int_equal(conf_node_id(f->conf, SPAN_LIT("nobody")), 0);
    assert_true(conf_files_said(f, CONF_NOTE, 1, "c", "is no node of the nodes file"));
    assert_true(conf_files_said(f, CONF_WARNING, 5, "server/cluster-tolerance", "five times"));
    conf_files_ok("[server]\ncluster-enable = true\n[storages]\na = /a\n");
    assert_false(conf_clustered(f->conf));
    assert_true(conf_files_said(f, CONF_WARNING, 2, "server/cluster-enable", "without cluster-key"));
    snprintf(ini, sizeof(ini), "[server]\ncluster-key = %s\ncluster-key-also = %s\n[storages]\na = /a\n", key,
        key + 1);
    conf_files_bad(ini);
    assert_int_equal(f->report.mistakes, 1);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "server/cluster-key-also", "too short"));
    conf_files_put(f, "media-server.nodes",
        "1 = a b\n2 = a:0\n3 = a:b\n4 = a,,b\n5 = a,b,c,d,e\n6 = [::1\n7 = [::1]7\n");
    conf_files_bad("[storages]\na = /a\n");
    assert_int_equal(f->report.mistakes, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_and_names, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
