/* A file has its name when it is whole, and before that none that anybody would take for it. */
#include "scripts/msctl/out_file.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char dir[64], path[128];
};
typedef int (*opening)(struct out_file *o, const char *path);
static const opening ways[] = {out_file_open, out_file_open_named};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/a.mp4", p->dir);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static unsigned names(const struct place *p)
{
    DIR *d = opendir(p->dir);
    unsigned n = 0;

    assert_non_null(d);
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void holds(const struct place *p, const char *text)
{
    uint8_t *got;
    size_t n;

    assert_int_equal(fd_read_file(AT_FDCWD, p->path, 1000, &got, &n), 0);
    assert_string_equal((char *)got, text);
    mem_free(got);
}

static void whole_or_not_there(void **state)
{
    struct place *p = *state;
    struct out_file o;

    for (size_t i = 0; i < ARRAY_N(ways); i++) {
        assert_int_equal(ways[i](&o, p->path), 0);
        assert_int_equal(fd_write_all(o.fd, SPAN_LIT("half")), 0);
        assert_int_equal(access(p->path, F_OK), -1);
        out_file_done(&o);
        assert_int_equal(names(p), 0);
        out_file_done(&o);
        assert_int_equal(ways[i](&o, p->path), 0);
        assert_int_equal(fd_write_all(o.fd, SPAN_LIT("whole")), 0);
        assert_int_equal(out_file_keep(&o, false), 0);
        out_file_done(&o);
        holds(p, "whole");
        assert_int_equal(names(p), 1);
        assert_int_equal(unlink(p->path), 0);
    }
}

static void replaced_only_when_asked(void **state)
{
    struct place *p = *state;
    struct out_file o;

    for (size_t i = 0; i < ARRAY_N(ways); i++) {
        CLEANUP(fd_close) int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, SPAN_LIT("before")), 0);
        assert_int_equal(ways[i](&o, p->path), 0);
        assert_int_equal(fd_write_all(o.fd, SPAN_LIT("after")), 0);
        assert_int_equal(out_file_keep(&o, false), -EEXIST);
        holds(p, "before");
        assert_int_equal(out_file_keep(&o, true), 0);
        out_file_done(&o);
        holds(p, "after");
        assert_int_equal(names(p), 1);
    }
}

/* One that was killed leaves its part: the next takes its place, and a link there is not followed. */
static void a_part_that_was_left(void **state)
{
    struct place *p = *state;
    struct out_file o, again;
    char part[160];

    assert_int_equal(out_file_open_named(&o, p->path), 0);
    assert_int_equal(out_file_open_named(&again, p->path), 0);
    fd_close(&o.fd);
    fd_close(&o.dir);
    out_file_done(&again);
    snprintf(part, sizeof(part), "%s.part", p->path);
    assert_int_equal(symlink("/dev/null", part), 0);
    assert_int_equal(out_file_open_named(&o, p->path), 0);
    assert_int_equal(out_file_keep(&o, false), 0);
    out_file_done(&o);
    assert_int_equal(names(p), 1);
}

static void what_cannot_be_opened(void **state)
{
    struct place *p = *state;
    struct out_file o;
    char path[512];

    for (size_t i = 0; i < ARRAY_N(ways); i++) {
        assert_int_equal(ways[i](&o, "/"), -EISDIR);
        assert_int_equal(ways[i](&o, ""), -EISDIR);
        snprintf(path, sizeof(path), "%s/..", p->dir);
        assert_int_equal(ways[i](&o, path), -EISDIR);
        snprintf(path, sizeof(path), "%s/none/a.mp4", p->dir);
        assert_int_equal(ways[i](&o, path), -ENOENT);
        snprintf(path, sizeof(path), "%s/%0300d", p->dir, 1);
        assert_int_equal(ways[i](&o, path), -ENAMETOOLONG);
        assert_int_equal(o.fd, -1);
        assert_int_equal(o.dir, -1);
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        TEST(whole_or_not_there),
        TEST(replaced_only_when_asked),
        TEST(a_part_that_was_left),
        TEST(what_cannot_be_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
