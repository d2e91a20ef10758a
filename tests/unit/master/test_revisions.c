/* master/revisions: what is kept comes back byte by byte, the oldest goes, what is damaged is no revision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/fd.h"
#include "master/revisions.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];
static int state_dir;
static struct revisions r;

static int begin(void **state)
{
    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    state_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(state_dir >= 0);
    assert_int_equal(revisions_open(&r, state_dir), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    revisions_close(&r);
    close(state_dir);
    tool_rmdir(dir);
    return 0;
}

static void reopen(void)
{
    revisions_close(&r);
    assert_int_equal(revisions_open(&r, state_dir), 0);
}

static void what_is_kept_comes_back(void **state)
{
    const struct revision_change changes[] = {
        {"new", "/etc/streams/new.ini", {NULL, 0}, SPAN_LIT("[new]\nstream-url = rtsp://u:p@h/\n")},
        {"old", "/etc/streams/old.ini", SPAN_LIT("[old]\n"), {NULL, 0}},
        {"empty", "/etc/streams/empty.ini", SPAN_LIT(""), SPAN_LIT("# \xff\n")}};
    struct revision_file f;
    struct stat st;
    char path[300];

    (void)state;
    assert_int_equal(revisions_add(&r, "anna", "three cameras", changes, ARRAY_N(changes)), 1);
    assert_int_equal(revisions_add(&r, "api", "", changes, 1), 2);
    reopen();
    assert_int_equal(r.n, 2);
    assert_int_equal(r.v[0].id, 1);
    assert_int_equal(r.v[0].changes, 3);
    assert_string_equal(r.v[0].by, "anna");
    assert_string_equal(r.v[0].text, "three cameras");
    assert_int_equal(revisions_read(&r, 1, &f), 0);
    assert_int_equal(f.n, 3);
    for (size_t i = 0; i < f.n; i++) {
        assert_string_equal(f.changes[i].uid, changes[i].uid);
        assert_string_equal(f.changes[i].file, changes[i].file);
        assert_int_equal(f.changes[i].before.p != NULL, changes[i].before.p != NULL);
        assert_int_equal(f.changes[i].after.p != NULL, changes[i].after.p != NULL);
        assert_true(
            span_eq(f.changes[i].before, changes[i].before) && span_eq(f.changes[i].after, changes[i].after));
    }
    revision_file_done(&f);
    snprintf(path, sizeof(path), "%s/revisions/00000001", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(revisions_read(&r, 3, &f), -ENOENT);
    assert_int_equal(revisions_add(&r, "api", "", changes, 1), 3); /* numbers go on */
}

static void the_oldest_goes(void **state)
{
    const struct revision_change one = {"a", "/a.ini", SPAN_LIT("x"), SPAN_LIT("y")};
    struct revision_file f;

    (void)state;
    for (int i = 0; i < REVISIONS_MAX + 10; i++)
        assert_int_equal(revisions_add(&r, "api", "", &one, 1), i + 1);
    assert_int_equal(r.n, REVISIONS_MAX);
    assert_int_equal(r.v[0].id, 11);
    assert_int_equal(revisions_read(&r, 10, &f), -ENOENT);
    reopen();
    assert_int_equal(r.n, REVISIONS_MAX);
    assert_int_equal(r.last, REVISIONS_MAX + 10);
}

static void damaged(void **state)
{
    const struct revision_change one = {"a", "/a.ini", SPAN_LIT("x"), SPAN_LIT("y")};
    const struct {
        const char *name;
        struct span bytes;
    } files[] = {{"00000002", SPAN_LIT("")}, {"00000003", SPAN_LIT("\x95\x01\x02\xa1x\xa1y")},
        {"00000004", SPAN_LIT("\x80")},
        {"00000005", SPAN_LIT("\x95\x01\x02\xa1x\xa1y\x91\x93\xa1x\xa1y\xc0")},
        {"00000006",
            SPAN_LIT("\x95\x01\x02\xa1x\xa1y\x91\x94\xa3"
                     "a\0b\xa1y\xc0\xc0")},
        {"notes.txt", SPAN_LIT("mine")}};
    char path[300];

    (void)state;
    assert_int_equal(revisions_add(&r, "api", "", &one, 1), 1);
    for (size_t i = 0; i < ARRAY_N(files); i++) {
        int fd;

        snprintf(path, sizeof(path), "%s/revisions/%s", dir, files[i].name);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(fd_write_all(fd, files[i].bytes), 0);
        close(fd);
    }
    reopen();
    assert_int_equal(r.n, 1);
    assert_int_equal(revisions_add(&r, "api", "", &one, 1), 7); /* never the number of what is there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_kept_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(the_oldest_goes, begin, end),
        cmocka_unit_test_setup_teardown(damaged, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
