/* common/conf: listeners with TLS beside the plain ones. */
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct conf_files *const f = &conf_files;

/* Listeners with TLS beside the plain ones want a certificate as ssl-enable does, and ports of their own. */
static void test_tls_beside_plain(void **state)
{
    (void)state;
    conf_files_ok(
        "[server]\n[[stream]]\nrtsp = *:554\nrtsp-tls = *:322\nweb-tls = *:443\npublish-tls = *:7322\n"
        "ssl-cert = c.pem\nssl-key = k.pem\n");
    assert_true(f->conf->delivery.tls.used && !f->conf->delivery.tls.enable);
    conf_files_ok("[server]\n[[stream]]\nssl-cert = c.pem\nssl-key = k.pem\n");
    assert_false(f->conf->delivery.tls.used);
    conf_files_bad("[server]\n[[stream]]\nrtsp-tls = *:322\nssl-cert = c.pem\n");
    assert_true(conf_files_said(
        f, CONF_MISTAKE, 3, "server/stream/ssl-key", "is missing: rtsp-tls needs ssl-cert and ssl-key"));
    conf_files_bad(
        "[server]\n[[stream]]\nrtsp = *:554\nrtsp-tls = *:554\nssl-cert = c.pem\nssl-key = k.pem\n");
    assert_true(
        conf_files_said(f, CONF_MISTAKE, 4, "server/stream/rtsp-tls", "two listeners want port 554 of *"));
    /* a road that is switched off opens nothing */
    conf_files_ok("[server]\n[[stream]]\nenable = web\nrtsp-tls = *:322\npublish-tls = *:7322\n");
    assert_false(f->conf->delivery.tls.used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tls_beside_plain, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
