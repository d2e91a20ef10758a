/* Whether a device answers: one that does, one whose file system is frozen, a folder that is none. */
#include "archive/pulse.h"
#include "common/base/clock.h"
#include "tests/support/small_disk.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LATE_US (60 * US_PER_S)

static char disk[128];

/* Whether it is said to be `silent` in time. */
static bool comes(struct pulse *p, bool silent)
{
    usec_t until_us = clock_mono_us() + LATE_US;

    while (pulse_silent(p, clock_mono_us()) != silent)
        if (clock_mono_us() > until_us)
            return false;
        else
            usleep(20000);
    return true;
}

static void a_device_that_hangs(void **state)
{
    struct pulse *p;

    (void)state;
    if (!disk[0]) skip();
    p = pulse_new(disk);
    assert_non_null(p);
    assert_true(comes(p, false));
    assert_int_equal(small_disk_freeze(disk, true), 0);
    assert_true(comes(p, true));
    assert_int_equal(small_disk_freeze(disk, false), 0);
    assert_true(comes(p, false));
    pulse_free(p);
}

/* Nobody waits for it: its thread ends when the device goes on. */
static void one_that_is_given_up(void **state)
{
    struct pulse *p;

    (void)state;
    if (!disk[0]) skip();
    p = pulse_new(disk);
    assert_non_null(p);
    assert_int_equal(small_disk_freeze(disk, true), 0);
    assert_true(comes(p, true));
    pulse_free(p);
    assert_int_equal(small_disk_freeze(disk, false), 0);
}

static void a_folder_that_is_none(void **state)
{
    struct pulse *p = pulse_new("/nowhere/at/all");

    (void)state;
    assert_non_null(p);
    assert_false(pulse_silent(p, clock_mono_us()));
    pulse_free(p);
    pulse_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_hangs),
        cmocka_unit_test(one_that_is_given_up),
        cmocka_unit_test(a_folder_that_is_none),
    };
    char folder[] = "/tmp/test_pulse-XXXXXX";
    int failed;

    if (!mkdtemp(folder)) return 1;
    snprintf(disk, sizeof(disk), "%s/disk", folder);
    if (!small_disk_mount(disk)) disk[0] = 0;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    small_disk_umount(disk);
    (void)tool_run((const char *const[]){"rm", "-rf", folder, NULL}, NULL);
    return failed;
}
