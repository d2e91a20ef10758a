/* common/conf: listeners with TLS beside the plain ones. */
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct conf_files f;

static int up(void **state)
{
    (void)state;
    conf_files_init(&f);
    return 0;
}

static int down(void **state)
{
    (void)state;
    conf_files_done(&f);
    return 0;
}

static void load_ok(const char *ini)
{
    conf_files_put(&f, "media-server.ini", ini);
    if (conf_files_load(&f) != 0) conf_files_show(&f);
    assert_non_null(f.conf);
}

static void load_bad(const char *ini)
{
    conf_files_put(&f, "media-server.ini", ini);
    assert_int_equal(conf_files_load(&f), CONF_E_MISTAKES);
}

/* Listeners with TLS beside the plain ones want a certificate as ssl-enable does, and ports of their own. */
static void test_tls_beside_plain(void **state)
{
    (void)state;
    load_ok("[server]\n[[stream]]\nrtsp = *:554\nrtsp-tls = *:322\nweb-tls = *:443\npublish-tls = *:7322\n"
            "ssl-cert = c.pem\nssl-key = k.pem\n");
    assert_true(f.conf->delivery.tls.used && !f.conf->delivery.tls.enable);
    load_ok("[server]\n[[stream]]\nssl-cert = c.pem\nssl-key = k.pem\n");
    assert_false(f.conf->delivery.tls.used);
    load_bad("[server]\n[[stream]]\nrtsp-tls = *:322\nssl-cert = c.pem\n");
    assert_true(conf_files_said(
        &f, CONF_MISTAKE, 3, "server/stream/ssl-key", "is missing: rtsp-tls needs ssl-cert and ssl-key"));
    load_bad("[server]\n[[stream]]\nrtsp = *:554\nrtsp-tls = *:554\nssl-cert = c.pem\nssl-key = k.pem\n");
    assert_true(
        conf_files_said(&f, CONF_MISTAKE, 4, "server/stream/rtsp-tls", "two listeners want port 554 of *"));
    /* a road that is switched off opens nothing */
    load_ok("[server]\n[[stream]]\nenable = web\nrtsp-tls = *:322\npublish-tls = *:7322\n");
    assert_false(f.conf->delivery.tls.used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tls_beside_plain, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
