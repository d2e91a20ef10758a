/* Accounts of own names, and the streams they are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/conf_files.h"

static struct conf_files *const f = &conf_files;

static void test_accounts(void **state)
{
    const struct conf_accounts *a;

    (void)state;
    conf_files_put(f, "media-server.ini",
        "[server]\n[[module]]\n[[[users]]]\nroot = boss:x\n[[[cameras]]]\nanna = yard , gate-*\nboss = *\n"
        "[[[accounts]]]\nanna = user:\"p:w, #1\"\nbert = guest:$scrypt$ln=15,r=8,p=1$c2E$aGFzaA\n");
    assert_int_equal(conf_files_load(f), 0);
    a = &f->conf->module.own;
    assert_int_equal(a->n, 2);
    assert_string_equal(a->v[0].login, "anna");
    assert_int_equal(a->v[0].role, CONF_ROLE_USER);
    assert_true(span_is(secret_reveal(&a->v[0].password), "p:w, #1"));
    assert_int_equal(a->v[1].role, CONF_ROLE_GUEST);
    assert_string_equal(conf_cameras_of(a, "anna"), "yard,gate-*");
    assert_string_equal(conf_cameras_of(a, "boss"), "*");
    assert_string_equal(conf_cameras_of(a, "bert"), "");
}

static void test_bad_accounts(void **state)
{
    (void)state;
    conf_files_put(f, "media-server.ini",
        "[server]\n[[module]]\n[[[users]]]\nroot = boss:x\n[[[accounts]]]\na = king:HIDDEN\nb = user\nc "
        "= :HIDDEN\n"
        "boss = user:HIDDEN\n[[[cameras]]]\nboss = a b\nana = cam\nboss = x\n"
        "boss = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n");
    assert_int_equal(conf_files_load(f), CONF_E_MISTAKES);
    for (unsigned i = 0; i < 3; i++) {
        char key[40];

        snprintf(key, sizeof(key), "server/module/accounts/%c", (int)('a' + i));
        assert_true(conf_files_said(f, CONF_MISTAKE, 6 + i, key, "is not role:password"));
    }
    assert_true(conf_files_said(
        f, CONF_MISTAKE, 11, "server/module/cameras/boss", "is not a list of 1 to 16 streams"));
    assert_true(conf_files_said(
        f, CONF_MISTAKE, 14, "server/module/cameras/boss", "is not a list of 1 to 16 streams"));
    for (size_t i = 0; i < f->report.n; i++) assert_null(strstr(f->report.v[i].text, "HIDDEN"));
    /* A list of nobody would leave whoever was meant without one. */
    assert_true(conf_files_said(f, CONF_MISTAKE, 12, "server/module/cameras", "there is no account ana"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 9, "server/module/accounts", "more than once"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounts, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_bad_accounts, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
