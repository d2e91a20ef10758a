/* common/conf: what a reload has to touch. */
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SERVER                                                                                               \
    "[server]\nlog-level = info\n[[stream]]\nreconnect-timeout = 5s\nweb = *:81\n[storages]\na = /a\n"
#define CAM(uid, rest) "[" uid "]\nstream-url = rtsp://u:p@h/1\ndvr-enable = true\n" rest

static struct conf_files f;
static struct conf *before;
static struct conf_diff diff;

static struct conf *load(const char *ini)
{
    struct conf *c;

    if (ini) conf_files_put(&f, "media-server.ini", ini);
    if (conf_files_load(&f) != 0) conf_files_show(&f);
    assert_non_null(f.conf);
    c = f.conf;
    f.conf = NULL;
    return c;
}

static int up(void **state)
{
    (void)state;
    conf_files_init(&f);
    conf_files_put(&f, "streams/a.ini", CAM("a", ""));
    conf_files_put(&f, "streams/b.ini", CAM("b", "reconnect-timeout = 2s\n"));
    before = load(SERVER);
    return 0;
}

static int down(void **state)
{
    (void)state;
    conf_free(before);
    conf_diff_done(&diff);
    conf_files_done(&f);
    return 0;
}

/* Loads again and compares; the configurations stay alive until the next call. */
static void compare(const char *ini)
{
    conf_diff_done(&diff);
    f.conf = load(ini); /* frees the one before */
    conf_diff(before, f.conf, &diff);
}

static bool stream_is(const char *uid, enum conf_change change)
{
    for (size_t i = 0; i < diff.n_streams; i++)
        if (strcmp(diff.streams[i].uid, uid) == 0) return diff.streams[i].change == change;
    return false;
}

static void test_nothing_changed(void **state)
{
    (void)state;
    compare("# another comment\n" SERVER "unknown = 1\n[dvr]\n");
    assert_int_equal(diff.n_streams, 0);
    assert_int_equal(diff.restart.n, 0);
    assert_false(diff.live || diff.httpd);
    assert_true(diff.storages); /* unknown = 1 is a storage */
    compare(SERVER "[dvr]\n# dvr-sync = 1s\n");
    assert_false(diff.live || diff.httpd || diff.storages);
}

static void test_streams(void **state)
{
    (void)state;
    conf_files_put(&f, "streams/a.ini", CAM("a", "stream-access = none\n"));
    conf_files_put(&f, "streams/b.ini", CAM("b2", ""));
    compare(NULL);
    assert_int_equal(diff.n_streams, 3);
    assert_true(stream_is("a", CONF_VIEW_CHANGED));
    assert_true(stream_is("b", CONF_REMOVED));
    assert_true(stream_is("b2", CONF_ADDED));
    conf_files_put(&f, "streams/a.ini", CAM("a", "stream-access = none\ndvr-chunk = 1m\n"));
    compare(NULL);
    assert_true(stream_is("a", CONF_WORKER_CHANGED));
    conf_files_put(&f, "streams/a.ini", "[a]\nstream-url = rtsp://u:q@h/1\ndvr-enable = true\n");
    compare(NULL);
    assert_true(stream_is("a", CONF_SOURCE_CHANGED)); /* the password */
}

static void test_what_the_server_says_for_its_streams(void **state)
{
    (void)state;
    compare(
        "[server]\nlog-level = info\n[[stream]]\nreconnect-timeout = 6s\nweb = *:81\n[storages]\na = /a\n");
    assert_int_equal(diff.n_streams, 1);
    assert_true(stream_is("a", CONF_WORKER_CHANGED)); /* b has its own */
    compare(SERVER "[dvr]\ndvr-sync = 1s\n");
    assert_int_equal(diff.n_streams, 0); /* the keeper's matter */
    assert_true(diff.live);
}

/* Only another way to the camera is worth another worker. */
static void test_what_a_key_costs(void **state)
{
    static const struct {
        const char *line;
        enum conf_change change;
    } rows[] = {{"stream-tracks = video", CONF_SOURCE_CHANGED},
        {"stream-transport = udp", CONF_SOURCE_CHANGED}, {"stream-enable = on-demand", CONF_WORKER_CHANGED},
        {"stream-enable = false", CONF_WORKER_CHANGED}, {"reconnect-numbers = 7", CONF_WORKER_CHANGED},
        {"reconnect-timeout = 7s", CONF_WORKER_CHANGED}, {"reconnect-interval = 7m", CONF_WORKER_CHANGED},
        {"reconnect-invalid = 7", CONF_WORKER_CHANGED}, {"dvr-mode = off", CONF_WORKER_CHANGED},
        {"dvr-archive = /b", CONF_WORKER_CHANGED}, {"dvr-chunk = 1m", CONF_WORKER_CHANGED},
        {"dvr-event-before = 7s", CONF_WORKER_CHANGED}, {"stream-name = Gate", CONF_VIEW_CHANGED},
        {"camera-uid = c", CONF_VIEW_CHANGED}, {"stream-proto = hls", CONF_VIEW_CHANGED},
        {"dvr-mode = event", CONF_WORKER_CHANGED}, {"dvr-schedule = mon 08:00-09:00", CONF_VIEW_CHANGED},
        {"dvr-event-after = 7s", CONF_VIEW_CHANGED}, {"stream-whitelist = 10.0.0.0/8", CONF_VIEW_CHANGED},
        {"dvr-duration = 1d", CONF_VIEW_CHANGED}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[200];

        snprintf(text, sizeof(text), CAM("a", "%s\n"), rows[i].line);
        conf_files_put(&f, "streams/a.ini", text);
        compare(NULL);
        if (diff.n_streams != 1 || !stream_is("a", rows[i].change)) fail_msg("%s", rows[i].line);
    }
    conf_files_put(&f, "streams/a.ini", CAM("a", ""));
    compare("[server]\nlog-level = info\nring-max = 8M\n[[stream]]\nreconnect-timeout = 5s\nweb = *:81\n"
            "[storages]\na = /a\n");
    assert_true(diff.n_streams == 2 && stream_is("a", CONF_WORKER_CHANGED));
    compare("[server]\nlog-level = info\n[[stream]]\nreconnect-timeout = 5s\nweb = *:81\nuser-agent = x\n"
            "[storages]\na = /a\n");
    assert_true(diff.n_streams == 2 && stream_is("a", CONF_SOURCE_CHANGED));
}

static void test_server_keys(void **state)
{
    (void)state;
    compare("[server]\nlog-level = debug\nlog-format = json\n[[stream]]\nreconnect-timeout = 5s\nweb = "
            "*:82\n[storages]\na = /a\n");
    assert_true(diff.live && diff.httpd && !diff.storages);
    assert_int_equal(diff.restart.n, 1);
    assert_string_equal(diff.restart.v[0], "server/log-format");
    assert_int_equal(diff.n_streams, 0);
    compare("[server]\nlog-level = info\n[[stream]]\nreconnect-timeout = 5s\nweb = *:81\n[[[keys]]]\nk = "
            "x\n[storages]\na = /b\n");
    assert_true(diff.live && !diff.httpd && diff.storages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_changed, up, down),
        cmocka_unit_test_setup_teardown(test_streams, up, down),
        cmocka_unit_test_setup_teardown(test_what_the_server_says_for_its_streams, up, down),
        cmocka_unit_test_setup_teardown(test_what_a_key_costs, up, down),
        cmocka_unit_test_setup_teardown(test_server_keys, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
