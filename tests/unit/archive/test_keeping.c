/* Deleting by the real ms-keeper: by age, size and free space, across its death, beside files that are not
 * ours; locks over several storages. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "tests/support/segments.h"
#include "tests/support/small_disk.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_US (200 * US_PER_MS)
#define OLD     (1700000000 * US_PER_S) /* 2023 */
#define N       4

struct place {
    struct rig rig;
    char dir[64], a[128], b[128], mounted[128];
    struct seg_info s[N];
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->a, sizeof(p->a), "%s/a", p->dir);
    snprintf(p->b, sizeof(p->b), "%s/b", p->dir);
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    rig_done(&p->rig);
    small_disk_umount(p->mounted);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void storage(struct place *p, const char *name, const char *path)
{
    rig_storage(&p->rig, name, path, "1", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, name, "ok"));
    assert_true(rig_wait_index(&p->rig, name));
}

static void start(struct place *p)
{
    if (!rig_start(&p->rig)) {
        print_message("skipped: no ms-keeper beside this test\n");
        skip();
    }
    storage(p, "a", p->a);
}

/* N segments of two seconds, ten seconds apart. */
static struct rig_worker *footage(struct place *p, const char *uid, usec_t from_us)
{
    struct rig_worker *w = rig_worker(&p->rig, uid, "a");

    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    for (int i = 0; i < N; i++) segments_record(w, from_us + i * 10 * US_PER_S, 2, &p->s[i]);
    return w;
}

struct wanted {
    struct place *p;
    const char *storage, *there; /* "0011": which of s are files */
    char got[N + 1];
    int n;
};
static bool files_are(void *arg)
{
    struct wanted *w = arg;

    for (int i = 0; i < N; i++) w->got[i] = segments_there(w->storage, &w->p->s[i]) ? '1' : '0';
    return strcmp(w->got, w->there) == 0;
}
static void wait_files(struct place *p, const char *there)
{
    struct wanted w = {p, p->a, there, "", 0};

    if (!rig_wait(&p->rig, files_are, &w)) fail_msg("files are %s, not %s", w.got, there);
}

static void wait_listed(struct place *p, const char *uid, int n)
{
    char want[64];

    snprintf(want, sizeof(want), "uid=%s storage=a segments=%d ", uid, n);
    rig_question(&p->rig, "archive list", uid, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    if (n > 0)
        assert_true(strncmp(p->rig.rows, want, strlen(want)) == 0);
    else
        assert_string_equal(p->rig.rows, "");
}

/* Settings have their effect at once; empty folders of ours go with the last file, nothing else does. */
static bool is_gone(void *path)
{
    return access(path, F_OK) < 0;
}

static void by_age(void **state)
{
    struct place *p = *state;
    char path[400];
    int fd;

    start(p);
    footage(p, "cam", OLD);
    snprintf(path, sizeof(path), "%s/foreign.mp4", p->a);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    rig_keep(&p->rig, "cam", 0, 0);
    wait_listed(p, "cam", N);
    wait_files(p, "1111");
    rig_keep(&p->rig, "cam", clock_wall_us() - (p->s[1].end_us + US_PER_S), 0);
    wait_files(p, "0011");
    wait_listed(p, "cam", 2);
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    wait_files(p, "0000");
    wait_listed(p, "cam", 0);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/cam/records/2023", p->a);
    assert_true(rig_wait(&p->rig, is_gone, path)); /* folders go behind their last file */
    snprintf(path, sizeof(path), "%s/cam/records", p->a);
    assert_int_equal(access(path, F_OK), 0);
}

/* What lies in a day's folder and is not ours keeps the folder; links are not followed. */
static void what_is_not_ours_stays(void **state)
{
    struct place *p = *state;
    char day[300], path[400], outside[128];
    int fd;

    start(p);
    footage(p, "cam", OLD);
    snprintf(day, sizeof(day), "%s/cam/records/%.10s", p->a, p->s[0].path);
    snprintf(path, sizeof(path), "%s/%s", day, "notes.txt");
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    snprintf(outside, sizeof(outside), "%s/outside", p->dir);
    assert_int_equal(mkdir(outside, 0700), 0);
    snprintf(path, sizeof(path), "%s/cam/records/2022", p->a);
    assert_int_equal(symlink(outside, path), 0);
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    wait_files(p, "0000");
    wait_listed(p, "cam", 0);
    snprintf(path, sizeof(path), "%s/%s", day, "notes.txt");
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(outside, F_OK), 0);
}

static void by_capacity(void **state)
{
    struct place *p = *state;

    start(p);
    footage(p, "cam", OLD);
    rig_keep(&p->rig, "cam", 0, p->s[2].bytes + p->s[3].bytes);
    wait_files(p, "0011");
}

/* Killed between the index and the file: the next keeper removes it, and does not take it for new footage. */
static void killed_between_index_and_file(void **state)
{
    struct place *p = *state;
    struct index_ref refs[2] = {{.uid = "cam"}, {.uid = "cam"}};
    struct index *ix = NULL;
    char path[256];
    size_t n;

    start(p);
    footage(p, "cam", OLD);
    rig_kill(&p->rig, SIGKILL);
    snprintf(path, sizeof(path), "%s/.index", p->a);
    assert_int_equal(index_open(path, &ix), INDEX_OK);
    refs[0].id = p->s[0].id;
    refs[1].id = p->s[1].id;
    assert_int_equal(index_drop(ix, refs, 2), INDEX_OK);
    index_close(ix);
    wait_files(p, "1111");
    start(p);
    wait_files(p, "0011");
    wait_listed(p, "cam", 2);
    assert_int_equal(rig_stop(&p->rig), 0); /* the trash is settled behind a syncfs */
    start(p);
    wait_listed(p, "cam", 2);
    assert_int_equal(rig_stop(&p->rig), 0);
    assert_int_equal(index_open(path, &ix), INDEX_OK);
    assert_int_equal(index_trash(ix, NULL, refs, 2, &n), INDEX_OK);
    assert_int_equal(n, 0);
    index_close(ix);
}

static bool gone_from_index(void *arg)
{
    struct wanted *w = arg;
    struct seg_info info;
    struct index *ix = NULL;
    bool gone;

    if (index_open_ro(rig_store(&w->p->rig, "a")->index, &ix) != INDEX_OK) return false;
    gone = index_get(ix, "cam", w->p->s[w->n].id, &info) == INDEX_E_NONE;
    index_close(ix);
    return gone;
}
static void wait_gone(struct place *p, int n)
{
    struct wanted w = {.p = p, .n = n};

    assert_true(rig_wait(&p->rig, gone_from_index, &w));
}

/* Killed again and again while it deletes: what is listed is what is there. */
static void killed_while_it_deletes(void **state)
{
    struct place *p = *state;

    start(p);
    footage(p, "cam", OLD);
    for (int i = 0; i < 6; i++) {
        rig_keep(&p->rig, "cam", clock_wall_us() - (p->s[i / 2].end_us + US_PER_S), 0);
        if (i % 2) wait_gone(p, i / 2);
        rig_kill(&p->rig, SIGKILL);
        start(p);
    }
    rig_keep(&p->rig, "cam", clock_wall_us() - (p->s[2].end_us + US_PER_S), 0);
    wait_files(p, "0001");
    wait_listed(p, "cam", 1);
}

/* --- by call --- */

static int ask(struct place *p, const char *cmd, usec_t from_us, usec_t to_us)
{
    char from[32], to[32];

    snprintf(from, sizeof(from), "%lld", (long long)from_us);
    snprintf(to, sizeof(to), "%lld", (long long)to_us);
    rig_question(&p->rig, cmd, "cam", from, to, NULL);
    return rig_answer(&p->rig);
}

/* "id=..." of the first row. */
static void lock_id(const struct place *p, char id[32])
{
    assert_int_equal(sscanf(p->rig.rows, "id=%31s", id), 1);
}

static void locked_seconds_stay(void **state)
{
    struct place *p = *state;
    char id[32];

    start(p);
    footage(p, "cam", OLD);
    assert_int_equal(ask(p, "archive lock", p->s[1].start_us + US_PER_S, p->s[1].end_us), CTL_OK);
    lock_id(p, id);
    assert_non_null(strstr(p->rig.text, "cam is not configured"));
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    wait_files(p, "0100");
    assert_int_equal(ask(p, "archive delete", OLD, OLD + 3600 * US_PER_S), CTL_OK);
    assert_string_equal(p->rig.rows, "uid=cam storage=a segments=0 bytes=0 locked=1 edges=0\n");
    assert_int_equal(rig_stop(&p->rig), 0);
    start(p); /* it is known in the next life */
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    rig_question(&p->rig, "archive locks", "cam", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 1);
    assert_non_null(strstr(p->rig.rows, "by=the test"));
    wait_listed(p, "cam", 1);
    rig_question(&p->rig, "archive unlock", "cam", "12345", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_NOT_FOUND);
    rig_question(&p->rig, "archive unlock", "cam", id, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    wait_files(p, "0000");
    rig_question(&p->rig, "archive locks", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 0);
}

static void deleted_by_call(void **state)
{
    struct place *p = *state;
    char want[200];

    start(p);
    footage(p, "cam", OLD);
    assert_int_equal(ask(p, "archive delete", p->s[2].end_us, p->s[2].start_us), CTL_USAGE);
    assert_int_equal(ask(p, "archive delete", p->s[0].end_us - 1, p->s[3].start_us), CTL_OK);
    snprintf(want, sizeof(want), "uid=cam storage=a segments=2 bytes=%llu locked=0 edges=1\n",
        (unsigned long long)(p->s[1].bytes + p->s[2].bytes));
    assert_string_equal(p->rig.rows, want);
    wait_files(p, "1001");
    wait_listed(p, "cam", 2);
}

/* Asked again and again: the keeper hears of segments by another socket than of questions. */
static void delete_in_the_end(struct place *p, int first, int last)
{
    usec_t late_us = clock_mono_us() + RIG_WAIT_US;

    while (segments_there(p->a, &p->s[first]) || segments_there(p->a, &p->s[last])) {
        assert_true(clock_mono_us() < late_us);
        if (ask(p, "archive delete", p->s[first].start_us, p->s[last].end_us) == CTL_FAILED)
            assert_non_null(strstr(p->rig.text, "ask again"));
    }
}

/* A segment that was closed a moment ago is not in the index before the next syncfs, in an hour. */
static void what_is_not_in_the_index_yet_goes_too(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;

    assert_true(rig_start(&p->rig));
    rig_storage(&p->rig, "a", p->a, "1", "", 3600 * US_PER_S);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
    w = rig_worker(&p->rig, "cam", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    for (int i = 0; i < N; i++) {
        segments_make(w->folder, "cam", OLD + i * 10 * US_PER_S, 2, &p->s[i]);
        rig_segment_closed(w, &p->s[i]);
    }
    assert_true(rig_heard(w)); /* its socket is not the master's: the call could overtake the last of them */
    delete_in_the_end(p, 1, 2);
    assert_true(rig_wait_stored(w, p->s[3].id));
    assert_true(segments_there(p->a, &p->s[0]) && segments_there(p->a, &p->s[3]));
}

static void what_would_be_deleted(void **state)
{
    struct place *p = *state;
    char want[300];

    start(p);
    footage(p, "cam", OLD);
    assert_int_equal(ask(p, "archive lock", p->s[0].start_us, p->s[0].end_us), CTL_OK);
    rig_keep(&p->rig, "other", US_PER_S, 0);
    rig_question(&p->rig, "archive plan", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_string_equal(p->rig.rows, "");
    /* A storage that may not delete yet says what it will: the second one keeps it waiting. */
    assert_int_equal(rig_stop(&p->rig), 0);
    assert_true(rig_start(&p->rig));
    rig_storage(&p->rig, "b", "/proc/nowhere", "1", "", SYNC_US);
    storage(p, "a", p->a);
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    rig_question(&p->rig, "archive plan", "cam", NULL);
    assert_true(rig_answer(&p->rig) >= 0);
    snprintf(want, sizeof(want), "uid=cam storage=a why=age segments=3 bytes=%llu from_s=%lld to_s=%lld\n",
        (unsigned long long)(p->s[1].bytes + p->s[2].bytes + p->s[3].bytes),
        (long long)(p->s[1].start_us / US_PER_S), (long long)(p->s[3].end_us / US_PER_S));
    assert_string_equal(p->rig.rows, want);
    wait_files(p, "1000"); /* and does it in the end */
}

/* A lock that was made while a storage was away holds there too, before anything is deleted. */
static void a_lock_finds_storages_that_come_back(void **state)
{
    struct place *p = *state;
    char away[200];

    start(p);
    footage(p, "cam", OLD);
    storage(p, "b", p->b);
    snprintf(away, sizeof(away), "%s.away", p->a);
    assert_int_equal(rename(p->a, away), 0);
    assert_true(rig_wait_state(&p->rig, "a", "missing"));
    (void)ask(p, "archive lock", p->s[0].start_us, p->s[0].end_us);
    assert_int_equal(rig_stop(&p->rig), 0);
    assert_int_equal(rename(away, p->a), 0);
    assert_true(rig_start(&p->rig));
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    rig_storage(&p->rig, "a", p->a, "1", "", SYNC_US);
    rig_storage(&p->rig, "b", p->b, "1", "", SYNC_US);
    wait_files(p, "1000");
    assert_int_equal(rig_stop(&p->rig), 0);
    start(p); /* alone: it has its own copy */
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    rig_question(&p->rig, "archive locks", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 1);
}

static bool is_ahead(void *arg)
{
    struct place *p = arg;

    return rig_store(&p->rig, "a")->ahead_s >= 3 * 86400 - 60;
}

/* What the storage knows is three days behind the clock: nothing is old before somebody says that it is
 * right. Capacity goes by no clock. */
static void a_clock_far_ahead_deletes_nothing(void **state)
{
    struct place *p = *state;
    char path[256], text[64];
    int fd;

    start(p);
    footage(p, "cam", clock_wall_us() - 3 * 86400 * US_PER_S - 60 * US_PER_S);
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(path, sizeof(path), "%s/.clock", p->a);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(text, sizeof(text), "%lld\n", (long long)(clock_wall_us() - 3 * 86400 * US_PER_S));
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    start(p);
    rig_keep(&p->rig, "cam", 86400 * US_PER_S, 0);
    rig_question(&p->rig, "archive plan", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_string_equal(p->rig.rows, "");
    rig_keep(&p->rig, "cam", 86400 * US_PER_S, p->s[1].bytes + p->s[2].bytes + p->s[3].bytes);
    wait_files(p, "0111");
    assert_true(rig_wait(&p->rig, is_ahead, p));
    rig_question(&p->rig, "storage clock", "b", NULL); /* another one */
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    rig_question(&p->rig, "archive plan", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_string_equal(p->rig.rows, "");
    rig_question(&p->rig, "storage clock", "a", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    wait_files(p, "0000");
}

/* No stamp: its newest footage is known. */
static void an_archive_that_was_away_is_not_deleted_at_once(void **state)
{
    struct place *p = *state;
    char path[256];

    start(p);
    footage(p, "cam", OLD);
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(path, sizeof(path), "%s/.clock", p->a);
    assert_int_equal(unlink(path), 0);
    start(p);
    rig_keep(&p->rig, "cam", 5 * US_PER_S, 0);
    wait_files(p, "0001"); /* by its own time */
    rig_question(&p->rig, "storage clock", "a", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    wait_files(p, "0000");
}

/* An index is built anew out of footage, which knows of no locks: there is a copy of them. */
static void locks_outlive_the_index(void **state)
{
    struct place *p = *state;
    char path[256], gone[32];

    start(p);
    footage(p, "cam", OLD);
    assert_int_equal(ask(p, "archive lock", p->s[0].start_us, p->s[0].end_us), CTL_OK);
    lock_id(p, gone);
    assert_int_equal(ask(p, "archive lock", p->s[2].start_us, p->s[2].end_us), CTL_OK);
    rig_question(&p->rig, "archive unlock", "cam", gone, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    rig_kill(&p->rig, SIGKILL);
    snprintf(path, sizeof(path), "%s/.index/data.mdb", p->a);
    assert_int_equal(truncate(path, 8192), 0); /* damaged */
    start(p);
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    wait_files(p, "0010");
    assert_int_equal(rig_stop(&p->rig), 0);
    assert_int_equal(unlink(path), 0); /* taken away */
    start(p);
    rig_keep(&p->rig, "cam", US_PER_S, 0);
    rig_question(&p->rig, "archive locks", "cam", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 1);
    lock_id(p, gone);
    assert_non_null(strstr(p->rig.rows, "by=the test"));
    rig_question(&p->rig, "archive unlock", "cam", gone, NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    wait_files(p, "0000"); /* it was found again, and goes now that it may */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(by_age),
        TEST(what_is_not_ours_stays),
        TEST(by_capacity),
        TEST(killed_between_index_and_file),
        TEST(killed_while_it_deletes),
        TEST(locked_seconds_stay),
        TEST(deleted_by_call),
        TEST(what_is_not_in_the_index_yet_goes_too),
        TEST(what_would_be_deleted),
        TEST(a_lock_finds_storages_that_come_back),
        TEST(locks_outlive_the_index),
        TEST(a_clock_far_ahead_deletes_nothing),
        TEST(an_archive_that_was_away_is_not_deleted_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
