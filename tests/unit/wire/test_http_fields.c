/* common/wire/http_fields: dates, conditions, ranges, codings. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/http_fields.h"

#define SUNDAY ((usec_t)784111777 * US_PER_S) /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct head head_of(const char *fields)
{
    static char text[1024];
    struct head h;

    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", fields);
    assert_int_equal(head_parse(span_of(text), &h), 0);
    return h;
}

static void dates(void **state)
{
    static const char *const good[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
    static const char *const bad[] = {"", "Sun", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sunday, 06-Nov-94", "0"};
    char text[HTTP_DATE_MAX];
    usec_t t;

    (void)state;
    assert_string_equal(http_date(SUNDAY + 999999, text), good[0]);
    for (size_t i = 0; i < ARRAY_N(good); i++) {
        assert_true(http_date_parse(span_of(good[i]), &t));
        assert_int_equal(t, SUNDAY);
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(http_date_parse(span_of(bad[i]), &t));
    assert_true(http_date_parse(SPAN_LIT("Friday, 01-Jan-38 00:00:00 GMT"), &t));
    assert_int_equal(t / US_PER_S, 2145916800);
}

static void conditions(void **state)
{
    static const struct {
        const char *fields;
        unsigned get, put;
    } rows[] = {
        {"", 0, 0},
        {"If-None-Match: \"abc\"\r\n", 304, 412},
        {"If-None-Match: W/\"abc\"\r\n", 304, 412},
        {"If-None-Match: \"x\", \"abc\"\r\n", 304, 412},
        {"If-None-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n", 304, 412},
        {"If-None-Match: *\r\n", 304, 412},
        {"If-None-Match: \"x\"\r\n", 0, 0},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 0, 0},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304, 0},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 0, 0},
        {"If-Modified-Since: nonsense\r\n", 0, 0},
        {"If-Match: \"abc\"\r\n", 0, 0},
        {"If-Match: W/\"abc\"\r\n", 412, 412},
        {"If-Match: \"x\"\r\n", 412, 412},
        {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412, 412},
        {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 0, 0},
    };
    const struct http_validators v = {SPAN_LIT("\"abc\""), SUNDAY + 500};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct head h = head_of(rows[i].fields);

        assert_int_equal(http_conditions(&h, true, &v), rows[i].get);
        assert_int_equal(http_conditions(&h, false, &v), rows[i].put);
    }
}

static void ranges(void **state)
{
    static const struct {
        const char *value;
        int want;
        uint64_t from, n;
    } rows[] = {
        {"bytes=0-", HTTP_RANGE_ONE, 0, 100},
        {"Bytes=0-0", HTTP_RANGE_ONE, 0, 1},
        {"bytes = 10-19", HTTP_RANGE_ONE, 10, 10},
        {"bytes=99-1000", HTTP_RANGE_ONE, 99, 1},
        {"bytes=-1", HTTP_RANGE_ONE, 99, 1},
        {"bytes=-1000", HTTP_RANGE_ONE, 0, 100},
        {"bytes=100-", HTTP_RANGE_NOT_SATISFIABLE, 0, 0},
        {"bytes=-0", HTTP_RANGE_NOT_SATISFIABLE, 0, 0},
        {"bytes=18446744073709551615-", HTTP_RANGE_NOT_SATISFIABLE, 0, 0},
        {"bytes=0-1,5-6", 0, 0, 0},
        {"bytes=5-4", 0, 0, 0},
        {"bytes=a-b", 0, 0, 0},
        {"bytes=-", 0, 0, 0},
        {"bytes=", 0, 0, 0},
        {"bytes", 0, 0, 0},
        {"lines=0-1", 0, 0, 0},
        {"bytes=99999999999999999999-", 0, 0, 0},
        {"", 0, 0, 0},
    };
    struct http_range r;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        r = (struct http_range){0, 0};
        assert_int_equal(http_range(span_of(rows[i].value), 100, &r), rows[i].want);
        assert_int_equal(r.from, rows[i].from);
        assert_int_equal(r.n, rows[i].n);
    }
    assert_int_equal(http_range(SPAN_LIT("bytes=0-"), 0, &r), HTTP_RANGE_NOT_SATISFIABLE);
    assert_int_equal(http_range(SPAN_LIT("bytes=-5"), 0, &r), HTTP_RANGE_NOT_SATISFIABLE);
}

static void if_range(void **state)
{
    static const struct {
        const char *fields;
        int want;
    } rows[] = {
        {"Range: bytes=1-2\r\n", HTTP_RANGE_ONE},
        {"Range: bytes=1-2\r\nIf-Range: \"abc\"\r\n", HTTP_RANGE_ONE},
        {"Range: bytes=1-2\r\nIf-Range: \"x\"\r\n", 0},
        {"Range: bytes=1-2\r\nIf-Range: W/\"abc\"\r\n", 0},
        {"Range: bytes=1-2\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", HTTP_RANGE_ONE},
        {"Range: bytes=1-2\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 0},
        {"", 0},
    };
    const struct http_validators v = {SPAN_LIT("\"abc\""), SUNDAY};
    struct http_range r;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct head h = head_of(rows[i].fields);

        assert_int_equal(http_range_of(&h, &v, 100, &r), rows[i].want);
    }
}

static void codings(void **state)
{
    static const struct {
        const char *fields;
        unsigned gzip, identity;
    } rows[] = {
        {"", 0, 1000},
        {"Accept-Encoding: gzip, deflate, br\r\n", 1000, 1000},
        {"Accept-Encoding: GZIP;q=0.5\r\n", 500, 1000},
        {"Accept-Encoding: gzip;q=0\r\n", 0, 1000},
        {"Accept-Encoding: *;q=0.1\r\n", 100, 100},
        {"Accept-Encoding: identity;q=0, *;q=1.000\r\n", 1000, 0},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip ; q=0.123\r\n", 123, 1000},
        {"Accept-Encoding: gzip;q=2\r\n", 0, 1000},
        {"Accept-Encoding: gzip;q=1.001\r\n", 0, 1000},
        {"Accept-Encoding:\r\n", 0, 1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct head h = head_of(rows[i].fields);

        assert_int_equal(http_accepts_coding(&h, "gzip"), rows[i].gzip);
        assert_int_equal(http_accepts_coding(&h, "identity"), rows[i].identity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(conditions),
        cmocka_unit_test(ranges),
        cmocka_unit_test(if_range),
        cmocka_unit_test(codings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
