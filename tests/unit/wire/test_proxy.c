#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static const char v4[] = SIGNATURE "\x21\x11\0\x0c"
                                   "\xcb\0\x71\x09"
                                   "\x7f\0\0\x01"
                                   "\x12\x67"
                                   "\x01\xbb"
                                   "GET /";
static const char v6[] = SIGNATURE "\x21\x21\0\x27"
                                   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                                   "\x12\x67"
                                   "\x01\xbb"
                                   "\x04\0\0";

static void headers(void **state)
{
    struct proxy_said s;
    size_t need;

    (void)state;
    assert_int_equal(proxy_read(span(v4, sizeof(v4) - 1), &s, &need), 0);
    assert_false(s.local || s.v6);
    assert_memory_equal(s.address, "\xcb\0\x71\x09", 4);
    assert_int_equal(s.port, 0x1267);
    assert_int_equal(s.n, 28);
    assert_int_equal(proxy_read(span(v6, sizeof(v6) - 1), &s, &need), 0);
    assert_true(s.v6);
    assert_int_equal(s.address[15], 7);
    assert_int_equal(s.n, 16 + 39);
    assert_int_equal(proxy_read(span(SIGNATURE "\x20\0\0\0", 16), &s, &need), 0);
    assert_true(s.local);
    assert_int_equal(proxy_read(span(SIGNATURE "\x21\x31\0\0", 16), &s, &need), 0);
    assert_true(s.local);
}

static void pieces(void **state)
{
    struct proxy_said s;
    size_t need;

    (void)state;
    for (size_t i = 0; i < 28; i++) {
        assert_int_equal(proxy_read(span(v4, i), &s, &need), PROXY_E_MORE);
        assert_int_equal(need, i < 16 ? 16 : 28);
    }
}

static void what_is_none(void **state)
{
    struct proxy_said s;
    size_t need;

    (void)state;
    assert_int_equal(proxy_read(SPAN_LIT("G"), &s, &need), PROXY_E_NONE);
    assert_int_equal(proxy_read(SPAN_LIT("\r\nGET / HTTP/1.1"), &s, &need), PROXY_E_NONE);
    assert_int_equal(proxy_read(SPAN_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), &s, &need), PROXY_E_NONE);
    assert_int_equal(proxy_read(span(SIGNATURE "\x11\x11\0\x0c", 16), &s, &need), PROXY_E_BAD);
    assert_int_equal(proxy_read(span(SIGNATURE "\x22\x11\0\0", 16), &s, &need), PROXY_E_BAD);
    assert_int_equal(proxy_read(span(SIGNATURE "\x21\x11\0\x0b"
                                               "aaaabbbbccc",
                                    27),
                         &s, &need),
        PROXY_E_BAD);
    assert_int_equal(proxy_read(span(SIGNATURE "\x21\x11\xff\xff", 16), &s, &need), PROXY_E_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers), cmocka_unit_test(pieces), cmocka_unit_test(what_is_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
