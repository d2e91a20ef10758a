#include "archive/indexer.h"
#include "archive/reader.h"
#include "archive/repair.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER_MODE 02750
#define FLAG_CLEAN  "clean"
#define FLAG_SCAN   "scan"
#define DATA_FILE   "data.mdb"
#define WALK_MOST   500 /* records a second: half a megabyte of the disk, and 2 million an hour */

/* Exit codes of the check. */
enum { CHECK_GOOD = 0, CHECK_DAMAGED = 1, CHECK_FAILED = 2 };

void indexer_init(struct indexer *x)
{
    *x = (struct indexer){.dir_fd = -1, .checker_fd = -1};
}

static bool flag(const struct indexer *x, const char *name)
{
    return faccessat(x->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Durable before what it speaks of happens. */
static int flag_set(const struct indexer *x, const char *name, bool on)
{
    CLEANUP(fd_close) int fd = -1;

    if (on) {
        fd = openat(x->dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (fd < 0) return -errno;
    } else if (unlinkat(x->dir_fd, name, 0) < 0 && errno != ENOENT) {
        return -errno;
    }
    return fsync(x->dir_fd) < 0 ? -errno : 0;
}

static int open_folder(struct indexer *x, const char *dir)
{
    if (!span_copy(span_of(dir), x->dir, sizeof(x->dir))) return -ENAMETOOLONG;
    if (mkdir(dir, FOLDER_MODE) < 0 && errno != EEXIST) return -errno;
    x->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (x->dir_fd < 0) return -errno;
    if (fchmod(x->dir_fd, FOLDER_MODE) < 0 && errno != EPERM) return -errno;
    return 0;
}

/* An empty file is what a first start on a full disk leaves. */
static bool has_data(const struct indexer *x)
{
    struct stat st;

    return fstatat(x->dir_fd, DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

/* Opens what has been found good, or is not there yet. A scan that did not come to its end, last time, has to
 * look at all. */
static int open_index(struct indexer *x)
{
    bool all = !has_data(x) || flag(x, FLAG_SCAN);
    int err = flag_set(x, FLAG_SCAN, true);

    if (!err) err = flag_set(x, FLAG_CLEAN, false);
    if (!err) err = index_open(x->dir, &x->ix);
    if (err == INDEX_E_DAMAGED) return indexer_start_over(x);
    x->rebuild = all;
    x->scan_due = !err;
    return err;
}

static int start_check(struct indexer *x)
{
    char arg0[] = "ms-keeper", arg1[] = "--check-index";
    char *argv[] = {arg0, arg1, x->dir, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none;
    int err;

    /* Nothing of ours goes there but the log: all descriptors are close-on-exec. */
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    err = posix_spawn(&x->checker, "/proc/self/exe", &fa, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
    if (err) {
        x->checker = 0;
        return -err;
    }
    x->checker_fd = pidfd_open(x->checker, 0);
    x->deadline_us = clock_mono_us() + INDEXER_CHECK_US;
    return 0;
}

int indexer_begin(struct indexer *x, const char *dir)
{
    int err;

    indexer_close(x, false);
    err = open_folder(x, dir);
    if (err) return err;
    if (!has_data(x) || flag(x, FLAG_CLEAN)) return open_index(x);
    return start_check(x);
}

/* How the check ended: INDEX_OK, INDEX_E_DAMAGED, or -EIO, it could not be made; false: it runs. A crash is
 * damage, but not a kill: that is the machine's lack of memory. */
static bool checked(struct indexer *x, usec_t now_us, int *ret)
{
    int status = 0;
    pid_t pid = waitpid(x->checker, &status, WNOHANG);
    bool late = pid == 0 && now_us >= x->deadline_us;

    if (pid == 0 && !late) return false;
    if (late) {
        kill(x->checker, SIGKILL);
        waitpid(x->checker, &status, 0);
    }
    if (!late && WIFEXITED(status) && WEXITSTATUS(status) == CHECK_GOOD)
        *ret = INDEX_OK;
    else if (late || (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) ||
        WEXITSTATUS(status) == CHECK_DAMAGED)
        *ret = INDEX_E_DAMAGED;
    else
        *ret = -EIO;
    if (*ret) log_warn("index-check", "dir=%s status=%d late=%d", log_q(span_of(x->dir)), status, late);
    x->checker = 0;
    fd_close(&x->checker_fd);
    return true;
}

bool indexer_step(struct indexer *x, usec_t now_us, int *ret_err)
{
    int verdict;

    *ret_err = 0;
    if (x->ix || x->checker == 0 || !checked(x, now_us, &verdict)) return false;
    if (verdict < 0)
        *ret_err = verdict;
    else
        *ret_err = verdict == INDEX_OK ? open_index(x) : indexer_start_over(x);
    return x->ix != NULL;
}

/* What the file says of itself; 1: nothing. */
static int read_file(const struct storage *s, const struct index_flaw *f, struct seg_info *ret)
{
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(s, f->uid, &records);

    if (!err) err = repair_look(records, f->uid, f->number, ret);
    return err == -ENOENT || err > 0 ? 1 : err;
}

static int mend(struct indexer *x, const struct storage *s, const struct index_flaw *f)
{
    static const char *const words[INDEX_TABLES] = {"segment", "range", "total", "trash", "lock", "event"};
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    bool segment = f->table == INDEX_SEGMENTS;
    int gone = segment ? read_file(s, f, info) : f->table > INDEX_TOTALS, err;
    uint32_t held;

    if (gone < 0) return INDEX_OK; /* the disk says no: the walk comes by again */
    err = index_mend(x->ix, f, gone || !segment ? NULL : info);
    if (!err && log_limited(&x->mended, clock_mono_us(), &held))
        log_event_of(LOG_WARN, f->uid, "index-mended", "dir=%s what=%s number=%llx action=%s held=%u",
            log_q(span_of(x->dir)), words[f->table], (unsigned long long)f->number,
            gone ? "dropped" : "\"read anew\"", held);
    return err;
}

int indexer_mend(struct indexer *x, const struct storage *s)
{
    struct index_flaw f;
    int err = index_walk(x->ix, &x->walk, WALK_MOST, &f);

    return err == INDEX_E_DAMAGED && f.uid[0] ? mend(x, s, &f) : err;
}

/* Kept beside, for whoever wants to know what happened to it; one is enough. */
static int set_aside(const struct indexer *x)
{
    if (renameat(x->dir_fd, DATA_FILE, x->dir_fd, DATA_FILE ".damaged") < 0 && errno != ENOENT) return -errno;
    if (unlinkat(x->dir_fd, "lock.mdb", 0) < 0 && errno != ENOENT) return -errno;
    return 0;
}

int indexer_start_over(struct indexer *x)
{
    int err;

    index_close(x->ix);
    x->ix = NULL;
    x->walk = (struct index_walk){0};
    log_error(
        "index-damaged", "dir=%s action=\"set aside, built anew from the segments\"", log_q(span_of(x->dir)));
    err = flag_set(x, FLAG_SCAN, true);
    if (!err) err = set_aside(x);
    if (!err) err = index_open(x->dir, &x->ix);
    if (err > 0) err = -EIO;
    x->rebuild = true;
    x->scan_due = !err;
    return err;
}

void indexer_scanned(struct indexer *x)
{
    int err;

    if (!x->scan_due) return;
    err = flag_set(x, FLAG_SCAN, false);
    if (err) log_warn("index-flag", "dir=%s err=%s", log_q(span_of(x->dir)), log_q(span_of(err_text(err))));
    x->rebuild = x->scan_due = false;
}

void indexer_close(struct indexer *x, bool clean)
{
    if (x->checker > 0) {
        kill(x->checker, SIGKILL);
        waitpid(x->checker, NULL, 0);
        x->checker = 0;
        fd_close(&x->checker_fd);
    }
    if (x->ix) {
        index_close(x->ix);
        x->ix = NULL;
        if (clean) (void)flag_set(x, FLAG_CLEAN, true); /* without it the next start checks */
    }
    fd_close(&x->dir_fd);
    x->rebuild = x->scan_due = false;
}

int indexer_check_main(const char *dir)
{
    uint64_t n;
    int err = index_check(dir, &n);

    return err == INDEX_OK                         ? CHECK_GOOD
        : err == INDEX_E_DAMAGED || err == -ENOENT ? CHECK_DAMAGED
                                                   : CHECK_FAILED;
}
