/* common/conf/paths: a checkout, its variants, and installed trees find their files. */
#include "common/conf/paths.h"
#include "common/base/fd.h"
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct paths p;

static const char *in(const char *dir, const char *rest)
{
    static char path[PATHS_MAX];

    snprintf(path, sizeof(path), "%s%s", dir, rest);
    return path;
}

static void test_checkout(void **state)
{
    static const char *const folders[] = {"/build/bin", "/build/asan/bin", "/out/bin"};
    struct conf_files f;
    char exe[PATHS_MAX];

    (void)state;
    conf_files_init(&f);
    conf_files_put(&f, "Makefile", "");
    conf_files_put(&f, "common/conf/keys.c", "");
    for (size_t i = 0; i < ARRAY_N(folders); i++) {
        snprintf(exe, sizeof(exe), "%s%s/media-server", f.dir, folders[i]);
        assert_int_equal(paths_of(exe, &p), 0);
        assert_true(p.checkout);
        assert_string_equal(p.programs, in(f.dir, folders[i]));
        assert_string_equal(p.lua, in(f.dir, "/lua"));
        assert_string_equal(p.cpanel, in(f.dir, "/cpanel"));
        assert_string_equal(p.state, in(f.dir, "/var"));
        assert_string_equal(p.control, in(f.dir, "/var/control.sock"));
    }
    conf_files_done(&f);
}

static void test_installed(void **state)
{
    static const struct {
        const char *exe, *prefix;
    } rows[] = {
        {"/usr/local/sbin/media-server", "/usr/local"},
        {"/usr/bin/msctl", "/usr"},
        {"/usr/libexec/media-server/ms-httpd", "/usr"},
        {"/opt/ms/sbin/media-server", "/opt/ms"},
        {"/sbin/media-server", ""},
    };
    char whole[PATHS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(paths_of(rows[i].exe, &p), 0);
        assert_false(p.checkout);
        assert_string_equal(p.programs, in(rows[i].prefix, "/libexec/media-server"));
        assert_string_equal(p.lua, in(rows[i].prefix, "/share/media-server/lua"));
        assert_string_equal(p.cpanel, in(rows[i].prefix, "/share/media-server/cpanel"));
        assert_string_equal(p.state, "/var/lib/media-server");
        assert_string_equal(p.control, "/var/lib/media-server/control.sock");
        assert_true(paths_program(&p, "ms-worker", whole));
        assert_string_equal(whole, in(rows[i].prefix, "/libexec/media-server/ms-worker"));
    }
}

static void test_this_program(void **state)
{
    char whole[PATHS_MAX];

    (void)state;
    assert_int_equal(paths_find(&p), 0);
    assert_true(p.programs[0] == '/' && p.lua[0] == '/');
    memset(p.programs, 'x', PATHS_MAX - 1);
    assert_false(paths_program(&p, "ms-worker", whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkout),
        cmocka_unit_test(test_installed),
        cmocka_unit_test(test_this_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
