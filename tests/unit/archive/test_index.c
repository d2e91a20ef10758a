/* The index: segments and ranges in and out, pages, other processes, damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/index_place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define T0 (1700000000 * US_PER_S)

static struct seg_info *segment(const char *uid, usec_t start_us, usec_t end_us)
{
    struct seg_info *s = NEW(struct seg_info);

    s->id = (uint64_t)(start_us / US_PER_MS) << 8;
    s->start_us = start_us;
    s->end_us = end_us;
    s->bytes = 1000;
    s->table_at = 900;
    s->samples = 100;
    s->n_keys = 3;
    for (uint16_t i = 0; i < s->n_keys; i++) s->keys[i] = (struct seg_key){i * 4000u, i * 30u};
    span_copy(span_of(uid), s->uid, sizeof(s->uid));
    seg_path_of(s->id, s->path);
    return s;
}

static void put(struct index *ix, const char *uid, int from_s, int to_s)
{
    struct seg_info *s = segment(uid, T0 + from_s * US_PER_S, T0 + to_s * US_PER_S);
    const struct seg_info *list[] = {s};

    assert_int_equal(index_put(ix, list, 1), INDEX_OK);
    mem_free(s);
}

static struct index_query query(const char *uid, int from_s, int to_s)
{
    return (struct index_query){.uid = uid, .from_us = T0 + from_s * US_PER_S, .to_us = T0 + to_s * US_PER_S};
}

/* The ranges of a stream as text: "0-120 180-240". */
static void ranges_are(struct index *ix, const char *uid, int from_s, int to_s, const char *want)
{
    const struct index_query q = query(uid, from_s, to_s);
    struct index_range r[16];
    char text[512];
    struct wr w = wr_of(text, sizeof(text));
    size_t n;

    assert_int_equal(index_ranges(ix, &q, r, ARRAY_N(r), &n), INDEX_OK);
    for (size_t i = 0; i < n; i++)
        wr_fmt(&w, "%s%d-%d", i ? " " : "", (int)((r[i].start_us - T0) / US_PER_S),
            (int)((r[i].end_us - T0) / US_PER_S));
    assert_string_equal(wr_cstr(&w), want);
}

/* Starts of the segments in a window, as text, read in pages of `page`. */
static void segments_are(
    struct index *ix, const char *uid, int from_s, int to_s, size_t page, const char *want)
{
    struct seg_info *s = mem_new_n(page, sizeof(*s));
    char text[4096];
    struct index_query q = query(uid, from_s, to_s);
    struct wr w = wr_of(text, sizeof(text));
    size_t n;

    do {
        assert_int_equal(index_segments(ix, &q, s, page, &n), INDEX_OK);
        for (size_t i = 0; i < n; i++) {
            wr_fmt(&w, "%s%d", w.n ? " " : "", (int)((s[i].start_us - T0) / US_PER_S));
            q.after_id = s[i].id;
        }
    } while (n == page);
    assert_string_equal(wr_cstr(&w), want);
    mem_free(s);
}

static void segments_come_back(void **state)
{
    struct index_place *p = *state;
    struct seg_info got, *s = segment("cam", T0, T0 + 120 * US_PER_S);

    put(p->ix, "cam", 0, 120);
    put(p->ix, "cam", 120, 240);
    put(p->ix, "cam-1", 60, 180); /* a neighbour in the order of keys */
    put(p->ix, "ca", 30, 90);
    assert_int_equal(index_first(p->ix, "cam", &got), INDEX_OK);
    assert_int_equal(got.start_us, T0);
    assert_string_equal(got.path, s->path);
    assert_int_equal(got.n_keys, 3);
    assert_memory_equal(got.keys, s->keys, sizeof(s->keys));
    assert_int_equal(index_last(p->ix, "cam", &got), INDEX_OK);
    assert_int_equal(got.start_us, T0 + 120 * US_PER_S);
    assert_int_equal(index_last(p->ix, "cam-1", &got), INDEX_OK);
    assert_int_equal(got.start_us, T0 + 60 * US_PER_S);
    assert_int_equal(index_first(p->ix, "c", &got), INDEX_E_NONE);
    assert_int_equal(index_last(p->ix, "c", &got), INDEX_E_NONE);
    assert_int_equal(index_last(p->ix, "cam-2", &got), INDEX_E_NONE);
    assert_int_equal(index_last_by(p->ix, "cam", T0 + 120 * US_PER_S, &got), INDEX_OK);
    assert_int_equal(got.start_us, T0 + 120 * US_PER_S);
    assert_int_equal(index_last_by(p->ix, "cam", T0 + 119 * US_PER_S, &got), INDEX_OK);
    assert_int_equal(got.start_us, T0);
    assert_int_equal(index_last_by(p->ix, "cam", T0 - US_PER_S, &got), INDEX_E_NONE);
    assert_int_equal(index_last_by(p->ix, "cam-1", INT64_MAX >> 9, &got), INDEX_OK);
    assert_int_equal(index_last_by(p->ix, "cam-2", T0 + 120 * US_PER_S, &got), INDEX_E_NONE);
    assert_int_equal(index_get(p->ix, "cam", s->id, &got), INDEX_OK);
    assert_int_equal(index_get(p->ix, "cam", s->id + 1, &got), INDEX_E_NONE);
    mem_free(s);
}

static void windows_and_pages(void **state)
{
    struct index_place *p = *state;

    for (int i = 0; i < 10; i++) put(p->ix, "cam", i * 60, i * 60 + 60);
    put(p->ix, "a", 0, 60);
    put(p->ix, "z", 0, 60);
    segments_are(p->ix, "cam", 0, 600, 3, "0 60 120 180 240 300 360 420 480 540");
    segments_are(p->ix, "cam", 0, 600, 10, "0 60 120 180 240 300 360 420 480 540");
    segments_are(p->ix, "cam", 0, 600, 100, "0 60 120 180 240 300 360 420 480 540");
    segments_are(p->ix, "cam", 90, 121, 100, "60 120"); /* one has begun before the window */
    segments_are(p->ix, "cam", 120, 180, 100, "120");
    segments_are(p->ix, "cam", 599, 10000, 100, "540");
    segments_are(p->ix, "cam", 600, 10000, 100, "");
    segments_are(p->ix, "cam", -100, 0, 100, "");
    segments_are(p->ix, "cam", -100, 1, 1, "0");
    segments_are(p->ix, "none", 0, 600, 100, "");
}

static void ranges_join(void **state)
{
    struct index_place *p = *state;

    put(p->ix, "cam", 0, 60);
    ranges_are(p->ix, "cam", 0, 10000, "0-60");
    put(p->ix, "cam", 60, 120);
    ranges_are(p->ix, "cam", 0, 10000, "0-120");
    put(p->ix, "cam", 121, 180); /* a second between them is none */
    ranges_are(p->ix, "cam", 0, 10000, "0-180");
    put(p->ix, "cam", 182, 240);
    put(p->ix, "cam", 300, 360);
    put(p->ix, "b", 180, 182);
    put(p->ix, "cam-2", 180, 182);
    ranges_are(p->ix, "cam", 0, 10000, "0-180 182-240 300-360");
    ranges_are(p->ix, "cam", 200, 300, "182-240");
    ranges_are(p->ix, "cam", 100, 301, "0-180 182-240 300-360");
    ranges_are(p->ix, "cam", 240, 300, "");
    put(p->ix, "cam", 180, 182); /* what was missing comes later */
    ranges_are(p->ix, "cam", 0, 10000, "0-240 300-360");
    put(p->ix, "cam", 180, 182); /* again: nothing changes */
    ranges_are(p->ix, "cam", 0, 10000, "0-240 300-360");
    put(p->ix, "cam", -50, 400); /* one that holds all */
    ranges_are(p->ix, "cam", -100, 10000, "-50-400");
    ranges_are(p->ix, "b", 0, 10000, "180-182");
}

static void ranges_join_in_any_order(void **state)
{
    struct index_place *p = *state;
    static const int order[] = {7, 2, 9, 0, 4, 1, 8, 5, 3, 6};

    for (size_t i = 0; i < ARRAY_N(order); i++) put(p->ix, "cam", order[i] * 60, order[i] * 60 + 60);
    ranges_are(p->ix, "cam", 0, 10000, "0-600");
}

static void readers_see_what_was_committed(void **state)
{
    struct index_place *p = *state;
    struct index *ro;
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/lock.mdb", p->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_blocks * 512 >= 65536); /* allocated, not only long */
    assert_int_equal(index_open_ro(p->dir, &ro), INDEX_OK);
    put(p->ix, "cam", 0, 60);
    ranges_are(ro, "cam", 0, 1000, "0-60");
    put(p->ix, "cam", 60, 120);
    ranges_are(ro, "cam", 0, 1000, "0-120");
    index_close(ro);
    assert_int_equal(index_open_ro("/nonexistent", &ro), -ENOENT);
}

/* Reader slots of a process that died are freed. */
static void dead_readers_are_cleared(void **state)
{
    struct index_place *p = *state;
    int n = -1;
    pid_t pid;

    put(p->ix, "cam", 0, 60);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct index *ro;
        struct seg_info s;

        if (index_open_ro(p->dir, &ro) != INDEX_OK || index_first(ro, "cam", &s) != INDEX_OK) _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(index_clear_dead(p->ix, &n), INDEX_OK);
    assert_true(n >= 0);
    put(p->ix, "cam", 60, 120);
    ranges_are(p->ix, "cam", 0, 1000, "0-120");
}

/* In a process of its own, as the keeper does it: what it says, or 100 when it crashed. */
static int check_apart(const char *dir)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        uint64_t n, flaws;
        int err;

        alarm(60);
        /* cmocka's handlers would go on with its tests */
        for (size_t i = 0; i < ARRAY_N(fatal); i++)
            sigaction(fatal[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        err = index_check(dir, &n, &flaws);
        _exit(err < 0 ? 98 : err);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static void damaged_values_are_found(void **state)
{
    struct index_place *p = *state;
    uint64_t n, flaws;
    char path[128];
    size_t size, found = 0;
    uint8_t *data;
    int fd;

    for (int i = 0; i < 50; i++) put(p->ix, i % 2 ? "cam" : "dog", i * 100, i * 100 + 60);
    index_close(p->ix);
    p->ix = NULL;
    assert_int_equal(index_check(p->dir, &n, &flaws), INDEX_OK);
    assert_int_equal(n, 50);
    snprintf(path, sizeof(path), "%s/data.mdb", p->dir);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 1u << 24, &data, &size), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    /* behind a key with its uid, 0 and eight bytes comes the record: change a byte of each */
    for (size_t at = 0; at + 32 < size; at++) {
        uint8_t x = data[at + 16] ^ 1;

        if (memcmp(data + at, "cam", 4) != 0 && memcmp(data + at, "dog", 4) != 0) continue;
        assert_int_equal(pwrite(fd, &x, 1, (off_t)at + 16), 1);
        found += check_apart(p->dir) == INDEX_E_FLAWED;
        assert_int_equal(pwrite(fd, &data[at + 16], 1, (off_t)at + 16), 1);
    }
    assert_true(found >= 50); /* older pages hold copies that nobody sees any more */
    assert_int_equal(check_apart(p->dir), INDEX_OK);
    fd_close(&fd);
    mem_free(data);
}

/* C19: bits turned anywhere, and every length: no answer but a right one, a refusal, or the death of the
 * child. */
static void damaged_files_never_lie(void **state)
{
    struct index_place *p = *state;
    char path[128];
    uint8_t *data;
    size_t size;
    int fd, told = 0;

    for (int i = 0; i < 30; i++) put(p->ix, "cam", i * 100, i * 100 + 60);
    index_close(p->ix);
    p->ix = NULL;
    snprintf(path, sizeof(path), "%s/data.mdb", p->dir);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 1u << 24, &data, &size), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < 150; i++) {
        size_t at = i * 7919 % size;
        uint8_t x = data[at] ^ (uint8_t)(1u << i % 8);

        assert_int_equal(pwrite(fd, &x, 1, (off_t)at), 1);
        told += check_apart(p->dir) != INDEX_OK;
        assert_int_equal(pwrite(fd, &data[at], 1, (off_t)at), 1);
    }
    assert_int_equal(check_apart(p->dir), INDEX_OK);
    for (size_t bytes = 0; bytes < size; bytes += 4096 * 3 + 100) {
        assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
        assert_true(check_apart(p->dir) != INDEX_OK || bytes > size / 2);
        assert_int_equal(pwrite(fd, data, size, 0), size);
    }
    assert_int_equal(check_apart(p->dir), INDEX_OK);
    print_message("%d of 150 changes were noticed\n", told);
    fd_close(&fd);
    mem_free(data);
}

static void foreign_files_are_refused(void **state)
{
    struct index_place *p = *state;
    struct index *ix = NULL;
    char path[128];
    int fd;

    index_close(p->ix);
    p->ix = NULL;
    snprintf(path, sizeof(path), "%s/data.mdb", p->dir);
    fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(write(fd, "this is not an index", 20), 20);
    fd_close(&fd);
    assert_int_equal(index_open(p->dir, &ix), INDEX_E_DAMAGED);
    assert_int_equal(index_open_ro(p->dir, &ix), INDEX_E_DAMAGED);
    assert_null(ix);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, index_place_make, index_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(segments_come_back),
        TEST(windows_and_pages),
        TEST(ranges_join),
        TEST(ranges_join_in_any_order),
        TEST(readers_see_what_was_committed),
        TEST(dead_readers_are_cleared),
        TEST(damaged_values_are_found),
        TEST(damaged_files_never_lie),
        TEST(foreign_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
