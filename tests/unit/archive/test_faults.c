/* A disk that fails: each system call of writer, repair and keeper in turn, and files that may not grow at
 * every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "archive/repair.h"
#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/fail_syscall.h"
#include "tests/support/footage.h"
#include "tests/support/keeper_rig.h"
#include "tests/support/seg_place.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT 77 /* exit code: no seccomp here */

struct place {
    char dir[64], storage[128];
    int records;
    struct footage f;
    struct rig rig;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->storage, sizeof(p->storage), "%s/a", p->dir);
    assert_int_equal(mkdir(p->storage, 0750), 0);
    p->records = seg_place_records(p->storage);
    footage_make(&p->f, 3, 25, FOOTAGE_START_US);
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    rig_done(&p->rig);
    footage_done(&p->f);
    fd_close(&p->records);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

/* The life of a segment, as far as it goes. What is acknowledged is counted. 0 or the first error. */
static int live(const struct place *p, size_t *ret_samples, uint64_t *ret_id)
{
    struct segw_setup setup = {.uid = "cam-1", .tracks = &p->f.tracks, .first = p->f.f, .n_first = 10};
    struct seg_info info;
    struct segw *w;
    int err = segw_open(p->records, &setup, &w), closed;

    *ret_samples = 0;
    if (err) return err;
    *ret_id = segw_id(w);
    for (size_t at = 0, n; !err && at < p->f.n; at += n) {
        n = MIN(40, p->f.n - at);
        err = segw_append(w, p->f.f + at, n);
        if (!err) *ret_samples += n;
    }
    closed = segw_close(w, &info);
    return err ? err : closed;
}

/* In a process of its own, so that the call fails there only: exit code. */
static int live_apart(const struct place *p, long nr, int err_wanted)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        size_t samples;
        uint64_t id;
        int err;

        if (!fail_syscall(nr, err_wanted)) _exit(CANNOT);
        err = live(p, &samples, &id);
        _exit(err == -err_wanted ? 0 : err == 0 ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void every_call_of_the_writer_may_fail(void **state)
{
    static const struct {
        long nr;
        int err;
        bool harmless; /* nothing needs it here */
    } calls[] = {
        {SYS_openat, EIO, false},
        {SYS_openat, ENOSPC, false},
        {SYS_openat, EMFILE, false},
        {SYS_mkdirat, EROFS, false},
        {SYS_pwritev, EIO, false},
        {SYS_pwritev, ENOSPC, false},
        {SYS_pwritev, EDQUOT, false},
        {SYS_ftruncate, EIO, true},
        {SYS_unlinkat, EIO, true},
        {SYS_close, EIO, true},
    };
    struct place *p = *state;

    for (size_t i = 0; i < ARRAY_N(calls); i++) {
        int code = live_apart(p, calls[i].nr, calls[i].err);
        char path[256];

        if (code == CANNOT) {
            print_message("skipped: no seccomp filters here\n");
            skip();
        }
        if (code != (calls[i].harmless ? 1 : 0))
            fail_msg("call %ld, error %d: exit code %d", calls[i].nr, calls[i].err, code);
        snprintf(path, sizeof(path), "%s/cam-1/records/2023", p->storage);
        tool_rmdir(path);
    }
}

/* What was acknowledged before a write failed is in the file, whatever its length was then. */
static void files_that_may_not_grow(void **state)
{
    struct place *p = *state;
    struct rlimit was, small;
    size_t whole, kept = 0;
    uint64_t id;

    assert_int_equal(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    for (rlim_t most = 200; most < 200000; most += most < 2000 ? 100 : 3571) {
        struct seg_info info;
        int err;

        small = (struct rlimit){.rlim_cur = most, .rlim_max = was.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        id = 0;
        err = live(p, &whole, &id);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        if (id == 0) {
            assert_int_equal(err, -EFBIG);
            continue;
        }
        if (err) {
            err = repair_segment(p->records, "cam-1", id, NULL, &info);
            assert_int_equal(err, whole > 0 ? REPAIR_OK : -ENOENT); /* an empty one has been removed */
            if (!err) assert_int_equal(info.samples, whole);
        }
        if (!err) {
            assert_int_equal(repair_look(p->records, "cam-1", id, &info), SEG_OK);
            assert_true(info.samples >= kept);
            kept = info.samples;
        }
    }
    assert_int_equal(kept, p->f.n); /* the last of them were long enough */
}

/* --- the keeper --- */

static bool beats(void *arg)
{
    return ((struct rig *)arg)->beats >= 1;
}

static struct rig_worker *ask(struct place *p)
{
    struct rig_worker *w = rig_worker(&p->rig, "cam-1", "a");

    rig_ask(w);
    return w;
}

static void record(struct place *p, struct rig_worker *w, uint64_t *ret_id)
{
    struct seg_info info = {.uid = "cam-1"};
    size_t n;

    assert_int_equal(live(p, &n, ret_id), 0);
    info.id = *ret_id;
    rig_segment_closed(w, &info);
}

/* While a call fails the keeper lives, and says nothing is stored that is not; afterwards all is stored. */
static void keeper_outlives_a_failing_call(struct place *p, long nr, int err, bool stores)
{
    struct rig_worker *w;
    uint64_t id;

    p->rig.fail_nr = nr;
    p->rig.fail_err = err;
    assert_true(rig_start(&p->rig));
    rig_storage(&p->rig, "a", p->storage, "", "", 200 * US_PER_MS);
    w = ask(p);
    record(p, w, &id);
    assert_true(rig_wait(&p->rig, beats, &p->rig));
    assert_false(p->rig.closed);
    if (!stores) assert_int_equal(w->n_stored, 0);
    rig_kill(&p->rig, SIGKILL);

    p->rig.fail_nr = 0;
    assert_true(rig_start(&p->rig));
    rig_storage(&p->rig, "a", p->storage, "", "", 200 * US_PER_MS);
    w = ask(p);
    assert_true(rig_wait_archive(w, "ok"));
    record(p, w, &id);
    assert_true(rig_wait_stored(w, id));
    rig_kill(&p->rig, SIGKILL);
}

static void every_call_of_the_keeper_may_fail(void **state)
{
    static const struct {
        long nr;
        int err;
        bool stores;
    } calls[] = {
        {SYS_syncfs, EIO, false},
        {SYS_fdatasync, EIO, false},
        {SYS_pwrite64, ENOSPC, false},
        {SYS_fsync, EIO, false},
        {SYS_fallocate, ENOSPC, false},
        {SYS_fstatfs, EIO, false},
        {SYS_mkdirat, EROFS, true},
        {SYS_renameat, EIO, true},
        {SYS_fchmod, EPERM, true},
        {SYS_fchown, EPERM, true},
        {SYS_getdents64, EIO, true},
    };
    struct place *p = *state;

    if (!rig_start(&p->rig)) {
        print_message("skipped: no ms-keeper beside this test\n");
        skip();
    }
    rig_kill(&p->rig, SIGKILL);
    for (size_t i = 0; i < ARRAY_N(calls); i++) {
        char path[256];

        keeper_outlives_a_failing_call(p, calls[i].nr, calls[i].err, calls[i].stores);
        snprintf(path, sizeof(path), "%s/.index", p->storage);
        tool_rmdir(path);
        snprintf(path, sizeof(path), "%s/.media-server", p->storage);
        unlink(path);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_of_the_writer_may_fail),
        TEST(files_that_may_not_grow),
        TEST(every_call_of_the_keeper_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
