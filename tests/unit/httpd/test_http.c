/* The HTTP core against a real socket: framing (C9), paths (C11), keep-alive, pipelining, conditions, ranges,
 * codings, CORS, methods. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/http.h"
#include "tests/support/httpd_help.h"
#include "tests/support/tool.h"

static struct httpd_help help;
static char dir[64];
static char script[20000];

static void put_file(const char *name, struct span text)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    must(fd >= 0 && fd_write_all(fd, text) == 0);
    fd_close(&fd);
}

static int start(void **state)
{
    char path[256];

    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/player", dir);
    must(mkdir(path, 0755) == 0);
    for (size_t i = 0; i + 1 < sizeof(script); i++) script[i] = "abcdefghij"[i % 10];
    put_file("player/embed.html", SPAN_LIT("<!doctype html><title>x</title>"));
    put_file("player/a.js", span_of(script));
    put_file("player/secret.txt", SPAN_LIT("no known type"));
    put_file(".hidden.js", SPAN_LIT("x"));
    httpd_help_start(&help, 2, dir, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    httpd_help_stop(&help);
    tool_rmdir(dir);
    return 0;
}

/* Sends bytes on a fresh connection and gives the status of the first answer; 0: closed without one. */
static unsigned status_of(struct span request, bool *ret_closed)
{
    struct http_reply r;
    int fd = httpd_help_connect(&help);
    unsigned status = http_help_ask(fd, request, SIZE_MAX, &r) ? r.status : 0;
    char byte;

    if (ret_closed) {
        shutdown(fd, SHUT_WR);
        *ret_closed = span_is(http_reply_field(&r, "Connection"), "close");
        if (*ret_closed) assert_int_equal(recv(fd, &byte, 1, 0), 0);
    }
    http_reply_done(&r);
    close(fd);
    return status;
}

#define GET_A "GET /cpanel/player/a.js HTTP/1.1\r\nHost: t\r\n"

/* What could be framed in two ways is refused, and the connection is closed behind the answer. */
static void test_smuggling_set(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {GET_A "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {GET_A "Transfer-Encoding: xchunked\r\n\r\n", 400},
        {GET_A "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {GET_A "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
        {GET_A "Transfer-Encoding : chunked\r\n\r\n", 400},
        {GET_A "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
        {GET_A "Content-Length: +5\r\n\r\nhello", 400}, {GET_A "Content-Length: -5\r\n\r\nhello", 400},
        {GET_A "Content-Length: 0x5\r\n\r\nhello", 400},
        {GET_A "Content-Length: 99999999999999999999\r\n\r\n", 413},
        {GET_A "Content-Length: 262145\r\n\r\n", 413}, {GET_A "X: a\r\n b\r\n\r\n", 400},
        {GET_A "X: a\rb\r\n\r\n", 400}, {"GET /cpanel/player/a.js HTTP/1.1\nHost: t\n\n", 400},
        {"GET  /cpanel/player/a.js HTTP/1.1\r\nHost: t\r\n\r\n", 400},
        {"GET /cpanel/player/a.js\r\n\r\n", 400},
        {"GET /cpanel/player/a.js HTTP/2.0\r\nHost: t\r\n\r\n", 505},
        {"GET /cpanel/player/a.js HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET /cpanel/player/a.js HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"BREW /cpanel/player/a.js HTTP/1.1\r\nHost: t\r\n\r\n", 501},
        {"\x16\x03\x01\x02\x01\x01\x01\x01\xfc\x03\x03\r\n\r\n", 400}, /* TLS on the plain port */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        bool closed = false;
        unsigned status = status_of(span_of(rows[i].text), &closed);

        if (status != rows[i].status || !closed) print_message("row %zu: %s\n", i, rows[i].text);
        assert_int_equal(status, rows[i].status);
        assert_true(closed);
    }
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } rows[] = {
        {"/cpanel/player/a.js", 200},
        {"/cpanel//player/./a.js", 200},
        {"/cpanel/pl%61yer/a.js", 200},
        {"http://other/cpanel/player/a.js", 200},
        {"/cpanel/../player/a.js", 400},
        {"/cpanel/%2e%2e/a.js", 400},
        {"/cpanel/player%2fa.js", 400},
        {"/cpanel/player%5ca.js", 400},
        {"/cpanel/player/a.js%00", 400},
        {"/cpanel/player/%zz", 400},
        {"/cpanel/player/secret.txt", 404},
        {"/cpanel/.hidden.js", 404},
        {"/cpanel/player", 404},
        {"/cpanel/player/%c0%ae%c0%ae/a.js", 404},
        {"/", 404},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", rows[i].path);
        unsigned status = status_of(span(text, (size_t)n), NULL);

        if (status != rows[i].status) print_message("%s\n", rows[i].path);
        assert_int_equal(status, rows[i].status);
    }
}

static void test_limits(void **state)
{
    static char text[40000];
    size_t line = strlen("GET / HTTP/1.1");

    (void)state;
    /* the request line at its limit is a path nobody has; one more is too long */
    for (int over = 0; over < 2; over++) {
        struct wr w = wr_of(text, sizeof(text));

        wr_text(&w, "GET /");
        while (w.n < HTTP_LINE_MAX - line + 5 + (size_t)over) wr_u8(&w, 'a');
        wr_text(&w, " HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_int_equal(status_of(wr_span(&w), NULL), over ? 414 : 400);
    }
    {
        struct wr w = wr_of(text, sizeof(text));

        wr_text(&w, GET_A "X: ");
        while (w.n < HTTP_HEAD_MAX) wr_u8(&w, 'a');
        wr_text(&w, "\r\n\r\n");
        assert_int_equal(status_of(wr_span(&w), NULL), 431);
    }
}

static void ask(int fd, const char *text, struct http_reply *r)
{
    assert_true(http_help_ask(fd, span_of(text), SIZE_MAX, r));
}

static void test_keep_alive(void **state)
{
    int fd = httpd_help_connect(&help);
    struct http_reply r;
    char byte;

    (void)state;
    for (int i = 0; i < 3; i++) {
        ask(fd, GET_A "\r\n", &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body.n, sizeof(script) - 1);
        http_reply_done(&r);
    }
    ask(fd, GET_A "Connection: close\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    http_reply_done(&r);
    close(fd);
    /* HTTP/1.0 closes by itself */
    fd = httpd_help_connect(&help);
    ask(fd, "GET /cpanel/player/a.js HTTP/1.0\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    http_reply_done(&r);
    close(fd);
}

/* Answers come in the order of the requests, roads of streams (which change the hub) among them. */
static void test_pipelining(void **state)
{
    static const char requests[] =
        GET_A "Range: bytes=0-0\r\n\r\n"
              "GET /cam-1/stream.json HTTP/1.1\r\nHost: t\r\n\r\n"
              "HEAD /cpanel/player/a.js HTTP/1.1\r\nHost: t\r\n\r\n"
              "GET /cam-2/stream.json HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody"
              "POST /cam-3/stream.json HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n0\r\n\r\n" GET_A "Range: bytes=1-1\r\n\r\n" GET_A
              "Connection: close\r\nRange: bytes=2-2\r\n\r\n";
    static const char *const want[] = {"206", "404", "200", "404", "405", "206", "206"};
    struct buf all;
    struct span rest;
    int fd = httpd_help_connect(&help);
    ssize_t n;

    (void)state;
    buf_init(&all, 1 << 20);
    assert_int_equal(send(fd, requests, sizeof(requests) - 1, MSG_NOSIGNAL), sizeof(requests) - 1);
    do {
        uint8_t *at = buf_room(&all, 4096);

        n = recv(fd, at, 4096, 0);
        if (n > 0) buf_added(&all, (size_t)n);
    } while (n > 0);
    rest = buf_span(&all);
    for (size_t i = 0; i < ARRAY_N(want); i++) {
        ssize_t at = span_find_span(rest, SPAN_LIT("HTTP/1.1 "));

        assert_true(at >= 0);
        rest = span_from(rest, (size_t)at + 9);
        if (!span_starts(rest, span_of(want[i])))
            print_message("answer %zu: %.3s\n", i, (const char *)rest.p);
        assert_true(span_starts(rest, span_of(want[i])));
    }
    assert_true(span_find_span(rest, SPAN_LIT("HTTP/1.1 ")) < 0);
    assert_int_equal(rest.p[rest.n - 1], 'c');
    buf_done(&all);
    close(fd);
}

/* A request may come a byte at a time. */
static void test_split_at_every_byte(void **state)
{
    static const char text[] = GET_A "Range: bytes=5-6\r\n\r\n";
    struct http_reply r;
    int fd = httpd_help_connect(&help);

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i++) assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
    ask(fd, "", &r);
    assert_int_equal(r.status, 206);
    assert_true(span_is(r.body, "fg"));
    http_reply_done(&r);
    close(fd);
}

static void test_ranges_and_conditions(void **state)
{
    struct http_reply r;
    char fields[256], etag[64];

    (void)state;
    assert_true(httpd_help_get(&help, "/cpanel/player/a.js", NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(span_is(http_reply_field(&r, "Accept-Ranges"), "bytes"));
    assert_true(span_copy(http_reply_field(&r, "ETag"), etag, sizeof(etag)));
    http_reply_done(&r);
    snprintf(fields, sizeof(fields), "If-None-Match: %s\r\n", etag);
    assert_true(httpd_help_get(&help, "/cpanel/player/a.js", fields, &r));
    assert_int_equal(r.status, 304);
    http_reply_done(&r);
    snprintf(fields, sizeof(fields), "If-Range: %s\r\nRange: bytes=-3\r\n", etag);
    assert_true(httpd_help_get(&help, "/cpanel/player/a.js", fields, &r));
    assert_int_equal(r.status, 206);
    assert_true(span_is(r.body, "ghi"));
    assert_true(span_is(http_reply_field(&r, "Content-Range"), "bytes 19996-19998/19999"));
    http_reply_done(&r);
    assert_true(
        httpd_help_get(&help, "/cpanel/player/a.js", "If-Range: \"other\"\r\nRange: bytes=0-1\r\n", &r));
    assert_int_equal(r.status, 200);
    http_reply_done(&r);
    assert_true(httpd_help_get(&help, "/cpanel/player/a.js", "Range: bytes=20000-\r\n", &r));
    assert_int_equal(r.status, 416);
    assert_true(span_is(http_reply_field(&r, "Content-Range"), "bytes */19999"));
    http_reply_done(&r);
    assert_true(httpd_help_get(&help, "/cpanel/player/a.js", "If-Match: \"other\"\r\n", &r));
    assert_int_equal(r.status, 412);
    http_reply_done(&r);
}

static void test_gzip_when_wanted(void **state)
{
    struct http_reply r;
    int fd = httpd_help_connect(&help);

    (void)state;
    ask(fd, GET_A "Accept-Encoding: br, gzip\r\n\r\n", &r);
    assert_true(span_is(http_reply_field(&r, "Content-Encoding"), "gzip"));
    assert_true(span_is(http_reply_field(&r, "Vary"), "Accept-Encoding"));
    assert_true(r.body.n < 1000);
    http_reply_done(&r);
    ask(fd, GET_A "Accept-Encoding: gzip;q=0\r\n\r\n", &r);
    assert_int_equal(http_reply_field(&r, "Content-Encoding").n, 0);
    assert_int_equal(r.body.n, sizeof(script) - 1);
    http_reply_done(&r);
    close(fd);
}

static void test_methods_and_cors(void **state)
{
    struct http_reply r;
    int fd = httpd_help_connect(&help);

    (void)state;
    ask(fd, "DELETE /cam-1/index.m3u8 HTTP/1.1\r\nHost: t\r\n\r\n", &r);
    assert_int_equal(r.status, 405);
    assert_true(span_is(http_reply_field(&r, "Allow"), "GET, HEAD, OPTIONS"));
    http_reply_done(&r);
    ask(fd,
        "OPTIONS /cam-1/index.m3u8 HTTP/1.1\r\nHost: t\r\nOrigin: "
        "https://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        &r);
    assert_int_equal(r.status, 204);
    assert_true(span_is(http_reply_field(&r, "Access-Control-Allow-Origin"), "*"));
    assert_true(span_is(http_reply_field(&r, "Access-Control-Allow-Methods"), "GET, HEAD, OPTIONS"));
    http_reply_done(&r);
    ask(fd, "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", &r);
    assert_int_equal(r.status, 204);
    http_reply_done(&r);
    /* none on what belongs to the panel */
    ask(fd, GET_A "Origin: https://a\r\n\r\n", &r);
    assert_int_equal(http_reply_field(&r, "Access-Control-Allow-Origin").n, 0);
    assert_true(span_is(http_reply_field(&r, "X-Content-Type-Options"), "nosniff"));
    assert_true(span_is(http_reply_field(&r, "Referrer-Policy"), "no-referrer"));
    http_reply_done(&r);
    close(fd);
}

static void set_origin(struct hub *hub, void *arg)
{
    span_copy(span_of(arg), hub->allow_origin, sizeof(hub->allow_origin));
}

static void test_listed_origins(void **state)
{
    static const char ask_from_a[] = "GET /cam-1/index.m3u8 HTTP/1.1\r\nHost: t\r\nOrigin: https://a\r\n\r\n";
    struct http_reply r;
    int fd = httpd_help_connect(&help);

    (void)state;
    server_each(&help.server, set_origin, span_dup(SPAN_LIT("https://b, https://a")));
    httpd_help_settle(&help);
    ask(fd, ask_from_a, &r);
    assert_true(span_is(http_reply_field(&r, "Access-Control-Allow-Origin"), "https://a"));
    assert_true(span_is(http_reply_field(&r, "Vary"), "Origin"));
    http_reply_done(&r);
    server_each(&help.server, set_origin, span_dup(SPAN_LIT("https://b")));
    httpd_help_settle(&help);
    ask(fd, ask_from_a, &r);
    assert_int_equal(http_reply_field(&r, "Access-Control-Allow-Origin").n, 0);
    http_reply_done(&r);
    server_each(&help.server, set_origin, span_dup(SPAN_LIT("*")));
    close(fd);
}

/* Nobody gets to send a body before he is refused. */
static void test_expect_continue(void **state)
{
    bool closed;

    (void)state;
    assert_int_equal(status_of(SPAN_LIT("POST /cam-1/index.m3u8 HTTP/1.1\r\nHost: t\r\nExpect: "
                                        "100-continue\r\nContent-Length: 9\r\n\r\n"),
                         &closed),
        405);
    assert_true(closed);
}

static void test_pages_say_what_they_load(void **state)
{
    struct http_reply r;
    struct view *v = mem_new(sizeof(*v));

    (void)state;
    snprintf(v->uid, sizeof(v->uid), "cam-9");
    v->rule = (struct access_rule){ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}};
    hub_post(hub_home(&help.server, SPAN_LIT("cam-9")), stream_view, v);
    assert_true(httpd_help_get(&help, "/cam-9/embed.html", NULL, &r));
    assert_int_equal(r.status, 200);
    assert_true(span_ends(http_reply_field(&r, "Content-Security-Policy"), SPAN_LIT("frame-ancestors *")));
    http_reply_done(&r);
    /* What stands in its place is a page, too; elsewhere a refusal is a line of text. */
    assert_true(httpd_help_get(&help, "/nobody/embed.html", NULL, &r));
    assert_int_equal(r.status, 404);
    assert_true(span_is(http_reply_field(&r, "Content-Type"), "text/html; charset=utf-8"));
    assert_true(
        span_find_span(http_reply_field(&r, "Content-Security-Policy"), SPAN_LIT("frame-ancestors *")) > 0);
    assert_true(span_find_span(r.body, SPAN_LIT("<p>no such stream</p>")) > 0);
    http_reply_done(&r);
    assert_true(httpd_help_get(&help, "/nobody/stream.json", NULL, &r));
    assert_true(span_is(http_reply_field(&r, "Content-Type"), "text/plain; charset=utf-8"));
    assert_true(span_is(r.body, "404 Not Found: no such stream\n"));
    http_reply_done(&r);
    assert_true(httpd_help_get(&help, "/cpanel/player/embed.html", NULL, &r));
    assert_true(
        span_ends(http_reply_field(&r, "Content-Security-Policy"), SPAN_LIT("frame-ancestors 'none'")));
    http_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smuggling_set),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_split_at_every_byte),
        cmocka_unit_test(test_ranges_and_conditions),
        cmocka_unit_test(test_gzip_when_wanted),
        cmocka_unit_test(test_methods_and_cors),
        cmocka_unit_test(test_listed_origins),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_pages_say_what_they_load),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
