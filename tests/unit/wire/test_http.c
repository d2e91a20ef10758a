/* common/wire/http: strict requests, chunked bodies, paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/http.h"

#define BODY_MAX 1000

static int parse(struct span text, struct http_request *r, size_t *ret_n)
{
    struct head_find f = {0};

    return http_request_parse(&f, text, BODY_MAX, r, ret_n);
}

static void statuses(void **state)
{
    static const struct {
        int want;
        const char *text;
        size_t n;
    } rows[] = {
#define ROW(want, text) {want, text, sizeof(text) - 1}
        ROW(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(0, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(0, "GET / HTTP/1.0\r\n\r\n"),
        ROW(0, "GET /?a|b HTTP/1.1\r\nHost:\r\n\r\n"),
        ROW(0, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(0, "GET http://x:80/p?q HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(0, "GET / HTTP/1.1\r\nHost: [::1]:80\r\nX:\ta\tb \r\n\r\n"),
        ROW(0, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"),
        ROW(0, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
        ROW(HEAD_E_MORE, "GET / HTTP/1.1\r\nHost: a\r\n"),
        ROW(HEAD_E_MORE, ""),
        /* line ends and controls */
        ROW(400, "GET / HTTP/1.1\nHost: a\n\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
        ROW(400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
        /* request line */
        ROW(400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ROW(400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET /\r\nHost: a\r\n\r\n"),
        ROW(400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET / HTTP/1.11\r\nHost: a\r\n\r\n"),
        ROW(400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(400, "GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ROW(501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ROW(501, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
        /* fields */
        ROW(400, "GET / HTTP/1.1\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
        ROW(400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
        /* framing */
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
        ROW(413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"),
        ROW(413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ROW(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
        ROW(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
        ROW(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
#undef ROW
    };
    struct http_request r;
    size_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        int got = parse(span(rows[i].text, rows[i].n), &r, &n);

        if (got != rows[i].want) print_error("row %zu: %s\n", i, rows[i].text);
        assert_int_equal(got, rows[i].want);
        if (got == 0) assert_int_equal(n, rows[i].n);
    }
}

static void sizes(void **state)
{
    static char text[HTTP_HEAD_MAX + 100];
    struct http_request r;
    size_t n, got;

    (void)state;
    n = (size_t)snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_LINE_MAX - 14, 0);
    assert_int_equal(parse(span(text, n), &r, &got), 0);
    n = (size_t)snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_LINE_MAX - 13, 0);
    assert_int_equal(parse(span(text, n), &r, &got), 414);
    n = (size_t)snprintf(
        text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", HTTP_HEAD_MAX - 32, 0);
    assert_int_equal(n, HTTP_HEAD_MAX);
    assert_int_equal(parse(span(text, n), &r, &got), 0);
    n = (size_t)snprintf(
        text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", HTTP_HEAD_MAX - 31, 0);
    assert_int_equal(parse(span(text, n), &r, &got), 431);
    n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < HEAD_FIELDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X: 1\r\n");
    n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
    assert_int_equal(parse(span(text, n), &r, &got), 431);
}

static void meaning(void **state)
{
    struct http_request r;
    size_t n;

    (void)state;
    assert_int_equal(parse(SPAN_LIT("GET http://cam.local:8080/a%20b?token=x&y HTTP/1.1\r\nHost: other\r\n"
                                    "Connection: Upgrade, close\r\nExpect: 100-continue\r\n\r\nGET"),
                         &r, &n),
        0);
    assert_true(
        span_is(r.path, "/a%20b") && span_is(r.query, "token=x&y") && span_is(r.host, "cam.local:8080"));
    assert_true(!r.keep_alive && r.upgrade && r.expect_continue);
    assert_int_equal(r.method, HTTP_GET);
    assert_int_equal(
        parse(SPAN_LIT("HEAD http://h?q HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), &r, &n), 0);
    assert_true(r.keep_alive && span_is(r.path, "/") && span_is(r.query, "q"));
    assert_int_equal(parse(SPAN_LIT("GET / HTTP/1.0\r\n\r\n"), &r, &n), 0);
    assert_false(r.keep_alive);
    assert_null(r.query.p);
    assert_string_equal(http_method_name(HTTP_DELETE), "DELETE");
    assert_string_equal(http_reason(416), "Range Not Satisfiable");
    assert_string_equal(http_reason(299), "");
}

/* The body in pieces of `step` bytes, collected. */
static int chunked(const char *text, size_t step, char *dst, size_t cap)
{
    struct http_chunked c = {0};
    struct span all = span_of(text), data;
    size_t n = 0;

    for (size_t at = 0; at < all.n; at += step) {
        struct span in = span_sub(all, at, step);
        int e;

        while ((e = http_chunked_next(&c, &in, 20, &data)) == 0)
            for (size_t i = 0; i < data.n && n + 1 < cap; i++) dst[n++] = (char)data.p[i];
        dst[n] = 0;
        if (e != HTTP_CHUNK_MORE) return e;
    }
    return HTTP_CHUNK_MORE;
}

static void chunked_bodies(void **state)
{
    static const struct {
        int want;
        const char *text, *body;
    } rows[] = {
        {HTTP_CHUNK_END, "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", "hello world"},
        {HTTP_CHUNK_END, "0\r\nTrailer: x\r\n\r\n", ""},
        {HTTP_CHUNK_END, "00F\r\n123456789012345\r\n0\r\n\r\n", "123456789012345"},
        {HTTP_CHUNK_MORE, "5\r\nhel", "hel"},
        {HTTP_CHUNK_LARGE, "15\r\n", ""},
        {HTTP_CHUNK_LARGE, "FFFFFFFFFFFFFFF\r\n", ""},
        {HTTP_CHUNK_BAD, "FFFFFFFFFFFFFFFFF\r\n", ""},
        {HTTP_CHUNK_BAD, "\r\n", ""},
        {HTTP_CHUNK_BAD, "g\r\n", ""},
        {HTTP_CHUNK_BAD, "-1\r\n", ""},
        {HTTP_CHUNK_BAD, "5\nhello", ""},
        {HTTP_CHUNK_BAD, "1\r\nab\r\n", "a"},
        {HTTP_CHUNK_BAD, "0\r\nx\ny\r\n\r\n", ""},
    };
    char got[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        for (size_t step = 1; step < 40; step += 6) {
            assert_int_equal(chunked(rows[i].text, step, got, sizeof(got)), rows[i].want);
            assert_string_equal(got, rows[i].body);
        }
}

static void paths(void **state)
{
    static const struct {
        const char *raw, *want; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a//b/./c/", "/a/b/c/"},
        {"/a%20b%C3%A4", "/a b\xc3\xa4"},
        {"/a%2520", "/a%20"},
        {"/...", "/..."},
        {"", NULL},
        {"a", NULL},
        {"/..", NULL},
        {"/a/../b", NULL},
        {"/%2e%2E/x", NULL},
        {"/a%2fb", NULL},
        {"/a%5cb", NULL},
        {"/a\\b", NULL},
        {"/a%00b", NULL},
        {"/a%0ab", NULL},
        {"/a%", NULL},
        {"/a%2", NULL},
        {"/a%zz", NULL},
        {"/12345678901234567890123456789012", NULL},
    };
    char got[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        bool ok = http_path_decode(span_of(rows[i].raw), got, sizeof(got));

        assert_int_equal(ok, rows[i].want != NULL);
        if (ok) assert_string_equal(got, rows[i].want);
    }
    assert_true(http_path_decode(span_of("/123456789012345678901234567890"), got, sizeof(got)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),
        cmocka_unit_test(sizes),
        cmocka_unit_test(meaning),
        cmocka_unit_test(chunked_bodies),
        cmocka_unit_test(paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
