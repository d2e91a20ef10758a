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
    assert_int_not_equal(access(path, F_OK), 0);
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(by_age),
        TEST(what_is_not_ours_stays),
        TEST(by_capacity),
        TEST(killed_between_index_and_file),
        TEST(killed_while_it_deletes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
