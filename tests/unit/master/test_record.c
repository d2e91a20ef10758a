/* master/record: windows of a schedule, orders of msctl and how long they hold, and what state-dir keeps. */
#include "master/record.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/master.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define MONDAY (1700438400 * US_PER_S) /* 2023-11-20, 00:00 UTC */
#define HOUR   (3600 * US_PER_S)

struct world {
    char dir[64];
    int fd;
    struct master m;
    struct stream s;
    struct conf_stream conf;
};

static void begin(struct world *w)
{
    assert_int_equal(record_open(&w->m.record, w->fd), 0);
    w->s = (struct stream){.m = &w->m, .conf = &w->conf, .uid = "cam-1"};
    map_set(&w->m.fleet.by_uid, SPAN_LIT("cam-1"), &w->s);
    record_follow(&w->s);
}

static void end(struct world *w)
{
    record_close(&w->m.record);
    map_done(&w->m.fleet.by_uid);
    w->m.fleet.by_uid = (struct map){0};
}

static int setup(void **state)
{
    struct world *w = NEW(struct world);

    setenv("TZ", "UTC", 1);
    tzset();
    w->fd = tool_tmpdir_open(w->dir, sizeof(w->dir));
    w->conf.dvr_mode = CONF_DVR_ONDEMAND;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fd_close(&w->fd);
    tool_rmdir(w->dir);
    mem_free(w);
    return 0;
}

static void schedule(struct world *w, const char *text)
{
    const char *why;
    struct span at;

    w->conf.dvr_mode = CONF_DVR_SCHEDULE;
    assert_true(schedule_parse(span_of(text), &w->conf.dvr_schedule, &why, &at));
}

static void assert_order(const struct world *w, usec_t from_us, usec_t until_us)
{
    if (w->s.order.from_us != from_us || w->s.order.until_us != until_us)
        fail_msg("%lld to %lld", (long long)w->s.order.from_us, (long long)w->s.order.until_us);
}

/* The window that is or comes; its successor five seconds behind its end. */
static void windows_follow_each_other(void **state)
{
    struct world *w = *state;

    schedule(w, "mon 08:00-10:00, tue 22:00-02:00");
    begin(w);
    record_check(&w->s, MONDAY);
    assert_order(w, MONDAY + 8 * HOUR, MONDAY + 10 * HOUR);
    record_check(&w->s, MONDAY + 10 * HOUR + 4 * US_PER_S); /* its last frames may still come */
    assert_order(w, MONDAY + 8 * HOUR, MONDAY + 10 * HOUR);
    record_check(&w->s, MONDAY + 10 * HOUR + 5 * US_PER_S);
    assert_order(w, MONDAY + 46 * HOUR, MONDAY + 50 * HOUR);
    end(w);
}

/* Forward it is noticed within a minute, backward at once. */
static void a_clock_that_is_set_is_noticed(void **state)
{
    struct world *w = *state;

    schedule(w, "mon 08:00-10:00, tue 22:00-02:00");
    begin(w);
    record_check(&w->s, MONDAY);
    record_check(&w->s, MONDAY + 47 * HOUR);
    assert_order(w, MONDAY + 46 * HOUR, MONDAY + 50 * HOUR);
    record_check(&w->s, MONDAY);
    assert_order(w, MONDAY + 8 * HOUR, MONDAY + 10 * HOUR);
    end(w);
}

static void no_window_is_no_order(void **state)
{
    struct world *w = *state;

    schedule(w, "");
    begin(w);
    record_check(&w->s, MONDAY);
    assert_order(w, 0, 0);
    end(w);
}

static void a_call_holds_over_a_restart(void **state)
{
    struct world *w = *state;
    usec_t before_us = clock_wall_us(), from_us;

    begin(w);
    assert_order(w, 0, 0);
    record_set(&w->s, -1, true);
    from_us = w->s.order.from_us;
    assert_true(from_us >= before_us && from_us <= clock_wall_us());
    record_set(&w->s, from_us + HOUR, true); /* it goes on, from when it began */
    assert_order(w, from_us, from_us + HOUR);
    end(w);
    begin(w);
    assert_order(w, from_us, from_us + HOUR);
    record_set(&w->s, 0, true);
    assert_order(w, 0, 0);
    end(w);
    begin(w);
    assert_order(w, 0, 0);
    end(w);
}

/* And one that is not to be kept takes the one that was from state-dir. */
static void a_call_until_the_restart(void **state)
{
    struct world *w = *state;

    begin(w);
    record_set(&w->s, -1, true);
    record_set(&w->s, -1, false);
    assert_true(w->s.order.until_us == -1);
    end(w);
    begin(w);
    assert_order(w, 0, 0);
    end(w);
}

/* One that is over begins anew. */
static void a_call_behind_the_end_of_another(void **state)
{
    struct world *w = *state;
    usec_t now_us = clock_wall_us();

    begin(w);
    w->s.order = (struct record_order){.from_us = now_us - HOUR, .until_us = now_us - US_PER_S};
    record_set(&w->s, -1, false);
    assert_true(w->s.order.from_us >= now_us);
    end(w);
}

static void another_mode_forgets_the_call(void **state)
{
    struct world *w = *state;

    begin(w);
    record_set(&w->s, -1, true);
    w->conf.dvr_mode = CONF_DVR_CONTINUOUS;
    record_follow(&w->s);
    assert_order(w, 0, 0);
    end(w);
}

static void what_is_no_such_file_is_refused(void **state)
{
    static const char *const bad[] = {
        "cam-1\n", "cam-1 1\n", "cam-1 x 2\n", "cam-1 1 2 3\n", "../x 1 2\n", " 1 2\n"};
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        int fd = openat(w->fd, "record", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, span_of(bad[i])), 0);
        close(fd);
        if (record_open(&w->m.record, w->fd) == 0) fail_msg("taken: %s", bad[i]);
        record_close(&w->m.record);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(windows_follow_each_other),
        TEST(a_clock_that_is_set_is_noticed),
        TEST(no_window_is_no_order),
        TEST(a_call_holds_over_a_restart),
        TEST(a_call_until_the_restart),
        TEST(a_call_behind_the_end_of_another),
        TEST(another_mode_forgets_the_call),
        TEST(what_is_no_such_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
