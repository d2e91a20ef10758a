/* The scan: what is found, what is left for later, what is repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/scan.h"
#include "archive/segment.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64], path[128];
    struct storage storage;
    struct scan *scan;
    struct footage f;
    int records;
    /* what the scan said */
    uint64_t found[32];
    size_t n_found;
    unsigned done, left, alive;
    int unrepaired;
    /* what it is told */
    uint64_t known, writing;
    usec_t newest_us;
    bool repairs_off;
};

static bool known(void *arg, const char *uid, uint64_t id)
{
    (void)uid;
    return ((struct place *)arg)->known == id;
}
static bool writing(void *arg, const char *uid, uint64_t id)
{
    (void)uid;
    return ((struct place *)arg)->writing == id;
}
static usec_t newest(void *arg, const char *uid)
{
    (void)uid;
    return ((struct place *)arg)->newest_us;
}
static void found(void *arg, const struct seg_info *info)
{
    struct place *p = arg;

    assert_true(p->n_found < ARRAY_N(p->found));
    p->found[p->n_found++] = info->id;
}
static bool may_repair(void *arg, const char *uid)
{
    (void)uid;
    return !((struct place *)arg)->repairs_off;
}
static void unrepaired(void *arg, const char *uid, int err)
{
    (void)uid;
    ((struct place *)arg)->unrepaired = err;
}
static void alive(void *arg)
{
    ((struct place *)arg)->alive++;
}
static void done(void *arg, const char *uid, unsigned left)
{
    struct place *p = arg;

    (void)uid;
    p->done++;
    p->left |= left;
}
static const struct scan_ops ops = {known, writing, newest, found, may_repair, unrepaired, alive, done};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->path, sizeof(p->path), "%s/store", p->dir);
    storage_init(&p->storage, p->path, (struct retention_floor){0});
    assert_true(storage_open(&p->storage, "", false));
    assert_int_equal(storage_records(&p->storage, "cam-1", geteuid(), getegid(), &p->records), 0);
    p->scan = scan_new(&p->storage, &ops, p);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    scan_free(p->scan);
    fd_close(&p->records);
    storage_close(&p->storage);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

/* A segment of two seconds; open: without a footer. */
static uint64_t segment(const struct place *p, usec_t start_us, bool open)
{
    struct segw_setup setup = {.uid = "cam-1"};
    struct footage f;
    struct seg_info info;
    struct segw *w;
    uint64_t id;

    footage_make(&f, 2, 25, start_us);
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = f.n;
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    assert_int_equal(segw_append(w, f.f, f.n), SEGW_OK);
    id = segw_id(w);
    if (open)
        segw_abandon(w);
    else
        assert_int_equal(segw_close(w, &info), 0);
    footage_done(&f);
    return id;
}

static void scan_now(struct place *p)
{
    p->n_found = p->done = p->left = 0;
    assert_int_equal(scan_all(p->scan), 0);
    while (scan_step(p->scan)) {
    }
}

static void newest_come_first(void **state)
{
    struct place *p = *state;
    uint64_t id[4];

    id[0] = segment(p, FOOTAGE_START_US, false);
    id[1] = segment(p, FOOTAGE_START_US + 10 * US_PER_S, false);
    id[2] = segment(p, FOOTAGE_START_US + 40 * 24 * 3600 * US_PER_S, false); /* another month */
    id[3] = segment(p, FOOTAGE_START_US + 400ll * 24 * 3600 * US_PER_S, false);
    scan_now(p);
    assert_int_equal(p->n_found, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(p->found[i], id[3 - i]);
    assert_int_equal(p->done, 1);
    assert_int_equal(p->left, 0);
    /* what is older than two days before the newest in the index is taken as known */
    p->newest_us = FOOTAGE_START_US + 41 * 24 * 3600 * US_PER_S;
    p->known = id[3];
    scan_now(p);
    assert_int_equal(p->n_found, 1);
    assert_int_equal(p->found[0], id[2]);
}

static void other_files_are_passed_by(void **state)
{
    static const char *const names[] = {"2023/11/14/notes.txt", "2023/11/14/221319-zz.mp4",
        "2023/11/14/221319-18bcfe567f900.mp4.bad", "2023/11/14/221318-18bcfe567f900.mp4"};
    struct place *p = *state;

    segment(p, FOOTAGE_START_US, false);
    for (size_t i = 0; i < ARRAY_N(names); i++) close(openat(p->records, names[i], O_CREAT | O_WRONLY, 0640));
    assert_int_equal(mkdirat(p->records, "2023/11/32a", 0750), 0);
    assert_int_equal(mkdirat(p->records, "lost+found", 0750), 0);
    assert_int_equal(mkdirat(p->storage.fd, "no-stream", 0750), 0);
    assert_int_equal(symlinkat("2023", p->records, "2024"), 0);
    scan_now(p);
    assert_int_equal(p->n_found, 1);
    assert_int_equal(p->done, 1);
}

static void unlocked_ones_are_repaired(void **state)
{
    struct place *p = *state;
    uint64_t a = segment(p, FOOTAGE_START_US, true), b = segment(p, FOOTAGE_START_US + 5 * US_PER_S, true);

    scan_now(p);
    assert_int_equal(p->n_found, 2);
    assert_int_equal(p->found[0], b);
    assert_int_equal(p->found[1], a);
    assert_int_equal(p->left, 0);
    scan_now(p);
    assert_int_equal(p->n_found, 2); /* by their footers now */
}

/* A repair that has to wait, and one that fails: the folder is looked at again. */
static void repairs_wait(void **state)
{
    struct place *p = *state;
    char path[SEG_PATH_MAX];
    uint64_t id = segment(p, FOOTAGE_START_US, true);

    p->repairs_off = true;
    scan_now(p);
    assert_int_equal(p->n_found, 0);
    assert_int_equal(p->left, SCAN_FAILED);
    assert_int_equal(p->alive, 0); /* it was not even read */
    p->repairs_off = false;
    seg_path_of(id, path);
    assert_int_equal(unlinkat(p->records, path, 0), 0);
    assert_int_equal(mkdirat(p->records, path, 0750), 0);
    scan_now(p);
    assert_int_equal(p->left, SCAN_FAILED);
    assert_int_equal(p->unrepaired, -EISDIR);
    assert_int_equal(unlinkat(p->records, path, AT_REMOVEDIR), 0);
    id = segment(p, FOOTAGE_START_US + 5 * US_PER_S, true);
    scan_now(p);
    assert_int_equal(p->n_found, 1);
    assert_int_equal(p->left, 0);
    assert_true(p->alive > 0);
}

static void touch(const struct place *p, uint64_t id, time_t age)
{
    struct timespec t[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    char path[SEG_PATH_MAX];

    seg_path_of(id, path);
    assert_int_equal(utimensat(p->records, path, t, 0), 0);
}

static void locked_ones_wait(void **state)
{
    struct place *p = *state;
    uint64_t a = segment(p, FOOTAGE_START_US, true), b = segment(p, FOOTAGE_START_US + 5 * US_PER_S, true);
    int lock = -1;

    assert_int_equal(seg_lock(p->records, &lock), SEGW_OK);
    scan_now(p);
    assert_int_equal(p->n_found, 0); /* both were written just now */
    assert_int_equal(p->left, SCAN_BUSY);
    touch(p, a, 60);
    touch(p, b, 60);
    scan_now(p);
    assert_int_equal(p->n_found, 1); /* its writer has gone on to a newer one */
    assert_int_equal(p->found[0], a);
    assert_int_equal(p->left, SCAN_BUSY);
    p->writing = b; /* its worker says so: nothing is left undecided */
    scan_now(p);
    assert_int_equal(p->n_found, 1);
    assert_int_equal(p->left, 0);
    p->writing = 0;
    fd_close(&lock);
    scan_now(p);
    assert_int_equal(p->n_found, 2);
}

static void scan_begins_again_for_what_is_asked_meanwhile(void **state)
{
    struct place *p = *state;

    segment(p, FOOTAGE_START_US, false);
    scan_uid(p->scan, "cam-1");
    assert_true(scan_step(p->scan));
    segment(
        p, FOOTAGE_START_US + 30ll * 24 * 3600 * US_PER_S, false); /* in a folder that was listed already */
    scan_uid(p->scan, "cam-1");
    scan_uid(p->scan, "cam-1");
    scan_uid(p->scan, "cam-2"); /* none there */
    scan_uid(p->scan, "../cam-1");
    while (scan_step(p->scan)) {
    }
    assert_int_equal(p->done, 3);
    assert_int_equal(p->n_found, 3);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(newest_come_first),
        TEST(other_files_are_passed_by),
        TEST(unlocked_ones_are_repaired),
        TEST(repairs_wait),
        TEST(locked_ones_wait),
        TEST(scan_begins_again_for_what_is_asked_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
