#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>

#include "common/base/clock.h"
#include "worker/write_log.h"

static unsigned failed, ok;
static char last[LOG_LINE_MAX];

static void count_line(enum log_level level, const char *line, size_t n)
{
    (void)level;
    snprintf(last, sizeof(last), "%.*s", (int)n, line);
    if (strstr(line, " write-failed ")) failed++;
    if (strstr(line, " write-ok ")) ok++;
}

static int setup(void **state)
{
    (void)state;
    failed = ok = 0;
    log_set_mirror(count_line);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_mirror(NULL);
    return 0;
}

/* A retry every two seconds for ten minutes. */
static void a_failure_is_said_once_a_minute(void **state)
{
    struct write_log l = {0};

    (void)state;
    for (usec_t at = 0; at < 600 * US_PER_S; at += 2 * US_PER_S)
        write_log_failed(&l, "disk1", -EIO, 1000 * US_PER_S + at);
    assert_int_equal(failed, 10);
    assert_non_null(strstr(last, "held=29"));
    assert_non_null(strstr(last, "disk1"));
    write_log_ok(&l, "disk1");
    assert_int_equal(ok, 1);
    assert_non_null(strstr(last, "failed=300"));
    write_log_ok(&l, "disk1");
    assert_int_equal(ok, 1);
}

static void another_kind_is_said_at_once(void **state)
{
    struct write_log l = {0};

    (void)state;
    for (int i = 0; i < 10; i++) {
        write_log_failed(&l, "disk1", -ENOSPC, 5000 * US_PER_S);
        write_log_failed(&l, "disk1", -EIO, 5000 * US_PER_S);
        write_log_failed(&l, "disk1", -EACCES, 5000 * US_PER_S);
    }
    assert_int_equal(failed, 3);
}

/* A storage that comes and goes: the last line says what is so, as far as failures were said. */
static void recovery_is_said_where_a_failure_was(void **state)
{
    struct write_log l = {0};

    (void)state;
    write_log_ok(&l, "disk1");
    assert_int_equal(ok, 0);
    for (usec_t at = 0; at < 60 * US_PER_S; at += 4 * US_PER_S) {
        write_log_failed(&l, "disk1", -EIO, 9000 * US_PER_S + at);
        write_log_ok(&l, "disk1");
    }
    assert_int_equal(failed, 1);
    assert_int_equal(ok, 1);
    assert_non_null(strstr(last, " write-ok "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_is_said_once_a_minute),
        TEST(another_kind_is_said_at_once),
        TEST(recovery_is_said_where_a_failure_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
