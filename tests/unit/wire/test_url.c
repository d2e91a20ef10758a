/* common/wire/url: cameras' URLs, masking, joining controls. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/url.h"

static void parses(void **state)
{
    static const struct {
        const char *text;
        enum url_scheme scheme;
        const char *user, *password, *host;
        unsigned port;
        const char *path, *query, *written;
    } rows[] = {
        {"rtsp://h/p", URL_RTSP, NULL, NULL, "h", 554, "/p", NULL, "rtsp://h/p"},
        {" RTSP://h ", URL_RTSP, NULL, NULL, "h", 554, "", NULL, "rtsp://h/"},
        {"rtsp://h:554?a=1", URL_RTSP, NULL, NULL, "h", 554, "", "a=1", "rtsp://h/?a=1"},
        {"rtsps://h:7441/x?enableSrtp#f", URL_RTSPS, NULL, NULL, "h", 7441, "/x", "enableSrtp",
            "rtsps://h:7441/x?enableSrtp"},
        {"tcp://u:p@10.0.0.1:8554/a/b", URL_TCP, "u", "p", "10.0.0.1", 8554, "/a/b", NULL,
            "rtsp://10.0.0.1:8554/a/b"},
        {"udp://u@c_am-1.local/", URL_UDP, "u", NULL, "c_am-1.local", 554, "/", NULL, "rtsp://c_am-1.local/"},
        {"publish://user:pwd@node/uid/", URL_PUBLISH, "user", "pwd", "node", 554, "/uid/", NULL,
            "rtsp://node/uid/"},
        {"http://h:81/v", URL_HTTP, NULL, NULL, "h", 81, "/v", NULL, "http://h:81/v"},
        {"rtsp://[fe80::1%eth0]:8554/p", URL_RTSP, NULL, NULL, "fe80::1%eth0", 8554, "/p", NULL,
            "rtsp://[fe80::1%eth0]:8554/p"},
        {"rtsp://a:b@[::1]/p", URL_RTSP, "a", "b", "::1", 554, "/p", NULL, "rtsp://[::1]/p"},
        /* T19, P1: no brackets */
        {"rtsp://::ffff:192.168.1.1/p", URL_RTSP, NULL, NULL, "::ffff:192.168.1.1", 554, "/p", NULL,
            "rtsp://[::ffff:192.168.1.1]/p"},
        /* U9: empty password; characters that ought to be escaped */
        {"rtsp://admin:@h/p", URL_RTSP, "admin", "", "h", 554, "/p", NULL, "rtsp://h/p"},
        {"rtsp://admin:p@ss:w%40rd@h:1/p", URL_RTSP, "admin", "p@ss:w%40rd", "h", 1, "/p", NULL,
            "rtsp://h:1/p"},
        {"rtsp://admin:pa/ss@h/p@q", URL_RTSP, "admin", "pa/ss", "h", 554, "/p@q", NULL, "rtsp://h/p@q"},
        {"rtsp://admin:pa#s?s@h/p", URL_RTSP, "admin", "pa#s?s", "h", 554, "/p", NULL, "rtsp://h/p"},
        {"rtsp://h/a@b:c/d", URL_RTSP, NULL, NULL, "h", 554, "/a@b:c/d", NULL, "rtsp://h/a@b:c/d"},
        {"rtsp://h:554?mail=a@b", URL_RTSP, NULL, NULL, "h", 554, "", "mail=a@b", "rtsp://h/?mail=a@b"},
        /* U10: credentials in the path stay */
        {"rtsp://h:554/user=admin&password=&channel=1&stream=0.sdp?real_stream", URL_RTSP, NULL, NULL, "h",
            554, "/user=admin&password=&channel=1&stream=0.sdp", "real_stream",
            "rtsp://h/user=admin&password=&channel=1&stream=0.sdp?real_stream"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[256];
        struct wr w = wr_of(text, sizeof(text));
        struct url u;

        assert_int_equal(url_parse(span_of(rows[i].text), &u), 0);
        assert_int_equal(u.scheme, rows[i].scheme);
        assert_int_equal(u.has_user, rows[i].user != NULL);
        assert_true(span_eq(u.user, span_of(rows[i].user)));
        assert_int_equal(u.password.p != NULL, rows[i].password != NULL);
        assert_true(span_eq(u.password, span_of(rows[i].password)));
        assert_true(span_is(u.host, rows[i].host));
        assert_int_equal(u.port, rows[i].port);
        assert_true(span_is(u.path, rows[i].path));
        assert_int_equal(u.query.p != NULL, rows[i].query != NULL);
        assert_true(span_eq(u.query, span_of(rows[i].query)));
        url_write(&w, &u);
        assert_string_equal(wr_cstr(&w), rows[i].written);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"", URL_E_SCHEME},
        {"h/p", URL_E_SCHEME},
        {"ftp://h/p", URL_E_SCHEME},
        {"rtsp:/h", URL_E_SCHEME},
        {"rtsp://", URL_E_HOST},
        {"rtsp:///p", URL_E_HOST},
        {"rtsp://u:p@/p", URL_E_HOST},
        {"rtsp://[::1/p", URL_E_HOST},
        {"rtsp://[::1]x/p", URL_E_HOST},
        {"rtsp://[abc]/p", URL_E_HOST},
        {"rtsp://h!/p", URL_E_HOST},
        {"rtsp://h:0/p", URL_E_PORT},
        {"rtsp://h:65536/p", URL_E_PORT},
        {"rtsp://h:port/p", URL_E_PORT},
        {"rtsp://h:000554/p", URL_E_PORT},
        {"rtsp://h/a b", URL_E_CHAR},
        {"rtsp://h/a\nb", URL_E_CHAR},
    };
    char long_text[URL_MAX + 2];
    struct url u;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(url_parse(span_of(rows[i].text), &u), rows[i].want);
        assert_true(strlen(url_error(rows[i].want)) > 0);
    }
    memset(long_text, 'a', sizeof(long_text));
    memcpy(long_text, "rtsp://h/", 9);
    assert_int_equal(url_parse(span(long_text, URL_MAX), &u), 0);
    assert_int_equal(url_parse(span(long_text, URL_MAX + 1), &u), URL_E_LONG);
}

static void masks(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"rtsp://admin:s3cret@h/p", "rtsp://admin:***@h/p"},
        {"rtsp://admin@h/p", "rtsp://admin@h/p"},
        {"rtsp://admin:p/s?s@h/p", "rtsp://admin:***@h/p"},
        {"rtsp://rtsp://admin:x@h/p", "rtsp://rtsp://admin:***@h/p"},
        {"rtsp://h:554/user=a&password=b&c=1", "rtsp://h:554/user=a&password=***&c=1"},
        {"rtsp://h/?PWD=b;x&Token=abc&q", "rtsp://h/?PWD=***;x&Token=***&q"},
        {"/live/1/index.m3u8?token=a-b-c", "/live/1/index.m3u8?token=***"},
        {"dial rtsp://u:p w@h failed\n", "dial rtsp://u:***@h failed?"},
        {"nothing here", "nothing here"},
        {"", ""},
    };
    char got[128], small[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_string_equal(url_masked(span_of(rows[i].text), got, sizeof(got)), rows[i].want);
    assert_string_equal(url_masked(SPAN_LIT("rtsp://u:p@h"), small, sizeof(small)), "rtsp://");
}

static void joins(void **state)
{
    static const struct {
        const char *base, *control, *want;
    } rows[] = {
        /* P2 */
        {"rtsp://h/p", "trackID=1", "rtsp://h/p/trackID=1"},
        {"rtsp://h/p/", "trackID=1", "rtsp://h/p/trackID=1"},
        {"rtsp://h/p/", "/trackID=1", "rtsp://h/p/trackID=1"},
        {"rtsp://h/p", "/trackID=1", "rtsp://h/p/trackID=1"},
        {"rtsp://h/p", "?ctype=video", "rtsp://h/p?ctype=video"},
        {"rtsp://h/p?channel=1&subtype=0", "trackID=0", "rtsp://h/p?channel=1&subtype=0/trackID=0"},
        {"rtsp://h/p", "*", "rtsp://h/p"},
        {"rtsp://h/p", "", "rtsp://h/p"},
        /* P1: the camera's own idea of its address does not count */
        {"rtsp://1.2.3.4:8554/p", "rtsp://192.168.1.2:554/x/trackID=1?y",
            "rtsp://1.2.3.4:8554/x/trackID=1?y"},
        {"rtsp://h/p", "rtsp://rtsp://h2/x", "rtsp://h/x"},
        {"rtsp://h/p", "a b", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[128];
        struct wr w = wr_of(text, sizeof(text));

        url_join_control(&w, span_of(rows[i].base), span_of(rows[i].control));
        assert_string_equal(wr_cstr(&w), rows[i].want);
    }
}

static void repairs(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: not usable */
    } rows[] = {
        {"rtsp://h:1/p/", "/p/"},
        {"rtsp://rtsp://h/p", "/p"},
        {"rtsp://::ffff:192.168.1.1/p", "/p"},
        {"192.168.1.4:554/p", "/p"},
        {"192.168.1.4/p?x/", "/p?x/"},
        {"//h/p", "/p"},
        {"/p", "/p"},
        {"live/1", "/live/1"},
        {"rtsp://h", "/"},
        {"rtsp://h?x", "/?x"},
        {"", NULL},
        {" ", NULL},
        {"rtsp://", NULL},
        {"rtsp://h/a b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[64];
        struct wr w = wr_of(text, sizeof(text));

        assert_int_equal(url_tail_of(span_of(rows[i].text), &w), rows[i].want != NULL);
        if (rows[i].want) assert_string_equal(wr_cstr(&w), rows[i].want);
    }
}

static void escapes_and_queries(void **state)
{
    char text[64];
    struct wr w = wr_of(text, sizeof(text));
    struct span rest = SPAN_LIT("a=1&&b&c=x%26y+z&=e"), name, value;

    (void)state;
    assert_true(url_decode(SPAN_LIT("%41%2541%4%zz+%"), false, &w));
    assert_string_equal(wr_cstr(&w), "A%41%4%zz+%");
    w = wr_of(text, 2);
    assert_false(url_decode(SPAN_LIT("abc"), false, &w));
    assert_true(url_query_get(rest, "c", text, sizeof(text)));
    assert_string_equal(text, "x&y z");
    assert_true(url_query_get(rest, "b", text, sizeof(text)));
    assert_string_equal(text, "");
    assert_false(url_query_get(rest, "d", text, sizeof(text)));
    assert_false(url_query_get(rest, "c", text, 5));
    assert_true(url_query_get(rest, "c", text, 6));
    assert_true(url_query_next(&rest, &name, &value) && span_is(name, "a") && span_is(value, "1"));
    assert_true(url_query_next(&rest, &name, &value) && span_is(name, "b") && value.p == NULL);
    assert_false(url_query_get(SPAN_NONE, "a", text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(masks),
        cmocka_unit_test(joins),
        cmocka_unit_test(repairs),
        cmocka_unit_test(escapes_and_queries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
