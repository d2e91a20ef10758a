/* httpd/h2_head: requests of HTTP/2 as text of HTTP/1.1, and what could not stand there; answers as fields.
 */
#include "httpd/h2_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct field {
    const char *name, *value;
};

static unsigned text_of(const struct field *f, size_t n, bool body, struct buf *to)
{
    struct h2_request r;
    unsigned status;

    h2_request_init(&r);
    buf_init(to, 65536);
    for (size_t i = 0; i < n; i++) h2_request_field(&r, span_of(f[i].name), span_of(f[i].value));
    status = h2_request_text(&r, body, to);
    h2_request_done(&r);
    return status;
}

static void a_request_as_text(void **state)
{
    static const struct field f[] = {{":method", "GET"}, {":scheme", "https"}, {":authority", "cams:444"},
        {":path", "/a?b=c"}, {"cookie", "a=1"}, {"accept", "*/*"}, {"cookie", "b=2"}, {"host", "cams:444"}};
    struct http_request req;
    struct head_find find = {0};
    struct buf text;
    size_t n;

    (void)state;
    assert_int_equal(text_of(f, ARRAY_N(f), false, &text), 0);
    assert_true(span_is(buf_span(&text),
        "GET /a?b=c HTTP/1.1\r\nHost: cams:444\r\naccept: */*\r\nCookie: a=1; b=2\r\nConnection: "
        "close\r\n\r\n"));
    assert_int_equal(http_request_parse(&find, buf_span(&text), 0, &req, &n), 0);
    assert_int_equal(n, buf_n(&text));
    assert_false(req.keep_alive);
    buf_done(&text);
}

static void bodies_are_framed(void **state)
{
    static const struct field known[] = {
        {":method", "POST"}, {":path", "/"}, {":authority", "x"}, {"content-length", "5"}};
    struct http_request req;
    struct buf text;

    (void)state;
    for (int with_length = 0; with_length < 2; with_length++) {
        struct head_find find = {0};
        size_t n;

        assert_int_equal(text_of(known, with_length ? 4 : 3, true, &text), 0);
        assert_int_equal(http_request_parse(&find, buf_span(&text), 100, &req, &n), 0);
        assert_int_equal(req.chunked, !with_length);
        assert_int_equal(req.body_n, with_length ? 5 : 0);
        buf_done(&text);
    }
}

/* What would be two requests, another one, or none. */
static void what_is_refused(void **state)
{
    static char long_value[HTTP_HEAD_MAX];
    const struct {
        struct field f[4];
        unsigned status;
    } rows[] = {
        {{{":method", "GET"}, {":path", "/ HTTP/1.1\r\nX: y"}}, 400},
        {{{":method", "GET /b"}, {":path", "/"}}, 400},
        {{{":method", "GET"}, {":path", "/a b"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {":authority", "a\r\nX: y"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"x", "a\r\n\r\nGET / HTTP/1.1"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"x y", "a"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"x:", "a"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"", "a"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"transfer-encoding", "chunked"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {"upgrade", "websocket"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {":path", "/b"}}, 400},
        {{{":method", "GET"}, {":path", "/"}, {":method", "PUT"}}, 400},
        {{{":method", "GET"}}, 400},
        {{{":path", "/"}}, 400},
        {{{":method", "CONNECT"}, {":authority", "x:1"}}, 501},
        {{{":method", "GET"}, {":path", "/"}, {"x", long_value}, {"y", long_value}}, 431},
        {{{":method", "GET"}, {":path", "/"}, {"cookie", long_value}, {"cookie", long_value}}, 431},
    };

    (void)state;
    memset(long_value, 'a', sizeof(long_value) - 1);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct buf text;
        size_t n = 0;

        while (n < 4 && rows[i].f[n].name) n++;
        assert_int_equal(text_of(rows[i].f, n, false, &text), rows[i].status);
        buf_done(&text);
    }
}

/* Two that differ are two: the parser refuses them, as it does on HTTP/1.1. */
static void a_host_of_its_own(void **state)
{
    static const struct field f[] = {{":method", "GET"}, {":path", "/"}, {":authority", "a"}, {"host", "b"}};
    struct http_request req;
    struct head_find find = {0};
    struct buf text;
    size_t n;

    (void)state;
    assert_int_equal(text_of(f, ARRAY_N(f), false, &text), 0);
    assert_int_equal(http_request_parse(&find, buf_span(&text), 0, &req, &n), 400);
    buf_done(&text);
}

static bool answer_of(const char *text, struct h2_answer *ret)
{
    static char own[H2_ANSWER_HEAD_MAX];

    assert_true(span_copy(span_of(text), own, sizeof(own)));
    return h2_answer_of(span(own, strlen(own)), ret);
}

static void answers(void **state)
{
    static const char *const bad[] = {
        "", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "nonsense\r\n\r\n"};
    struct h2_answer a;

    (void)state;
    assert_true(answer_of(
        "HTTP/1.1 206 Partial Content\r\nContent-Type: video/mp4\r\nConnection: close\r\nETag: \"X\"\r\n\r\n",
        &a));
    assert_int_equal(a.n, 3);
    assert_true(span_is(span(a.v[0].name, a.v[0].namelen), ":status"));
    assert_true(span_is(span(a.v[0].value, a.v[0].valuelen), "206"));
    assert_true(span_is(span(a.v[1].name, a.v[1].namelen), "content-type"));
    assert_true(span_is(span(a.v[2].name, a.v[2].namelen), "etag"));
    assert_true(span_is(span(a.v[2].value, a.v[2].valuelen), "\"X\""));
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(answer_of(bad[i], &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_as_text),
        cmocka_unit_test(bodies_are_framed),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_host_of_its_own),
        cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
