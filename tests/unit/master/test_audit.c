/* master/audit: every line follows the one before, whatever stands in it, over the turn of the file and over
 * a crash; nothing secret is written. */
#include "master/audit.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/edit.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW ((usec_t)1790000000 * US_PER_S)

static char dir[256];
static int state_dir;
static struct audit a;

static int begin(void **state)
{
    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    state_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(state_dir >= 0);
    assert_int_equal(audit_open(&a, state_dir), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    audit_close(&a);
    close(state_dir);
    tool_rmdir(dir);
    return 0;
}

/* Closing waits for the disk. */
static void reopen(void)
{
    audit_close(&a);
    assert_int_equal(audit_open(&a, state_dir), 0);
}

static void add(struct span text)
{
    const struct audit_entry e = {.who = "anna",
        .role = "admin",
        .from = "10.0.0.5",
        .by = "session",
        .what = "stream set",
        .result = "done",
        .on = SPAN_LIT("gate"),
        .args = text,
        .text = SPAN_LIT("")};

    audit_add(&a, NOW, &e);
}

static char *content(const char *name, size_t *n)
{
    uint8_t *p;

    assert_int_equal(fd_read_file(state_dir, name, 64u << 20, &p, n), 0);
    return (char *)p;
}

static size_t lines_of(const char *name)
{
    char digest[CHAIN_DIGEST] = "";
    size_t n, lines;
    char *text = content(name, &n);

    assert_int_equal(chain_check(span(text, n), digest, &lines), 0);
    mem_free(text);
    return lines;
}

static struct span kept(size_t i, const char *key, struct buf *b, struct unpack **u)
{
    struct packer p;

    buf_clear(b);
    p = packer_of(b);
    assert_true(audit_pack(&a, i, &p));
    assert_int_equal(unpack_new(buf_span(b), u), 0);
    return packed_str(unpack_root(*u), key);
}

static void is_kept(size_t i, struct span args, uint64_t seq)
{
    struct unpack *u;
    struct buf b;

    buf_init(&b, 1u << 16);
    assert_true(span_eq(kept(i, "args", &b, &u), args));
    assert_int_equal(packed_u64(unpack_root(u), "seq", 0), seq);
    unpack_done(u);
    buf_done(&b);
}

static void lines_follow_each_other(void **state)
{
    struct stat st;

    (void)state;
    for (int i = 0; i < 5; i++) add(SPAN_LIT("dvr-chunk=30s"));
    reopen();
    assert_int_equal(a.seq, 5);
    add(SPAN_LIT("the sixth"));
    is_kept(0, SPAN_LIT("the sixth"), 6);
    is_kept(5, SPAN_LIT("dvr-chunk=30s"), 1);
    reopen();
    assert_int_equal(lines_of(AUDIT_FILE), 6);
    assert_int_equal(fstatat(state_dir, AUDIT_FILE, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* No line, no colour and no direction of text comes from outside. */
static void what_others_write_stays_text(void **state)
{
    static const char evil[] = "a\r\n{\"seq\":99,\"digest\":\"\"}\n\x1b[31m\x7f \xe2\x80\xae"
                               "cba\xe2\x81\xa6 \xc2\x9b \" \\ %s";
    static const char *const raw[] = {"\r", "\x1b", "\x7f", "\xe2\x80\xae", "\xe2\x81\xa6", "\xc2\x9b"};
    char *text;
    size_t n;

    (void)state;
    add(SPAN_LIT(evil));
    add(SPAN_LIT("\xff\xfe no UTF-8"));
    reopen();
    assert_int_equal(lines_of(AUDIT_FILE), 2);
    text = content(AUDIT_FILE, &n);
    for (size_t i = 0; i < ARRAY_N(raw); i++) assert_true(span_find_span(span(text, n), span_of(raw[i])) < 0);
    mem_free(text);
    assert_int_equal(a.seq, 2);
    is_kept(1, SPAN_LIT(evil), 1);
}

static void torn_by_a_crash(void **state)
{
    char path[300];
    int fd;

    (void)state;
    add(SPAN_LIT("one"));
    add(SPAN_LIT("two"));
    audit_close(&a);
    snprintf(path, sizeof(path), "%s/" AUDIT_FILE, dir);
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(fd_write_all(fd, SPAN_LIT("{\"seq\":3,\"at_s\":179000")), 0);
    close(fd);
    assert_int_equal(audit_open(&a, state_dir), 0);
    assert_int_equal(a.seq, 2);
    add(SPAN_LIT("three"));
    reopen();
    assert_int_equal(lines_of(AUDIT_FILE), 3);
    is_kept(0, SPAN_LIT("three"), 3);
}

/* A file that is full is set aside; the chain goes on in the next. */
static void the_file_turns(void **state)
{
    char digest[CHAIN_DIGEST] = "", *text;
    uint8_t *fill = mem_new(AUDIT_LINE_MAX);
    size_t n, lines, before = 0;
    struct stat st;

    (void)state;
    memset(fill, 'x', AUDIT_LINE_MAX);
    while (fstatat(state_dir, AUDIT_FILE ".1", &st, 0) < 0) {
        for (int i = 0; i < 128; i++) add(span(fill, AUDIT_LINE_MAX - 600));
        reopen(); /* what waits for the disk is bounded */
        assert_true(++before < 50);
    }
    add(SPAN_LIT("the last"));
    reopen();
    assert_int_equal(a.lost, 0);
    text = content(AUDIT_FILE ".1", &n);
    assert_int_equal(chain_check(span(text, n), digest, &lines), 0);
    mem_free(text);
    before = lines;
    text = content(AUDIT_FILE, &n);
    assert_int_equal(chain_check(span(text, n), digest, &lines), 0);
    mem_free(text);
    assert_int_equal(a.seq, before + lines);
    is_kept(0, SPAN_LIT("the last"), a.seq);
    mem_free(fill);
}

static void too_long_is_no_line(void **state)
{
    uint8_t *fill = mem_new(AUDIT_LINE_MAX);

    (void)state;
    memset(fill, 'x', AUDIT_LINE_MAX);
    add(SPAN_LIT("one"));
    add(span(fill, AUDIT_LINE_MAX));
    add(SPAN_LIT("two"));
    reopen();
    assert_int_equal(lines_of(AUDIT_FILE), 2);
    mem_free(fill);
}

static void secrets_stay_out(void **state)
{
    static const struct {
        const char *word, *written;
    } v[] = {{"stream-url=rtsp://u:p@h/1", "stream-url=rtsp://u:***@h/1"},
        {"rtsp://u:p@h/?a=b", "rtsp://u:***@h/?a=b"},
        {"server/stream/auth-secret=x y", "server/stream/auth-secret=***"},
        {"server/module/accounts/anna=user:pw", "server/module/accounts/anna=user:***"},
        {"server/stream/keys/k2=abc, 2026-01-01", "server/stream/keys/k2=***, 2026-01-01"},
        {"token=abc", "token=***"}, {"dvr-chunk=30s", "dvr-chunk=30s"}, {"on", "on"},
        {"server/stream/web=*:80/", "server/stream/web=*:80/"}};
    const struct conf_set set = {"root", "boss:pw", "server/module/users"}, gone = {"dvr-chunk", NULL, NULL};
    char mem[500];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(v); i++) {
        struct wr w = wr_of(mem, sizeof(mem));

        audit_word(&w, span_of(v[i].word));
        assert_string_equal(wr_cstr(&w), v[i].written);
    }
    for (int i = 0; i < 2; i++) {
        struct wr w = wr_of(mem, sizeof(mem));

        audit_set(&w, i ? &gone : &set);
        assert_string_equal(wr_cstr(&w), i ? " dvr-chunk" : " server/module/users/root=boss:***");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_follow_each_other, begin, end),
        cmocka_unit_test_setup_teardown(what_others_write_stays_text, begin, end),
        cmocka_unit_test_setup_teardown(torn_by_a_crash, begin, end),
        cmocka_unit_test_setup_teardown(the_file_turns, begin, end),
        cmocka_unit_test_setup_teardown(too_long_is_no_line, begin, end),
        cmocka_unit_test(secrets_stay_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
