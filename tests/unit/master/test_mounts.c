/* master/mounts: where a path is mounted, by the kernel's list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/mounts.h"

static const char list[] = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
                           "30 22 8:1 / /srv rw shared:7 master:1 - xfs /dev/sda1 rw\n"
                           "31 30 8:17 / /srv/two\\040words rw - btrfs /dev/sdb1 rw\n"
                           "32 22 0:40 / /srv rw - tmpfs none rw\n"
                           "33 22 0:41 / \\\n"
                           "broken\n";

static void expect(const char *path, const char *mount, const char *fs)
{
    struct mount m;

    assert_true(mounts_find(span_of(list), span_of(path), &m));
    assert_string_equal(m.path, mount);
    assert_string_equal(m.fs, fs);
}

static void the_innermost(void **state)
{
    (void)state;
    expect("/var/footage", "/", "ext4");
    expect("/srv/two words/a", "/srv/two words", "btrfs");
    expect("/srv/two words", "/srv/two words", "btrfs");
    expect("/srv/two words2", "/srv", "tmpfs"); /* what was mounted over the other */
    expect("/srvx", "/", "ext4");
}

static void nothing(void **state)
{
    struct mount m;

    (void)state;
    assert_false(mounts_find(SPAN_LIT(""), SPAN_LIT("/a"), &m));
    assert_false(mounts_find(span_of(list), SPAN_LIT("relative"), &m));
    assert_false(mounts_find(span_of(list), SPAN_LIT(""), &m));
    assert_false(mounts_find(SPAN_LIT("1 2 3 / /srv rw - "), SPAN_LIT("/a"), &m));
    assert_false(mounts_find(SPAN_LIT("1 2 3 / srv rw - ext4 x"), SPAN_LIT("/srv"), &m));
}

static void of_this_machine(void **state)
{
    struct mounts *all = mounts_read();
    struct mount m;

    (void)state;
    assert_true(mounts_find(span(all->text, all->n), SPAN_LIT("/proc/self/mountinfo"), &m));
    assert_string_equal(m.fs, "proc");
    mounts_free(all);
    mounts_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_innermost),
        cmocka_unit_test(nothing),
        cmocka_unit_test(of_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
