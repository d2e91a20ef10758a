/* Secure links as Flussonic makes them; vectors made with sha1sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/secure_link.h"
#include "httpd/stream.h"

#define NOW 1700000000

static enum known ok(const char *token, const char *address, int64_t now_s, int64_t *until_s)
{
    struct stream s = {.v = {.uid = "cam-1"}};
    struct access_ask a = {.stream = &s, .token = span_of(token)};

    assert_true(addr_parse(span_of(address), &a.address));
    return secure_link_ok(SPAN_LIT("topsecret"), &a, now_s, until_s);
}

static void links(void **state)
{
    /* sha1("cam-1" "10.0.0.7" "1699999990" "1700003600" "topsecret" "a-b"), and the same with no_check_ip */
    static const char bound[] = "d9285a011ebb76020eb8cef255a0e56fd624ab2c-a-b-1700003600-1699999990";
    static const char open[] = "71fd70d0a47222ff803ed28c591e194735fb138f-a-b-1700003600-1699999990";
    int64_t until = 0;

    (void)state;
    assert_true(secure_link_is(span_of(bound)) && secure_link_is(span_of(open)));
    assert_int_equal(ok(bound, "10.0.0.7", NOW, &until), KNOWN_YES);
    assert_int_equal(until, 1700003600);
    assert_int_equal(ok(bound, "10.0.0.8", NOW, &until), KNOWN_NO);
    assert_int_equal(ok(open, "10.0.0.8", NOW, &until), KNOWN_YES);
    assert_int_equal(ok(open, "10.0.0.8", 1700003599, &until), KNOWN_YES);
    assert_int_equal(ok(open, "10.0.0.8", 1700003600, &until), KNOWN_NO);
    assert_int_equal(ok(open, "10.0.0.8", 1699999990 - TOKEN_SKEW_S - 1, &until), KNOWN_NO);
}

static void what_is_none(void **state)
{
    static const char *const none[] = {"", "v1.0.a.b", "a-b-c-d", "-1-2",
        "71fd70d0a47222ff803ed28c591e194735fb138f-1700003600-1699999990",
        "71fd70d0a47222ff803ed28c591e194735fb138f-salt-end-start",
        "71fd70d0a47222ff803ed28c591e194735fb138f-salt-1-",
        "71fd70d0a47222ff803ed28c591e194735fb138fx-salt-1-2"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(none); i++) assert_false(secure_link_is(span_of(none[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(links), cmocka_unit_test(what_is_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
