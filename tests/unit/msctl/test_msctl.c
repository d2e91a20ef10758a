/* scripts/msctl against a server of this test's own: what it asks, prints and exits with. */
#include "scripts/msctl/msctl.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/ipc/channel.h"
#include "common/ipc/ctl.h"
#include "common/net/listener.h"
#include "tests/support/tool.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* What the server answers to every question, and the last question. */
static struct server {
    char dir[128], socket[160];
    int fd;
    pthread_t thread;
    int rows, code;
    const char *text;
    bool progress;     /* says in between how far it is */
    bool rude, silent; /* answers with a message that is not ours to get; closes without a word */
    char cmd[64], arg[64];
} srv;

static char out[1 << 16], err[4096];

static void row_of(struct packer *p, int i)
{
    char uid[32];

    snprintf(uid, sizeof(uid), "cam-%d", i);
    pack_map(p, 18);
    pack_kv_text(p, "uid", uid);
    pack_kv_text(p, "state", "active");
    pack_kv_text(p, "record", i == 0 ? "failed" : "on");
    pack_kv_text(p, "record_reason", i == 0 ? "No space left on device" : "");
    pack_kv_u64(p, "faults", 3);
    pack_kv_u64(p, "rtcp_bad", 3);
    pack_kv_u64(p, "bitrate_bps", 2000000);
    pack_kv_u64(p, "since_s", 1700000000);
    pack_kv_i64(p, "offset", -3);
    pack_kv_bool(p, "main", true);
    pack_kv_str(p, "name", SPAN_LIT("T\xc3\xbcr \"1\"\x1b[31m\xff"));
    pack_kv_text(p, "line", "first\x1b[0m line");
    pack_kv_u64(p, "total", 3ull << 40);
    pack_kv_text(p, "level", i == 0 ? "warning" : "mistake");
    pack_kv_text(p, "file", "/etc/a.ini");
    pack_kv_text(p, "key", i == 0 ? "" : "a/dvr-chunk");
    pack_kv_text(p, "text", "is wrong");
    pack_kv_u64(p, "id", 1795395784445559);
}

static void send_body(int fd, struct buf *b)
{
    must(channel_write_blocking(fd, buf_span(b)) == 0 || srv.rude); /* msctl may be gone then */
    buf_clear(b);
}

static void answer(int fd)
{
    struct buf b;
    struct packer p;

    buf_init(&b, IPC_MESSAGE_MAX);
    p = packer_of(&b);
    for (uint64_t i = 0; srv.progress && i < 3; i++) {
        pack_array(&p, 3);
        pack_u64(&p, MSG_CTL_ROW);
        pack_map(&p, 1);
        pack_key(&p, "rows");
        pack_array(&p, 1);
        pack_map(&p, 3);
        pack_kv_text(&p, "storage", i == 2 ? "b" : "a");
        pack_kv_u64(&p, "done", i * 10);
        pack_kv_u64(&p, "all", 40);
        pack_u64(&p, 0);
        send_body(fd, &b);
    }
    for (int from = 0; from < srv.rows; from += CTL_ROWS_MAX) {
        int n = MIN(srv.rows - from, CTL_ROWS_MAX);

        pack_array(&p, 3);
        pack_u64(&p, srv.rude ? MSG_BEAT : MSG_CTL_ROW);
        pack_map(&p, 1);
        pack_key(&p, "rows");
        pack_array(&p, (uint32_t)n);
        for (int i = 0; i < n; i++) row_of(&p, from + i);
        pack_u64(&p, 0);
        send_body(fd, &b);
    }
    pack_array(&p, 3);
    pack_u64(&p, MSG_CTL_END);
    pack_map(&p, 2);
    pack_kv_u64(&p, "code", (uint64_t)srv.code);
    pack_kv_text(&p, "text", srv.text);
    pack_u64(&p, 0);
    send_body(fd, &b);
    buf_done(&b);
}

/* One connection, one question. */
static void *serve(void *arg)
{
    struct pollfd wait = {.fd = srv.fd, .events = POLLIN};
    CLEANUP(fd_close) int fd = -1;
    enum message type;
    struct unpack *u;
    struct buf b;

    (void)arg;
    must(poll(&wait, 1, 60000) == 1 && (fd = accept(srv.fd, NULL, NULL)) >= 0);
    buf_init(&b, IPC_MESSAGE_MAX + 64);
    must(channel_read_blocking(fd, &b, &type, &u, 10 * US_PER_S) == 0 && type == MSG_CTL);
    packed_text(packed_at(unpack_root(u), 1), "cmd", srv.cmd, sizeof(srv.cmd));
    span_copy(packed_as_str(packed_at(packed_get(packed_at(unpack_root(u), 1), "args"), 0)), srv.arg,
        sizeof(srv.arg));
    unpack_done(u);
    buf_done(&b);
    if (!srv.silent) answer(fd);
    return NULL;
}

/* Runs msctl with these words; the answer is rows, code and text of srv. */
static int run(const char *words, bool with_server)
{
    char text[256], *argv[16] = {NULL}, *rest = text;
    FILE *o = fmemopen(out, sizeof(out), "w"), *e = fmemopen(err, sizeof(err), "w");
    int argc = 0, code;

    memset(out, 0, sizeof(out));
    memset(err, 0, sizeof(err));
    snprintf(text, sizeof(text), "msctl -s %s%s%s", srv.socket, words[0] ? " " : "", words);
    while ((argv[argc] = strsep(&rest, " ")) != NULL) argc++;
    if (with_server) must(pthread_create(&srv.thread, NULL, serve, NULL) == 0);
    code = msctl_run(argc, argv, o, e);
    fclose(o);
    fclose(e);
    if (with_server) pthread_join(srv.thread, NULL);
    return code;
}

static int up(void **state)
{
    (void)state;
    srv = (struct server){.text = ""};
    tool_tmpdir(srv.dir, sizeof(srv.dir));
    snprintf(srv.socket, sizeof(srv.socket), "%s/c", srv.dir);
    return listen_unix(srv.socket, 0600, &srv.fd);
}

static int down(void **state)
{
    (void)state;
    fd_close(&srv.fd);
    tool_rmdir(srv.dir);
    return 0;
}

static void test_table(void **state)
{
    (void)state;
    srv.rows = 2;
    assert_int_equal(run("streams", true), CTL_OK);
    assert_string_equal(srv.cmd, "streams");
    assert_string_equal(err, "");
    assert_string_equal(out,
        "UID    STATE   REASON                 SINCE  RECORD  REASON                      BITRATE  FRAMES  "
        "LOSSES  "
        "FAULTS  RECONNECTS  RESTARTS  VIEWERS  PID  NAME\n"
        "cam-0  active  -       2023-11-14T22:13:20Z  failed  No space left on device  2.0 Mbit/s       -    "
        "   -  "
        "     3           -         -        -    -  T\xc3\xbcr \"1\"\\u001b[31m\\ufffd\n"
        "cam-1  active  -       2023-11-14T22:13:20Z  on      -                        2.0 Mbit/s       -    "
        "   -  "
        "     3           -         -        -    -  T\xc3\xbcr \"1\"\\u001b[31m\\ufffd\n");
}

/* Of one stream a list: all that came, line by line, and nothing that did not. */
static void test_one_stream(void **state)
{
    (void)state;
    srv.rows = 1;
    assert_int_equal(run("streams cam-0", true), CTL_OK);
    assert_string_equal(srv.arg, "cam-0");
    assert_non_null(strstr(out, "uid                   cam-0\n"));
    assert_non_null(
        strstr(out, "recording             failed\nbecause               No space left on device\n"));
    assert_non_null(strstr(out, "faults of the camera  3\n  no RTCP             3\n"));
    assert_null(strstr(out, "no SDP"));
}

static void test_json(void **state)
{
    (void)state;
    srv.rows = 1;
    assert_int_equal(run("--json streams cam-0", true), CTL_OK);
    assert_string_equal(srv.arg, "cam-0");
    assert_string_equal(out,
        "[{\"uid\": \"cam-0\", \"state\": \"active\", \"record\": \"failed\", "
        "\"record_reason\": \"No space left on device\", \"faults\": 3, \"rtcp_bad\": 3, \"bitrate_bps\": "
        "2000000, \"since_s\": 1700000000, "
        "\"offset\": -3, "
        "\"main\": true, \"name\": \"T\xc3\xbcr \\\"1\\\"\\u001b[31m\\ufffd\", \"line\": \"first\\u001b[0m "
        "line\", "
        "\"total\": 3298534883328, \"level\": \"warning\", \"file\": \"/etc/a.ini\", \"key\": "
        "\"\", "
        "\"text\": \"is wrong\", \"id\": 1795395784445559}]\n");
    srv.rows = 0;
    assert_int_equal(run("streams -j", true), CTL_OK);
    assert_string_equal(out, "[]\n");
}

static void test_other_forms(void **state)
{
    (void)state;
    srv.rows = 1;
    assert_int_equal(run("logs cam-0", true), CTL_OK);
    assert_string_equal(out, "first\\u001b[0m line\n");
    assert_int_equal(run("event cam-0 motion", true), CTL_OK);
    assert_string_equal(out, "1795395784445559\n");
    assert_int_equal(run("storage list", true), CTL_OK);
    assert_string_equal(srv.cmd, "storage list");
    assert_non_null(strstr(out, " 3.0 TiB "));
    assert_int_equal(run("log-level debug", true), CTL_OK);
    assert_string_equal(srv.arg, "7");
    assert_int_equal(run("log-level 6", true), CTL_OK);
    assert_string_equal(srv.arg, "6");
    srv.rows = 0;
    srv.text = "2 streams changed";
    assert_int_equal(run("reload", true), CTL_OK);
    assert_string_equal(out, "2 streams changed\n");
}

static void test_many_rows(void **state)
{
    size_t lines = 0;

    (void)state;
    srv.rows = 250; /* three messages */
    assert_int_equal(run("streams", true), CTL_OK);
    for (const char *p = out; *p; p++) lines += *p == '\n';
    assert_int_equal(lines, 251);
}

/* How far it is belongs to no answer. */
static void test_progress(void **state)
{
    (void)state;
    srv.rows = 1;
    srv.progress = true;
    assert_int_equal(run("archive vacuum --yes", true), CTL_OK);
    assert_string_equal(srv.cmd, "archive vacuum");
    assert_string_equal(srv.arg, "");
    assert_non_null(strstr(out, "UID    STORAGE"));
    assert_null(strstr(out, "\n-"));
    assert_int_equal(run("--json archive vacuum cam-0", true), CTL_OK);
    assert_string_equal(srv.arg, "cam-0");
    assert_null(strstr(out, "done"));
    assert_int_equal(strncmp(out, "[{\"uid\": \"cam-0\"", 16), 0);
}

static void test_failures(void **state)
{
    (void)state;
    srv.rows = 2;
    srv.code = CTL_FAILED;
    srv.text = "refused";
    assert_int_equal(run("reload", true), CTL_FAILED);
    assert_string_equal(out, "/etc/a.ini: a/dvr-chunk: is wrong\n/etc/a.ini: warning: is wrong\n");
    assert_string_equal(err, "msctl: refused\n");
    srv.rows = 0;
    srv.code = CTL_NOT_FOUND;
    srv.text = "no stream nobody";
    assert_int_equal(run("restart nobody", true), CTL_NOT_FOUND);
    assert_string_equal(err, "msctl: no stream nobody\n");
    assert_string_equal(out, "");
    srv.rows = 1;
    srv.rude = true;
    assert_int_equal(run("streams", true), CTL_FAILED);
    assert_non_null(strstr(err, "did not answer as it should"));
    srv.silent = true;
    assert_int_equal(run("streams", true), CTL_FAILED);
}

static void test_no_server(void **state)
{
    (void)state;
    unlink(srv.socket);
    assert_int_equal(run("status", false), CTL_NO_SERVER);
    assert_non_null(strstr(err, "no server answers at "));
    assert_non_null(strstr(err, "No such file"));
}

static void test_usage(void **state)
{
    static const char *const wrong[] = {
        "", "dance", "restart", "restart a b", "storage", "storage init", "status x", "--what status"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(wrong); i++) {
        assert_int_equal(run(wrong[i], false), CTL_USAGE);
        assert_string_equal(out, "");
    }
    assert_int_equal(run("--help", false), CTL_OK);
    assert_non_null(strstr(out, "storage init NAME"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, up, down),
        cmocka_unit_test_setup_teardown(test_one_stream, up, down),
        cmocka_unit_test_setup_teardown(test_json, up, down),
        cmocka_unit_test_setup_teardown(test_other_forms, up, down),
        cmocka_unit_test_setup_teardown(test_many_rows, up, down),
        cmocka_unit_test_setup_teardown(test_progress, up, down),
        cmocka_unit_test_setup_teardown(test_failures, up, down),
        cmocka_unit_test_setup_teardown(test_no_server, up, down),
        cmocka_unit_test_setup_teardown(test_usage, up, down),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
