/* Locks in memory, and their copy on the storage: what was written is read, what was torn or has rotted is
 * left out and costs nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/lock_file.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0 (1700000000 * US_PER_S)

struct place {
    char dir[64];
    int fd;
    struct locks read;
    size_t records;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    p->fd = tool_tmpdir_open(p->dir, sizeof(p->dir));
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    locks_done(&p->read);
    fd_close(&p->fd);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static struct index_lock lock_at(const char *uid, uint64_t id, int64_t from_s, int64_t to_s)
{
    struct index_lock l = {.id = id,
        .start_us = T0 + from_s * US_PER_S,
        .end_us = T0 + to_s * US_PER_S,
        .version_us = T0,
        .by = "somebody",
        .note = "why"};

    span_copy(span_of(uid), l.uid, sizeof(l.uid));
    return l;
}

static void take(void *arg, const struct index_lock *lock)
{
    (void)locks_put(arg, lock);
}

static size_t read_all(struct place *p)
{
    locks_done(&p->read);
    assert_int_equal(lock_file_read(p->fd, take, &p->read, &p->records), 0);
    return p->read.n;
}

static void assert_same(const struct index_lock *a, const struct index_lock *b)
{
    assert_string_equal(a->uid, b->uid);
    assert_string_equal(a->by, b->by);
    assert_string_equal(a->note, b->note);
    assert_true(a->id == b->id && a->start_us == b->start_us && a->end_us == b->end_us);
    assert_true(a->version_us == b->version_us && a->released_us == b->released_us);
}

static void the_newest_of_an_id_counts(void **state)
{
    struct index_lock l = lock_at("cam", 7, 0, 10), older = l;
    struct locks all = {.n = 0};
    usec_t until_us = 0;

    (void)state;
    assert_true(locks_put(&all, &l));
    assert_false(locks_put(&all, &l));
    assert_true(locks_hold(&all, "cam", T0 + 9 * US_PER_S, T0 + 20 * US_PER_S, &until_us));
    assert_true(until_us == l.end_us);
    assert_false(locks_hold(&all, "cam", l.end_us, l.end_us + 1, &until_us));
    assert_false(locks_hold(&all, "cam2", T0, l.end_us, &until_us));
    l.released_us = l.version_us = T0 + 1;
    assert_true(locks_put(&all, &l));
    assert_false(locks_put(&all, &older));
    assert_int_equal(all.n, 1);
    assert_false(locks_hold(&all, "cam", T0, l.end_us, &until_us));
    assert_true(locks_find(&all, "cam", 7)->released_us > 0);
    assert_null(locks_find(&all, "cam", 8));
    locks_done(&all);
}

static void released(struct locks *all, uint64_t id, usec_t at_us)
{
    struct index_lock l = lock_at("cam", id, 0, 10);

    (void)locks_put(all, &l);
    l.released_us = l.version_us = at_us;
    assert_true(locks_put(all, &l));
}

static void count(void *arg, const struct index_lock *lock)
{
    assert_true(lock->released_us > 0);
    ++*(size_t *)arg;
}

/* They are no part of what the limit is for, and go when nobody can need them any more. */
static void released_ones_are_forgotten(void **state)
{
    const usec_t now_us = T0 + 2 * LOCKS_RELEASED_US;
    struct locks all = {.n = 0};
    struct index_lock l = lock_at("cam", 1, 0, 10);
    size_t n = 0;

    (void)state;
    assert_true(locks_put(&all, &l));
    released(&all, 2, now_us - LOCKS_RELEASED_US - 1);
    released(&all, 3, now_us - LOCKS_RELEASED_US);
    assert_int_equal(all.n, 3);
    assert_int_equal(locks_held(&all), 1);
    locks_forget(&all, now_us, count, &n);
    assert_int_equal(n, 1);
    assert_null(locks_find(&all, "cam", 2));
    assert_non_null(locks_find(&all, "cam", 3));
    assert_non_null(locks_find(&all, "cam", 1));
    assert_int_equal(all.n, 2);
    locks_done(&all);
}

/* The oldest first, when there are too many; those that hold never. */
static void too_many_released_ones_are_forgotten_sooner(void **state)
{
    const usec_t now_us = T0 + 2 * LOCKS_RELEASED_US;
    struct locks all = {.n = 0};
    char uid[24];

    (void)state;
    for (uint64_t i = 0; i < LOCKS_RELEASED_MAX + 1000; i++) {
        struct index_lock l = lock_at("cam", i + 1, 0, 10);

        snprintf(uid, sizeof(uid), "cam-%llu", (unsigned long long)(i % 500));
        span_copy(span_of(uid), l.uid, sizeof(l.uid));
        l.released_us = i % 10 ? now_us - (usec_t)i * 60 * US_PER_S : 0;
        assert_true(locks_put(&all, &l));
    }
    locks_forget(&all, now_us, NULL, NULL);
    assert_int_equal(locks_held(&all), (LOCKS_RELEASED_MAX + 1000) / 10);
    assert_in_range(all.n_released, 1000, LOCKS_RELEASED_MAX);
    assert_non_null(locks_find(&all, "cam-1", 2)); /* the newest */
    locks_done(&all);
}

static void no_file_is_no_lock(void **state)
{
    assert_int_equal(read_all(*state), 0);
}

static void what_was_added_is_read(void **state)
{
    struct place *p = *state;
    struct index_lock l;

    for (uint64_t i = 1; i <= 200; i++) {
        l = lock_at(i % 2 ? "cam-1" : "cam-2", i, (int64_t)i, (int64_t)i + 5);
        assert_int_equal(lock_file_add(p->fd, &l), 0);
    }
    l.version_us++;
    l.released_us = T0 + 99;
    assert_int_equal(lock_file_add(p->fd, &l), 0);
    assert_int_equal(read_all(p), 200);
    assert_int_equal(p->records, 201);
    assert_same(locks_find(&p->read, "cam-2", 200), &l);
    assert_string_equal(locks_find(&p->read, "cam-1", 7)->note, "why");
    assert_int_equal(lock_file_write(p->fd, &p->read), 0);
    assert_int_equal(read_all(p), 200);
    assert_int_equal(p->records, 200);
    assert_same(locks_find(&p->read, "cam-2", 200), &l);
}

static void torn_and_rotten_records_cost_themselves(void **state)
{
    struct place *p = *state;
    struct index_lock l;
    struct stat st;
    int fd;

    for (uint64_t i = 1; i <= 4; i++) {
        l = lock_at("cam", i, 0, 5);
        assert_int_equal(lock_file_add(p->fd, &l), 0);
    }
    fd = openat(p->fd, LOCK_FILE_NAME, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, LOCK_FILE_RECORD + 100), 1);
    assert_int_equal(ftruncate(fd, 4 * LOCK_FILE_RECORD - 60), 0);
    assert_int_equal(read_all(p), 2);
    assert_int_equal(p->records, 4);
    assert_int_equal(lock_file_add(p->fd, &l), 0);
    assert_int_equal(read_all(p), 3);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 4 * LOCK_FILE_RECORD);
    for (off_t at = 0; at < LOCK_FILE_RECORD; at++) { /* no byte of a record may change unseen */
        uint8_t was, other;

        assert_int_equal(pread(fd, &was, 1, at), 1);
        other = (uint8_t)(was ^ 0x40);
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        assert_int_equal(read_all(p), 2);
        assert_int_equal(pwrite(fd, &was, 1, at), 1);
    }
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_an_id_counts),
        cmocka_unit_test(released_ones_are_forgotten),
        cmocka_unit_test(too_many_released_ones_are_forgotten_sooner),
        TEST(no_file_is_no_lock),
        TEST(what_was_added_is_read),
        TEST(torn_and_rotten_records_cost_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
