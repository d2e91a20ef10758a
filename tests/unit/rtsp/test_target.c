/* What URLs of requests name, in all the ways that clients put them together. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/rtsp/target.h"

struct row {
    const char *text, *base, *uid, *query, *control;
    bool dvr;
};

static void taken(void **state)
{
    static const struct row rows[] = {
        {"rtsp://h/cam-1", "/", "cam-1", "", "", false},
        {"rtsp://u:p@h:554/cam-1/", "/", "cam-1", "", "", false},
        {"RTSP://h/live/cam-1/", "/", "cam-1", "", "", false},
        {"rtsp://h/live/cam-1/track=video", "/", "cam-1", "", "track=video", false},
        {"rtsp://h/cam-1/trackID=1", "/", "cam-1", "", "trackID=1", false},
        {"rtsp://h/cam-1?token=a", "/", "cam-1", "token=a", "", false},
        {"rtsp://h/cam-1?token=a/trackID=0", "/", "cam-1", "token=a", "trackID=0", false},
        {"rtsp://h/cam-1/trackID=0?token=a", "/", "cam-1", "token=a", "trackID=0", false},
        {"rtsp://h/dvr/cam-1/?timestamp=5&token=a/", "/", "cam-1", "timestamp=5&token=a", "", true},
        {"rtsps://[::1]:322/media/dvr/cam-1", "/media/", "cam-1", "", "", true},
        {"/cam-1", "/", "cam-1", "", "", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct rtsp_target t;

        assert_true(rtsp_target(span_of(rows[i].text), rows[i].base, &t));
        assert_true(span_is(t.uid, rows[i].uid));
        assert_true(span_is(t.query, rows[i].query));
        assert_true(span_is(t.control, rows[i].control));
        assert_int_equal(t.dvr, rows[i].dvr);
    }
}

static void refused(void **state)
{
    static const struct row rows[] = {
        {"*", "/", "", "", "", false},
        {"", "/", "", "", "", false},
        {"rtsp://h", "/", "", "", "", false},
        {"rtsp://h/", "/", "", "", "", false},
        {"http://h/cam-1", "/", "", "", "", false},
        {"rtsp://h/a/b", "/", "", "", "", false},
        {"rtsp://h/live/a/b", "/", "", "", "", false},
        {"rtsp://h/live//", "/", "", "", "", false},
        {"rtsp://h/cam-1", "/media/", "", "", "", false},
    };
    struct rtsp_target t;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_false(rtsp_target(span_of(rows[i].text), rows[i].base, &t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken), cmocka_unit_test(refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
