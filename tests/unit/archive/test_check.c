/* What on the disk is not as the index says, and an index out of the files alone held against the one in
 * use. The storage: two streams with four segments each, the keeper's index. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/check.h"
#include "archive/rebuild.h"
#include "archive/segment.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAMS 2
#define EACH    4

struct place {
    char dir[64], index_dir[80], made_dir[80];
    struct storage storage;
    struct index *ix;
    struct seg_info segs[STREAMS][EACH];
    char found[1024]; /* what was told, a line each */
    uint64_t done, all;
};

static void record_at(struct place *p, unsigned stream, usec_t start_us, struct seg_info *s)
{
    struct segw_setup setup = {0};
    struct footage f;
    struct segw *w;
    char uid[8];
    int records;

    snprintf(uid, sizeof(uid), "cam-%u", stream);
    setup.uid = uid;
    assert_int_equal(storage_records(&p->storage, uid, getuid(), getgid(), &records), 0);
    footage_make(&f, 2, 25, start_us);
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = f.n;
    assert_int_equal(segw_open(records, &setup, &w), 0);
    assert_int_equal(segw_append(w, f.f, f.n), SEGW_OK);
    assert_int_equal(segw_close(w, s), 0);
    footage_done(&f);
    close(records);
}

static void record(struct place *p, unsigned stream, unsigned n)
{
    /* a gap behind the second */
    record_at(p, stream, FOOTAGE_START_US + (usec_t)n * (n > 1 ? 4 : 2) * US_PER_S, &p->segs[stream][n]);
}

static int make_place(void **state)
{
    const struct seg_info *list[STREAMS * EACH];
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->index_dir, sizeof(p->index_dir), "%s/.index", p->dir);
    snprintf(p->made_dir, sizeof(p->made_dir), "%s/.made", p->dir);
    assert_int_equal(mkdir(p->index_dir, 0700) | mkdir(p->made_dir, 0700), 0);
    storage_init(&p->storage, p->dir, (struct retention_floor){0});
    p->storage.fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(index_open(p->index_dir, &p->ix), INDEX_OK);
    for (unsigned s = 0; s < STREAMS; s++)
        for (unsigned n = 0; n < EACH; n++) {
            record(p, s, n);
            list[s * EACH + n] = &p->segs[s][n];
        }
    assert_int_equal(index_put(p->ix, list, ARRAY_N(list)), INDEX_OK);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    index_close(p->ix);
    storage_close(&p->storage);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void note(struct place *p, const char *what, const char *uid, uint64_t id)
{
    struct wr w = wr_of(p->found, sizeof(p->found));
    unsigned stream = (unsigned)(uid[4] - '0');

    w.n = strlen(p->found);
    wr_fmt(&w, "%s %s", what, uid);
    for (unsigned n = 0; n < EACH; n++)
        if (stream < STREAMS && p->segs[stream][n].id == id) wr_fmt(&w, " %u", n);
    wr_text(&w, "\n");
    wr_cstr(&w);
}

static void on_fault(void *arg, enum check_fault f, const struct seg_info *info, uint64_t bytes, int err)
{
    struct place *p = arg;

    if (f == CHECK_SIZE) assert_true(bytes != info->bytes);
    if (f == CHECK_MISSING) assert_int_equal(err, ENOENT);
    note(p, check_fault_name(f), info->uid, info->id);
}

static void on_diff(void *arg, enum rebuild_fault f, const char *uid, uint64_t id)
{
    note(arg, rebuild_fault_name(f), uid, id);
}

static void on_alive(void *arg, uint64_t done, uint64_t all)
{
    struct place *p = arg;

    p->done = done;
    p->all = all;
}

static void check_finds(struct place *p, bool sum, const char *want)
{
    struct check c = {
        .storage = &p->storage, .ix = p->ix, .sum = sum, .found = on_fault, .alive = on_alive, .arg = p};

    p->found[0] = 0;
    assert_int_equal(check_run(&c), INDEX_OK);
    assert_string_equal(p->found, want);
    assert_int_equal(c.done, STREAMS * EACH);
    assert_int_equal(p->done, p->all);
}

static void path_of(const struct place *p, unsigned stream, unsigned n, char dst[256])
{
    snprintf(dst, 256, "%s/cam-%u/records/%s", p->dir, stream, p->segs[stream][n].path);
}

static void change_byte(const char *path, off_t at)
{
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t b;

    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
}

static void faults_have_names(void **state)
{
    struct place *p = *state;
    char path[256], other[256];

    check_finds(p, false, "");
    check_finds(p, true, "");
    path_of(p, 0, 1, path);
    assert_int_equal(unlink(path), 0);
    path_of(p, 0, 2, path);
    assert_int_equal(truncate(path, 1000), 0);
    path_of(p, 1, 3, path);
    change_byte(path, (off_t)p->segs[1][3].bytes / 2);
    check_finds(p, false, "missing cam-0 1\nsize cam-0 2\n");
    check_finds(p, true, "missing cam-0 1\nsize cam-0 2\nchecksum cam-1 3\n");
    /* a link to the right bytes is no segment */
    path_of(p, 1, 0, path);
    snprintf(other, sizeof(other), "%s/moved", p->dir);
    assert_int_equal(rename(path, other) | symlink(other, path), 0);
    p->found[0] = 0;
    check_finds(p, false, "missing cam-0 1\nsize cam-0 2\nmissing cam-1 0\n");
}

static void a_stream_without_its_folder_is_all_missing(void **state)
{
    struct place *p = *state;
    char path[256], other[256];

    snprintf(path, sizeof(path), "%s/cam-1", p->dir);
    snprintf(other, sizeof(other), "%s/.away", p->dir);
    assert_int_equal(rename(path, other), 0);
    check_finds(p, true, "missing cam-1 0\nmissing cam-1 1\nmissing cam-1 2\nmissing cam-1 3\n");
}

static void rebuild_finds(struct place *p, const char *want)
{
    struct rebuild r = {.storage = &p->storage,
        .ix = p->ix,
        .dir = p->made_dir,
        .found = on_diff,
        .alive = on_alive,
        .arg = p};

    p->found[0] = 0;
    tool_rmdir(p->made_dir);
    assert_int_equal(mkdir(p->made_dir, 0700), 0);
    assert_int_equal(rebuild_run(&r), INDEX_OK);
    assert_string_equal(p->found, want);
}

static void an_index_is_equal_to_its_files(void **state)
{
    struct place *p = *state;
    struct index_total a[STREAMS + 1] = {0}, b[STREAMS + 1] = {0};
    struct index *made;
    size_t n;

    rebuild_finds(p, "");
    assert_int_equal(index_open_ro(p->made_dir, &made), INDEX_OK);
    assert_int_equal(index_totals(p->ix, "", a, ARRAY_N(a), &n), INDEX_OK);
    assert_int_equal(n, STREAMS);
    assert_int_equal(index_totals(made, "", b, ARRAY_N(b), &n), INDEX_OK);
    assert_int_equal(n, STREAMS);
    assert_memory_equal(a, b, STREAMS * sizeof(a[0]));
    index_close(made);
}

/* In the index what was found damaged is marked; its footer does not know that. */
static void differences_are_told(void **state)
{
    struct place *p = *state;
    const struct seg_info *list[] = {&p->segs[0][0]};
    struct index_flaw gone = {.table = INDEX_SEGMENTS, .uid = "cam-1", .number = p->segs[1][2].id};
    struct index_ref trash = {.uid = "cam-1", .id = p->segs[1][0].id};
    char path[256];

    p->segs[0][0].flags |= SEG_DAMAGED;
    assert_int_equal(index_put(p->ix, list, 1), INDEX_OK);
    assert_int_equal(index_drop(p->ix, &trash, 1), INDEX_OK); /* its file goes too, later */
    rebuild_finds(p, "");
    p->segs[0][0].repaired++;
    assert_int_equal(index_put(p->ix, list, 1), INDEX_OK);
    assert_int_equal(index_mend(p->ix, &gone, NULL), INDEX_OK);
    path_of(p, 0, 3, path);
    assert_int_equal(unlink(path), 0);
    rebuild_finds(p, "differs cam-0 0\nnot on the disk cam-0 3\nnot in the index cam-1 2\n");
}

static void foreign_files_are_left_alone(void **state)
{
    struct place *p = *state;
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/cam-0/records/2023/11/14/notes.txt", p->dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    fd_close(&fd);
    snprintf(path, sizeof(path), "%s/lost+found", p->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    rebuild_finds(p, "");
    check_finds(p, true, "");
}

/* The segment that was closed this moment is a file, and the index does not know it yet. */
static void a_range_that_grows_does_not_differ(void **state)
{
    struct place *p = *state;
    usec_t now_us = clock_wall_us();
    struct seg_info known, fresh;
    const struct seg_info *list[] = {&known};

    record_at(p, 0, now_us - 6 * US_PER_S, &known);
    assert_int_equal(index_put(p->ix, list, 1), INDEX_OK);
    record_at(p, 0, now_us - 4 * US_PER_S, &fresh);
    rebuild_finds(p, "");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)
    const struct CMUnitTest tests[] = {
        TEST(faults_have_names),
        TEST(a_stream_without_its_folder_is_all_missing),
        TEST(an_index_is_equal_to_its_files),
        TEST(a_range_that_grows_does_not_differ),
        TEST(differences_are_told),
        TEST(foreign_files_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
