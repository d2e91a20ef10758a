/* httpd/elsewhere: the same URL at another node. */
#include "httpd/elsewhere.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void lines(void **state)
{
    static const struct {
        const char *host, *url, *line;
    } rows[] = {
        {"10.0.0.1", "rtsp://10.0.0.2:8554/cam?token=a%20b",
            "Location: rtsp://10.0.0.1:8554/cam?token=a%20b\r\n"},
        {"n1.example", "http://u:p@n2/cam/index.m3u8", "Location: http://n1.example/cam/index.m3u8\r\n"},
        {"fd00::1", "https://[fd00::2]:444/cam/", "Location: https://[fd00::1]:444/cam/\r\n"},
        {"", "http://n2/cam", NULL},
        {"n1", "/cam/index.m3u8", NULL},
        {"n1", "http:///cam", NULL},
        {"n1", "http://n2:x/cam", NULL},
        {"n1", "http://n2\r\nSet-Cookie: a/cam", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char line[ELSEWHERE_MAX];
        struct wr w = wr_of(line, sizeof(line));

        assert_int_equal(elsewhere_line(rows[i].host, span_of(rows[i].url), &w), rows[i].line != NULL);
        if (rows[i].line) assert_string_equal(line, rows[i].line);
    }
}

static void too_long(void **state)
{
    char line[32];
    struct wr w = wr_of(line, sizeof(line));

    (void)state;
    assert_false(elsewhere_line("a.host.of.many.letters", SPAN_LIT("rtsp://b/cam"), &w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
