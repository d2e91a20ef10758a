/* common/conf/store: cluster-store, right and wrong, and nodes that are kept beside it. */
#include "common/conf/store.h"
#include "common/conf/nodes.h"
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_read(void **state)
{
    struct conf_store c;

    (void)state;
    assert_null(conf_store_read(SPAN_LIT("etcd://10.0.0.1/media"), &c));
    assert_int_equal(c.n, 1);
    assert_string_equal(c.urls[0], "http://10.0.0.1:2379");
    assert_string_equal(c.prefix, "/media");
    assert_string_equal(c.user, "");
    assert_null(conf_store_read(SPAN_LIT("etcds://ms:p%40ss%2f@a:1,[fe80::1]:65535,[::1]/site/a/"), &c));
    assert_int_equal(c.n, 3);
    assert_string_equal(c.urls[0], "https://a:1");
    assert_string_equal(c.urls[1], "https://[fe80::1]:65535");
    assert_string_equal(c.urls[2], "https://[::1]:2379");
    assert_string_equal(c.prefix, "/site/a");
    assert_string_equal(c.user, "ms");
    assert_string_equal(c.password, "p@ss/");
}

static void test_wrong(void **state)
{
    static const char *const wrong[] = {"", "http://a/b", "etcd://", "etcd://a", "etcd://a/", "etcd://a//",
        "etcd:///b", "etcd://user@a/b", "etcd://:p@a/b", "etcd://a:0/b", "etcd://a:65536/b", "etcd://a:x/b",
        "etcd://a,,b/c", "etcd://[/b", "etcd://[]/b", "etcd://[::1]x/b", "etcd://a b/c", "etcd://a/b c",
        "etcd://a/b?c", "etcd://a\\b/c", "etcd://1,2,3,4,5,6,7,8,9/p", "etcd://u:p%00@a/b"};
    struct conf_store c;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(wrong); i++) {
        const char *why = conf_store_read(span_of(wrong[i]), &c);

        if (!why) print_error("taken: %s\n", wrong[i]);
        assert_non_null(why);
    }
    assert_null(conf_store_read(SPAN_LIT("etcd://1,2,3,4,5,6,7,8/p"), &c));
}

/* What the store names is written into a file of one line each. */
static void test_nodes(void **state)
{
    (void)state;
    assert_true(conf_node_ok(SPAN_LIT("7"), SPAN_LIT("10.0.0.1, b:7445, fe80::1")));
    assert_false(conf_node_ok(SPAN_LIT("0"), SPAN_LIT("a")));
    assert_false(conf_node_ok(SPAN_LIT("65536"), SPAN_LIT("a")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("a b")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("a\n2 = b")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("a,b,c,d,e")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("a#b")));
    assert_false(conf_node_ok(SPAN_LIT("1"), SPAN_LIT("\"a\"")));
}

/* A pair, or neither; an authority with or without it; only for etcds://. */
static void test_certificates(void **state)
{
    struct conf_files *f = &conf_files;
#define INI(store, more) "[server]\ncluster-store = " store "\n" more "\n[storages]\na = /a\n"

    (void)state;
    conf_files_ok(INI("etcds://h/m",
        "cluster-store-ca = ca.pem\ncluster-store-cert = c.pem\ncluster-store-cert-key = k.pem"));
    assert_true(f->conf->server.cluster_store_tls.used);
    assert_false(conf_files_said(f, CONF_WARNING, 0, "server/cluster-store-cert", "no effect"));
    conf_files_ok(INI("etcds://h/m", "cluster-store-ca = ca.pem"));
    assert_false(f->conf->server.cluster_store_tls.used);
    conf_files_bad(INI("etcds://h/m", "cluster-store-cert = c.pem"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "server/cluster-store-cert-key", "is missing"));
    conf_files_bad(INI("etcds://h/m", "cluster-store-cert-key = k.pem"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "server/cluster-store-cert", "is missing"));
    conf_files_ok(INI("etcd://h/m", "cluster-store-ca = ca.pem"));
    assert_true(conf_files_said(f, CONF_WARNING, 3, "server/cluster-store-ca", "has no effect"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test_setup_teardown(test_certificates, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
