/* What of media-server.ini may be changed from elsewhere, and by whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/edits_impl.h"

static const char before[] =
    "[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\nweb-login = false\n"
    "[[module]]\n[[[users]]]\nroot = boss:word\n";

/* A file that holds `text` instead. ret: why not. */
static int check(const char *text, bool remote, bool unsure, struct edits_result *ret)
{
    struct edits_work w = {.remote = remote, .unsure = unsure, .ret = ret};
    struct draft d = {.was = (uint8_t *)(uintptr_t)before, .was_n = strlen(before), .site = true};
    int code;

    *ret = (struct edits_result){.at = 0};
    buf_init(&d.text, 4096);
    assert_true(buf_put(&d.text, span_of(text)));
    code = edits_site_check(&w, &d);
    buf_done(&d.text);
    return code;
}

static void secrets_need_a_password(void **state)
{
    static const struct {
        const char *text, *key; /* key NULL: anybody may */
    } v[] = {
        {before, NULL},
        {"[server]\n[[stream]]\nauth-secret = old # of all\nauth-backend = http://h/a\nweb-login = "
         "true\n[[module]]\n[[[users]]]\nroot = "
         "boss:word\n",
            NULL},
        {"[server]\n[[stream]]\nauth-secret = known\nauth-backend = "
         "http://h/a\n[[module]]\n[[[users]]]\nroot = boss:word\n",
            "auth-secret"},
        {"[server]\n[[stream]]\nauth-backend = http://h/a\n[[module]]\n[[[users]]]\nroot = boss:word\n",
            "auth-secret"},
        {"[server]\n[[stream]]\nauth-secret = old\nauth-backend = "
         "http://evil/\n[[module]]\n[[[users]]]\nroot = boss:word\n",
            "auth-backend"},
        {"[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\nsecure-link-key = "
         "k\n[[module]]\n[[[users]]]\nroot = "
         "boss:word\n",
            "secure-link-key"},
        {"[server]\ncluster-key = k\n[[stream]]\nauth-secret = old\nauth-backend = "
         "http://h/a\n[[module]]\n[[[users]]]\nroot = "
         "boss:word\n",
            "cluster-key"},
        {"[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\nauth-module = other.lua\n"
         "[[module]]\n[[[users]]]\nroot = boss:word\n",
            "auth-module"},
        {"[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\n"
         "[[module]]\napi-module = other.lua\n[[[users]]]\nroot = boss:word\n",
            "api-module"},
        {"[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\n"
         "[[module]]\ncpanel-module = other.lua\n[[[users]]]\nroot = boss:word\n",
            "cpanel-module"},
    };
    struct edits_result ret;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(v); i++) {
        assert_int_equal(check(v[i].text, true, true, &ret), v[i].key ? CTL_CONFIRM : CTL_OK);
        if (v[i].key) assert_non_null(strstr(ret.text, v[i].key));
        assert_int_equal(check(v[i].text, true, false, &ret), CTL_OK);
        assert_int_equal(check(v[i].text, false, false, &ret), CTL_OK);
    }
}

static void accounts_stay(void **state)
{
    static const char other[] =
        "[server]\n[[stream]]\nauth-secret = old\nauth-backend = http://h/a\n[[module]]\n[[[users]]]\nroot = "
        "eve:word\n";
    struct edits_result ret;

    (void)state;
    assert_int_equal(check(other, true, false, &ret), CTL_USAGE);
    assert_int_equal(check(other, true, true, &ret), CTL_USAGE);
    assert_int_equal(check(other, false, false, &ret), CTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_need_a_password),
        cmocka_unit_test(accounts_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
