/* Who may watch, and what may be kept by caches that many share. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/access.h"

static void modes(void **state)
{
    (void)state;
    assert_int_equal(access_mode_of(SPAN_LIT("public")), ACCESS_PUBLIC);
    assert_int_equal(access_mode_of(SPAN_LIT("Protected")), ACCESS_PROTECTED);
    assert_int_equal(access_mode_of(SPAN_LIT("none")), ACCESS_NONE);
    assert_int_equal(access_mode_of(SPAN_LIT("publik")), ACCESS_PRIVATE);
    assert_int_equal(access_mode_of(SPAN_NONE), ACCESS_PRIVATE);
}

static void protocols(void **state)
{
    (void)state;
    assert_true(access_proto_web(SPAN_NONE));
    assert_true(access_proto_web(SPAN_LIT("ts, hls")));
    assert_false(access_proto_web(SPAN_LIT("ts,rtmp")));
}

static void decisions(void **state)
{
    static const struct {
        struct access_rule rule;
        enum access_op op;
        unsigned status;
        bool shared; /* by caches */
    } table[] = {
        {{ACCESS_PUBLIC, false, true, true}, ACCESS_LIVE, 200, true},
        {{ACCESS_PUBLIC, true, true, true}, ACCESS_LIVE, 403, false},
        {{ACCESS_PUBLIC, false, false, true}, ACCESS_LIVE, 503, true},
        {{ACCESS_PUBLIC, false, false, true}, ACCESS_DVR, 200, true},
        {{ACCESS_PUBLIC, false, true, false}, ACCESS_PAGE, 403, true},
        {{ACCESS_PROTECTED, false, true, true}, ACCESS_LIVE, 403, false},
        {{ACCESS_PRIVATE, false, true, true}, ACCESS_DVR, 403, false},
        {{ACCESS_NONE, false, true, true}, ACCESS_PAGE, 403, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(table); i++) {
        assert_int_equal(access_decide(&table[i].rule, table[i].op).status, table[i].status);
        assert_int_equal(access_public(&table[i].rule), table[i].shared);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),
        cmocka_unit_test(protocols),
        cmocka_unit_test(decisions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
