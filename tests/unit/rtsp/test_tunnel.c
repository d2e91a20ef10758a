/* RTSP over HTTP: what a connection begins with, and base64 that is cut anywhere (cameras.md N1). */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/rtsp/tunnel.h"

#define COOKIE "x-sessioncookie: abc\r\n"

static void beginnings(void **state)
{
    static const struct {
        const char *text;
        enum tunnel_kind kind;
    } rows[] = {
        {"GET /cam-1?a=b HTTP/1.0\r\n" COOKIE "\r\n", TUNNEL_GET},
        {"POST /cam-1 HTTP/1.1\r\nX-SessionCookie: abc\r\nContent-Length: 32767\r\n\r\nT1B", TUNNEL_POST},
        {"GET /cam-1 HTTP/1.1\r\n\r\n", TUNNEL_BAD},
        {"GET /cam-1 RTSP/1.0\r\n" COOKIE "\r\n", TUNNEL_BAD},
        {"GET /cam-1 HTTP/1.0\r\nx-sessioncookie: "
         "0123456789012345678901234567890123456789012345678901234567890123\r\n\r\n",
            TUNNEL_BAD},
        {"", TUNNEL_MORE},
        {"GE", TUNNEL_MORE},
        {"GET /cam-1 HTTP/1.0\r\n" COOKIE, TUNNEL_MORE},
        {"GET_PARAMETER * RTSP/1.0\r\n", TUNNEL_NONE},
        {"OPTIONS", TUNNEL_NONE},
        {"$", TUNNEL_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct head_find find = {0};
        struct tunnel_head h = {0};

        assert_int_equal(tunnel_look(&find, span_of(rows[i].text), &h), rows[i].kind);
        if (rows[i].kind == TUNNEL_GET) assert_true(span_is(h.path, "/cam-1?a=b"));
        if (rows[i].kind == TUNNEL_POST) assert_int_equal(strlen(rows[i].text) - h.n, 3);
        if (rows[i].kind >= TUNNEL_GET) assert_string_equal(h.cookie, "abc");
    }
}

static void text_in_any_pieces(void **state)
{
    static const char two[] = "T1BUSU9OUyAq\r\nQQ==\n Qg==QUI=";
    struct buf to;

    (void)state;
    for (size_t piece = 1; piece < sizeof(two); piece++) {
        struct tunnel_text t = {0};

        buf_init(&to, 64);
        for (size_t at = 0; at < sizeof(two) - 1; at += piece)
            assert_true(tunnel_decode(&t, span_sub(span(two, sizeof(two) - 1), at, piece), &to));
        assert_true(span_is(buf_span(&to), "OPTIONS *ABAB"));
        buf_done(&to);
    }
}

static void what_is_no_text(void **state)
{
    struct tunnel_text t = {0};
    struct buf to;

    (void)state;
    buf_init(&to, 3);
    assert_false(tunnel_decode(&t, SPAN_LIT("T1!U"), &to));
    t = (struct tunnel_text){0};
    assert_true(tunnel_decode(&t, SPAN_LIT("QUJD"), &to));
    assert_false(tunnel_decode(&t, SPAN_LIT("QUJD"), &to)); /* more than is kept */
    buf_done(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginnings),
        cmocka_unit_test(text_in_any_pieces),
        cmocka_unit_test(what_is_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
