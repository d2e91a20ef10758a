/* master/connector: addresses that must not be reached (C12, R29), and rates (K10). */
#include "common/base/bucket.h"
#include "master/connector/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *judge(
    const char *configured, const char *asked, const char *addr, const char *allow, const char *deny)
{
    struct policy p;
    struct sockaddr_storage sa;
    const char *why;

    assert_true(policy_literal(addr, 554, &sa));
    assert_int_equal(policy_new(configured, span_of(allow), span_of(deny), &p), 0);
    why = policy_refuses(&p, asked, (const struct sockaddr *)&sa);
    policy_done(&p);
    return why;
}

static void never_for_anybody(void **state)
{
    static const char *const addrs[] = {"0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250",
        "255.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::224.0.0.1",
        "64:ff9b::e000:1", "2002:e000:1::"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(addrs); i++) {
        assert_non_null(judge("cam.example", "cam.example", addrs[i], "", ""));
        assert_non_null(judge(addrs[i], addrs[i], addrs[i], "", ""));
    }
}

static void not_by_a_name(void **state)
{
    static const char *const addrs[] = {"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::1", "169.254.169.254", "fe80::1", "::ffff:169.254.169.254"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(addrs); i++)
        assert_non_null(judge("cam.example", "cam.example", addrs[i], "", ""));
}

static void loopback_only_where_it_is_configured(void **state)
{
    (void)state;
    assert_null(judge("127.0.0.1", "127.0.0.1", "127.0.0.1", "", ""));
    assert_null(judge("localhost", "localhost", "127.0.0.1", "", ""));
    assert_null(judge("localhost", "LocalHost", "::1", "", ""));
    assert_null(judge("[::1]", "::1", "::1", "", ""));
    assert_null(judge("fe80::1", "fe80::1", "fe80::1", "", ""));
    assert_null(judge("169.254.1.2", "169.254.1.2", "169.254.1.2", "", ""));
    /* a redirect to another host, or to the same address by another name */
    assert_non_null(judge("127.0.0.1", "127.0.0.2", "127.0.0.2", "", ""));
    assert_non_null(judge("127.0.0.1", "evil.example", "127.0.0.1", "", ""));
    assert_non_null(judge("10.0.0.5", "127.0.0.1", "127.0.0.1", "", ""));
    assert_non_null(judge("10.0.0.5", "localhost", "127.0.0.1", "", ""));
    assert_non_null(judge("169.254.1.2", "169.254.169.254", "169.254.169.254", "", ""));
}

static void site_lists(void **state)
{
    (void)state;
    assert_null(judge("c", "c", "10.1.2.3", "10.0.0.0/8", ""));
    assert_non_null(judge("c", "c", "11.1.2.3", "10.0.0.0/8", ""));
    assert_non_null(judge("c", "c", "10.1.2.3", "10.0.0.0/8", "10.1.0.0/16"));
    assert_null(judge("c", "c", "10.2.0.1", "10.0.0.0/8", "10.1.0.0/16"));
    assert_null(judge("c", "c", "10.1.2.3", "", "10.1.2.4"));
    assert_non_null(judge("c", "c", "10.1.2.4", "", "10.1.2.4"));
    assert_non_null(judge("c", "c", "::ffff:10.1.2.4", "", "10.1.2.4"));
    assert_null(judge("c", "c", "2001:db8::7", "10.0.0.0/8, 2001:db8::/32", ""));
    assert_non_null(judge("c", "c", "2001:db9::7", "10.0.0.0/8,2001:db8::/32", ""));
    assert_null(judge("c", "c", "192.168.1.5", " 192.168.1.4/31 ", ""));
    assert_non_null(judge("c", "c", "192.168.1.6", "192.168.1.4/31", ""));
    assert_null(judge("c", "c", "8.8.8.8", "0.0.0.0/0", ""));
    assert_non_null(judge("127.0.0.1", "127.0.0.1", "127.0.0.1", "10.0.0.0/8", ""));
}

static void what_cannot_be_read_denies(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/x", "ten", "10.0.0.0/", "::/129", "1.2.3"};
    struct policy p;
    struct sockaddr_storage sa;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        assert_int_equal(policy_new("c", span_of(bad[i]), SPAN_NONE, &p), -EINVAL);
        assert_true(policy_literal("10.0.0.1", 554, &sa));
        assert_non_null(policy_refuses(&p, "c", (const struct sockaddr *)&sa));
        assert_true(policy_literal("2001:db8::1", 554, &sa));
        assert_non_null(policy_refuses(&p, "c", (const struct sockaddr *)&sa));
        policy_done(&p);
    }
}

/* Spellings that some libraries take for 127.0.0.1 are no literals here: they are names, and names do not
 * lead there. */
static void odd_spellings_are_names(void **state)
{
    static const char *const hosts[] = {
        "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "[127.0.0.1", " 127.0.0.1"};
    struct sockaddr_storage sa;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(hosts); i++) {
        assert_false(policy_literal(hosts[i], 1, &sa));
        assert_non_null(judge(hosts[i], hosts[i], "127.0.0.1", "", ""));
    }
}

static void bucket_gives_a_burst_then_its_rate(void **state)
{
    struct bucket b = bucket_of(US_PER_S, 3);
    usec_t now_us = 100 * US_PER_S;

    (void)state;
    for (int i = 0; i < 3; i++) assert_int_equal(bucket_take(&b, now_us), 0);
    assert_int_equal(bucket_take(&b, now_us), US_PER_S);
    assert_int_equal(bucket_take(&b, now_us), 2 * US_PER_S);
    now_us += 2 * US_PER_S;
    assert_int_equal(bucket_take(&b, now_us), US_PER_S);
    now_us += 60 * US_PER_S;
    for (int i = 0; i < 3; i++) assert_int_equal(bucket_take(&b, now_us), 0);
    for (int i = 0; i < 1000; i++) assert_true(bucket_take(&b, now_us) <= BUCKET_WAIT_MAX_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_for_anybody),
        cmocka_unit_test(not_by_a_name),
        cmocka_unit_test(loopback_only_where_it_is_configured),
        cmocka_unit_test(site_lists),
        cmocka_unit_test(what_cannot_be_read_denies),
        cmocka_unit_test(odd_spellings_are_names),
        cmocka_unit_test(bucket_gives_a_burst_then_its_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
