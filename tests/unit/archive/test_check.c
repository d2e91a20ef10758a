/* What on the disk is not as the index says, and an index out of the files alone held against the one in
 * use. The storage: two streams with four segments each, the keeper's index. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/check.h"
#include "archive/event_file.h"
#include "archive/lock_file.h"
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
    if (id > 0 && id < 100) wr_fmt(&w, " #%u", (unsigned)id); /* an event, a lock */
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

static void rebuild_with(struct place *p, bool sum, const char *want)
{
    struct rebuild r = {.storage = &p->storage,
        .ix = p->ix,
        .dir = p->made_dir,
        .sum = sum,
        .found = on_diff,
        .alive = on_alive,
        .arg = p};

    p->found[0] = 0;
    tool_rmdir(p->made_dir);
    assert_int_equal(mkdir(p->made_dir, 0700), 0);
    assert_int_equal(rebuild_run(&r), INDEX_OK);
    assert_string_equal(p->found, want);
}

static void rebuild_finds(struct place *p, const char *want)
{
    rebuild_with(p, false, want);
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

/* Bytes that are not what they were, a file without its end, known to the index and not. */
static void damaged_files_are_told(void **state)
{
    struct place *p = *state;
    struct index_flaw unknown = {.table = INDEX_SEGMENTS, .uid = "cam-1", .number = p->segs[1][0].id};
    char path[256];

    path_of(p, 0, 1, path);
    change_byte(path, (off_t)p->segs[0][1].table_at / 2);
    rebuild_finds(p, "");
    rebuild_with(p, true, "checksum differs cam-0 1\n");
    path_of(p, 0, 2, path);
    assert_int_equal(truncate(path, (off_t)p->segs[0][2].table_at / 2), 0);
    path_of(p, 1, 0, path);
    assert_int_equal(truncate(path, (off_t)p->segs[1][0].table_at), 0);
    assert_int_equal(index_mend(p->ix, &unknown, NULL), INDEX_OK);
    rebuild_with(p, true, "damaged cam-1 0\nchecksum differs cam-0 1\ndamaged cam-0 2\n");
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

/* --- events and locks --- */

static struct event event_of(uint64_t id, usec_t end_us)
{
    return (struct event){.id = id,
        .uid = "cam-0",
        .kind = "motion",
        .source = "call",
        .start_us = FOOTAGE_START_US + US_PER_S,
        .end_us = end_us,
        .payload = "who"};
}

static void add_event(struct place *p, struct event e, bool index, bool copy)
{
    if (copy) assert_int_equal(event_file_add(p->storage.fd, &e, 1), 0);
    if (index) assert_int_equal(index_events_put(p->ix, &e, 1), INDEX_OK);
}

static struct index_lock lock_of(uint64_t id, usec_t version_us, bool released)
{
    return (struct index_lock){.id = id,
        .uid = "cam-1",
        .start_us = FOOTAGE_START_US,
        .end_us = FOOTAGE_START_US + US_PER_S,
        .version_us = version_us,
        .released_us = released ? version_us : 0,
        .by = "root"};
}

static void add_lock(struct place *p, struct index_lock l, bool index, bool copy)
{
    if (copy) assert_int_equal(lock_file_add(p->storage.fd, &l), 0);
    if (index) assert_int_equal(index_locks_put(p->ix, &l, 1), INDEX_OK);
}

static size_t count_events(struct index *ix, struct event *out, size_t max)
{
    struct index_event_at at = {.n = 0};
    size_t n = 0, all = 0;

    while (!at.end) {
        assert_int_equal(index_events(ix, &EVENT_QUERY_ALL, &at, out + all, max - all, &n), INDEX_OK);
        all += n;
    }
    return all;
}

/* The new index has them as the one in use has; what was said more than once, as it was said last. */
static void locks_and_events_are_in_the_new_index(void **state)
{
    struct place *p = *state;
    struct index_lock held[4];
    struct event e[4];
    struct index *made;
    size_t n;

    add_event(p, event_of(1, 0), true, true);
    add_event(p, event_of(1, FOOTAGE_START_US + 2 * US_PER_S), true, true);
    add_event(p, event_of(2, FOOTAGE_START_US + 3 * US_PER_S), true, true);
    add_lock(p, lock_of(1, 10, false), true, true);
    add_lock(p, lock_of(1, 20, true), true, true);
    add_lock(p, lock_of(2, 10, false), true, true);
    rebuild_finds(p, "");
    assert_int_equal(index_open_ro(p->made_dir, &made), INDEX_OK);
    assert_int_equal(count_events(made, e, ARRAY_N(e)), 2);
    assert_true(e[0].id == 1 && e[0].end_us == FOOTAGE_START_US + 2 * US_PER_S);
    assert_true(e[1].id == 2 && e[1].end_us == FOOTAGE_START_US + 3 * US_PER_S);
    assert_string_equal(e[1].payload, "who");
    assert_int_equal(index_locks(made, NULL, held, ARRAY_N(held), &n), INDEX_OK);
    assert_int_equal(n, 2);
    assert_true(held[0].id == 1 && held[0].version_us == 20 && held[0].released_us == 20);
    assert_true(held[1].id == 2 && held[1].released_us == 0);
    assert_string_equal(held[1].by, "root");
    index_close(made);
}

static void events_that_differ_are_told(void **state)
{
    struct place *p = *state;
    struct event other = event_of(4, FOOTAGE_START_US + 2 * US_PER_S);

    add_event(p, event_of(1, FOOTAGE_START_US + 2 * US_PER_S), false, true);
    add_event(p, event_of(2, FOOTAGE_START_US + 2 * US_PER_S), true, false);
    add_event(p, event_of(3, 0), true, true); /* its end did not reach the index */
    add_event(p, event_of(3, FOOTAGE_START_US + 2 * US_PER_S), false, true);
    add_event(p, other, true, true);
    other.payload[0] = 'W';
    add_event(p, other, true, false);
    add_event(p, event_of(5, 0), true, true); /* its end did not reach the copy */
    add_event(p, event_of(5, FOOTAGE_START_US + 2 * US_PER_S), true, false);
    add_event(p, event_of(6, FOOTAGE_START_US + 2 * US_PER_S), true, true);
    rebuild_finds(p,
        "event differs cam-0 #1\nevent without its copy cam-0 #2\nevent differs cam-0 #3\n"
        "event differs cam-0 #4\nevent without its copy cam-0 #5\n");
}

/* What is on its way into the index, and what is about to be forgotten. */
static void events_of_the_edges_are_not_missed(void **state)
{
    struct place *p = *state;
    usec_t now_us = clock_wall_us();
    struct event fresh = event_of(1, now_us), old = event_of(2, FOOTAGE_START_US - 3600 * US_PER_S);
    struct event alone = event_of(3, FOOTAGE_START_US + 2 * US_PER_S);

    fresh.start_us = now_us - US_PER_S;
    add_event(p, fresh, false, true);
    old.start_us = old.end_us;
    add_event(p, old, true, false); /* before all footage */
    old.id = 4;
    add_event(p, old, false, true);
    memcpy(alone.uid, "cam-9", 6); /* a stream without any */
    add_event(p, alone, false, true);
    rebuild_finds(p, "");
}

static void locks_that_differ_are_told(void **state)
{
    struct place *p = *state;
    usec_t now_us = clock_wall_us();

    add_lock(p, lock_of(1, 10, false), true, false);
    add_lock(p, lock_of(2, 10, false), false, true);
    add_lock(p, lock_of(3, 10, false), true, true);
    add_lock(p, lock_of(3, 20, true), true, false); /* unlocked, and the copy still holds it */
    add_lock(p, lock_of(4, 10, true), true, false); /* forgotten by one of them */
    add_lock(p, lock_of(5, 10, true), false, true);
    add_lock(p, lock_of(6, now_us, false), false, true); /* on its way */
    rebuild_finds(p, "lock differs cam-1 #1\nlock differs cam-1 #3\nlock differs cam-1 #2\n");
}

/* Nothing follows from a copy that cannot be read. */
static void a_copy_that_cannot_be_read_ends_it(void **state)
{
    struct place *p = *state;
    struct rebuild r = {.storage = &p->storage,
        .ix = p->ix,
        .dir = p->made_dir,
        .found = on_diff,
        .alive = on_alive,
        .arg = p};
    char path[256];

    add_event(p, event_of(1, FOOTAGE_START_US + 2 * US_PER_S), true, false);
    snprintf(path, sizeof(path), "%s/" EVENT_FILE_FOLDER, p->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/" EVENT_FILE_FOLDER "/2023-11-14", p->dir);
    assert_int_equal(mkdir(path, 0700), 0); /* EISDIR */
    assert_int_equal(rebuild_run(&r), -EISDIR);
    assert_string_equal(p->found, "");
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
        TEST(damaged_files_are_told),
        TEST(foreign_files_are_left_alone),
        TEST(locks_and_events_are_in_the_new_index),
        TEST(events_that_differ_are_told),
        TEST(events_of_the_edges_are_not_missed),
        TEST(locks_that_differ_are_told),
        TEST(a_copy_that_cannot_be_read_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
