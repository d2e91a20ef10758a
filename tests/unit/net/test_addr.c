#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static struct addr addr(const char *text)
{
    struct addr a;

    assert_true(addr_parse(span_of(text), &a));
    return a;
}

static void addresses(void **state)
{
    static const char *const bad[] = {
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::g", "[::1", "fe80::1%eth0", "localhost"};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    char text[ADDR_TEXT_MAX];
    struct addr a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(addr_parse(span_of(bad[i]), &a));
    assert_false(addr_parse(span("1.2.3.4\0", 8), &a));
    a = addr("10.1.2.3");
    assert_string_equal(addr_text(&a, text), "10.1.2.3");
    b = addr("::ffff:10.1.2.3");
    assert_true(addr_eq(&a, &b) && addr_is_v4(&b));
    a = addr("[2001:db8::7]");
    assert_string_equal(addr_text(&a, text), "2001:db8::7");
    assert_false(addr_is_v4(&a));
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &six.sin6_addr);
    inet_pton(AF_INET, "10.1.2.3", &four.sin_addr);
    assert_true(addr_of((struct sockaddr *)&six, &a) && addr_of((struct sockaddr *)&four, &b));
    assert_true(addr_eq(&a, &b));
    assert_false(addr_of(&(struct sockaddr){.sa_family = AF_UNIX}, &a));
}

static void sources(void **state)
{
    struct addr a = addr("2001:db8:1:2:3:4:5:6"), b = addr("2001:db8:1:2::"), s = addr_source(&a);

    (void)state;
    assert_true(addr_eq(&s, &b));
    a = addr("10.0.0.7");
    s = addr_source(&a);
    assert_true(addr_eq(&s, &a));
    a = addr("127.9.9.9");
    b = addr("::1");
    assert_true(addr_is_loopback(&a) && addr_is_loopback(&b));
    b = addr("::2");
    assert_false(addr_is_loopback(&b));
}

static void networks(void **state)
{
    static const struct {
        const char *net, *in, *out;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"10.0.0.0/8", "::ffff:10.9.9.9", "::10.9.9.9"},
        {"192.168.7.128/25", "192.168.7.129", "192.168.7.127"},
        {"192.168.7.1", "192.168.7.1", "192.168.7.2"},
        {"::ffff:192.168.0.0/112", "192.168.3.3", "192.169.0.1"},
        {"fd00::/8", "fdff::1", "fe00::1"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"::1", "::1", "127.0.0.1"},
        {"0.0.0.0/0", "1.2.3.4", "2001::1"},
        {"::/0", "1.2.3.4", NULL},
    };
    static const char *const bad[] = {
        "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "/8", "a/8", ""};
    struct cidr c;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct addr in = addr(rows[i].in);

        assert_true(cidr_parse(span_of(rows[i].net), &c));
        assert_true(cidr_has(&c, &in));
        if (!rows[i].out) continue;
        in = addr(rows[i].out);
        assert_false(cidr_has(&c, &in));
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(cidr_parse(span_of(bad[i]), &c));
}

static void lists(void **state)
{
    struct addr a = addr("10.0.0.1"), b = addr("fd00::2");
    struct cidrs l;

    (void)state;
    assert_int_equal(cidrs_parse(SPAN_LIT("10.0.0.0/8, fd00::/8,"), 2, &l), 0);
    assert_int_equal(l.n, 2);
    assert_true(cidrs_has(&l, &a) && cidrs_has(&l, &b));
    a = addr("11.0.0.1");
    assert_false(cidrs_has(&l, &a));
    cidrs_done(&l);
    assert_int_equal(cidrs_parse(SPAN_LIT("10.0.0.0/8, fd00::/8, ::1"), 2, &l), -EINVAL);
    assert_int_equal(cidrs_parse(SPAN_LIT("10.0.0.0/8, nonsense"), 2, &l), -EINVAL);
    assert_int_equal(l.n, 0);
    assert_int_equal(cidrs_parse(SPAN_LIT(" "), 2, &l), 0);
    assert_int_equal(l.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(sources),
        cmocka_unit_test(networks),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
