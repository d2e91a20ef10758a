/* The trash's thread: files go one after the other, and whenever it is stopped it has said of each that is
 * gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/storage.h"
#include "archive/trash.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD (1700000000 * US_PER_S)
#define N   12

struct place {
    char dir[64];
    struct storage storage;
    struct seg_info s[N];
    struct trash *trash;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);
    int records = -1;

    p->storage = (struct storage){.path = p->dir, .fd = tool_tmpdir_open(p->dir, sizeof(p->dir))};
    assert_int_equal(storage_records(&p->storage, "cam", geteuid(), getegid(), &records), 0);
    for (int i = 0; i < N; i++) segments_make(records, "cam", OLD + i * 10 * US_PER_S, 1, &p->s[i]);
    fd_close(&records);
    assert_int_equal(trash_new(p->storage.fd, &p->trash), 0);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    trash_free(p->trash);
    storage_close(&p->storage);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void put(struct place *p, int i)
{
    struct index_ref ref = {.uid = "cam", .id = p->s[i].id};

    trash_put(p->trash, &ref, p->s[i].bytes);
}

static int files_left(const struct place *p)
{
    int left = 0;

    for (int i = 0; i < N; i++) left += segments_there(p->dir, &p->s[i]);
    return left;
}

static void wait_done(struct place *p, size_t n)
{
    usec_t late_us = clock_mono_us() + RIG_WAIT_US;
    struct index_ref got[N];

    for (size_t taken = 0; taken < n; taken += trash_take(p->trash, got, N))
        assert_true(clock_mono_us() < late_us);
}

static struct index_ref wait_one(struct place *p)
{
    usec_t late_us = clock_mono_us() + RIG_WAIT_US;
    struct index_ref got[2];

    while (!trash_has(p->trash)) assert_true(clock_mono_us() < late_us);
    assert_int_equal(trash_take(p->trash, got, 2), 1);
    return got[0];
}

static void what_is_put_goes(void **state)
{
    struct place *p = *state;
    uint64_t all = 0;

    for (int i = 0; i < N - 1; i++) put(p, i), all += p->s[i].bytes;
    assert_true(trash_leaving(p->trash) <= all);
    trash_urgent(p->trash, true);
    wait_done(p, N - 1);
    assert_true(trash_idle(p->trash) && !trash_has(p->trash));
    assert_int_equal(trash_leaving(p->trash), 0);
    assert_int_equal(files_left(p), 1);
    assert_true(segments_there(p->dir, &p->s[N - 1]));
}

/* Stopped at any moment: what is gone was said, what was not said is still there. */
static void what_is_gone_when_it_stops_was_said(void **state)
{
    struct place *p = *state;
    struct index_ref got[N];
    size_t n;

    for (int i = 0; i < N; i++) put(p, i);
    while (files_left(p) > N - 2) assert_false(trash_idle(p->trash));
    trash_stop(p->trash);
    trash_stop(p->trash);
    n = trash_take(p->trash, got, N);
    assert_true(n >= 2);
    assert_int_equal(files_left(p), N - n);
    for (size_t i = 0; i < n; i++) assert_int_equal(got[i].tries, 0);
}

static void one_that_is_gone_already_is_no_failure(void **state)
{
    struct place *p = *state;

    put(p, 0);
    wait_done(p, 1);
    put(p, 0);
    assert_int_equal(wait_one(p).tries, 0);
}

/* A folder where the file should be: it is said that it failed, once more each time. */
static void what_cannot_be_removed_is_counted(void **state)
{
    struct place *p = *state;
    struct index_ref ref = {.uid = "cam", .id = p->s[0].id, .tries = 3};
    char path[400];

    snprintf(path, sizeof(path), "%s/cam/records/%s", p->dir, p->s[0].path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    trash_put(p->trash, &ref, 0);
    assert_int_equal(wait_one(p).tries, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_goes),
        TEST(what_is_gone_when_it_stops_was_said),
        TEST(one_that_is_gone_already_is_no_failure),
        TEST(what_cannot_be_removed_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
