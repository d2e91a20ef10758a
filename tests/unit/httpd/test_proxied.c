/* X-Forwarded-For is believed from trusted proxies only, and only as far as they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/proxied.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void viewers(void **state)
{
    static const struct {
        const char *peer, *fields, *viewer;
        bool secure;
    } rows[] = {
        {"192.0.2.1", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", false},
        {"10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9", false},
        {"10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n", "203.0.113.9", true},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 203.0.113.9\r\n", "203.0.113.9", false},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9", false},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 203.0.113.9,,10.0.0.2\r\n", "203.0.113.9",
            false},
        {"10.0.0.1", "X-Forwarded-For: 203.0.113.9, nonsense\r\n", "10.0.0.1", false},
        {"10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: unknown\r\n", "10.0.0.1", false},
        {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3", false},
        {"10.0.0.1", "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7", false},
        {"10.0.0.1", "X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9", false},
        {"10.0.0.1", "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7", false},
        {"10.0.0.1", "", "10.0.0.1", false},
    };
    struct cidrs proxies;

    (void)state;
    assert_int_equal(cidrs_parse(SPAN_LIT("10.0.0.0/8"), 8, &proxies), 0);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct sockaddr_in peer = {.sin_family = AF_INET};
        struct access_ask a = {.secure = false};
        char text[512], viewer[ADDR_TEXT_MAX];
        struct head h;

        inet_pton(AF_INET, rows[i].peer, &peer.sin_addr);
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", rows[i].fields);
        assert_int_equal(head_parse(span_of(text), &h), 0);
        proxied_viewer(&proxies, (struct sockaddr *)&peer, &h, &a);
        assert_string_equal(addr_text(&a.address, viewer), rows[i].viewer);
        assert_int_equal(a.secure, rows[i].secure);
    }
    cidrs_done(&proxies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(viewers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
