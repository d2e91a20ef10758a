#include "archive/indexer.h"
#include "archive/reader.h"
#include "archive/repair.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 02750
#define FLAG_CLEAN  "clean"
#define FLAG_SCAN   "scan"
#define DATA_FILE   "data.mdb"
#define WALK_MOST   500 /* records a second: half a megabyte of the disk, and 2 million an hour */
#define HURRY_US    (100 * US_PER_MS) /* of a second, when damaged records are known to be there */

void indexer_init(struct indexer *x)
{
    *x = (struct indexer){.dir_fd = -1};
    checker_init(&x->checker);
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

int indexer_begin(struct indexer *x, const char *dir)
{
    int err;

    indexer_close(x, false);
    err = open_folder(x, dir);
    if (err) return err;
    if (flag(x, INDEX_CRASHED)) return indexer_start_over(x);
    if (!has_data(x) || flag(x, FLAG_CLEAN)) return open_index(x);
    return checker_start(&x->checker, CHECKER_NEWEST, x->dir, INDEXER_CHECK_US);
}

/* It has been opened after an unclean stop. */
static void walk_all(struct indexer *x)
{
    int err = checker_start(&x->checker, CHECKER_ALL, x->dir, INDEXER_WALK_US);

    if (err) log_warn("index-check", "dir=%s err=%s", log_q(span_of(x->dir)), log_q(span_of(err_text(err))));
    x->walk_due = true;
}

/* All that could be said of it before it was opened. */
static int newest_checked(struct indexer *x, enum checker_verdict v)
{
    int err;

    if (v == CHECKER_FAILED) return -EIO;
    if (v != CHECKER_GOOD) return indexer_start_over(x);
    err = open_index(x);
    if (!err && !x->rebuild) walk_all(x);
    return err;
}

/* Of the index that is in use. */
static int all_checked(struct indexer *x, enum checker_verdict v)
{
    int dead;

    (void)index_clear_dead(x->ix, &dead);
    if (v == CHECKER_DAMAGED) return indexer_start_over(x);
    x->hurry = v == CHECKER_FLAWED;
    x->walk_due = v == CHECKER_FAILED || v == CHECKER_LATE;
    if (x->hurry) x->walk = (struct index_walk){0};
    return 0;
}

void indexer_suspect(struct indexer *x, usec_t now_us)
{
    x->suspect = x->ix != NULL;
    if (!x->ix || x->checker.pid > 0 || (x->suspect_us > 0 && now_us - x->suspect_us < INDEXER_SUSPECT_US))
        return;
    x->suspect_us = now_us;
    log_warn("index-suspect", "dir=%s", log_q(span_of(x->dir)));
    walk_all(x);
}

bool indexer_cleared(struct indexer *x)
{
    bool was = x->suspect && x->checker.pid == 0;

    if (was) x->suspect = false;
    return was;
}

bool indexer_step(struct indexer *x, usec_t now_us, int *ret_err)
{
    const struct index *before = x->ix;
    static const char *const texts[] = {
        [CHECKER_GOOD] = "good",
        [CHECKER_FLAWED] = "records",
        [CHECKER_DAMAGED] = "damaged",
        [CHECKER_FAILED] = "failed",
        [CHECKER_LATE] = "late",
    };
    enum checker_verdict v;

    *ret_err = 0;
    if (!checker_ended(&x->checker, now_us, &v)) return false;
    log_event(v == CHECKER_GOOD ? LOG_INFO : LOG_WARN, "index-check", "dir=%s of=%s verdict=%s",
        log_q(span_of(x->dir)), before ? "all" : "newest", texts[v]);
    *ret_err = before ? all_checked(x, v) : newest_checked(x, v);
    return x->ix && x->ix != before;
}

/* What the file says of itself; 1: nothing. */
static int read_file(const struct storage *s, const struct index_flaw *f, struct seg_info *ret)
{
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(s, f->uid, &records);

    if (!err) err = repair_look(records, f->uid, f->number, ret);
    return err == -ENOENT || err > 0 ? 1 : err;
}

/* 0, or of read_file: the disk says no, and nothing has been done. *ret: of the index. */
static int mend(struct indexer *x, const struct storage *s, const struct index_flaw *f, int *ret)
{
    static const char *const words[INDEX_TABLES] = {"segment", "range", "total", "trash", "lock", "event"};
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    bool segment = f->table == INDEX_SEGMENTS;
    int gone = segment ? read_file(s, f, info) : f->table > INDEX_TOTALS;
    uint32_t held;

    if (gone < 0) return gone;
    if (f->table == INDEX_EVENTS && x->events != INDEXER_EVENTS_RESTORED) {
        x->events = INDEXER_EVENTS_WANTED;
        return 0;
    }
    *ret = index_mend(x->ix, f, gone || !segment ? NULL : info);
    if (!*ret && log_limited(&x->mended, clock_mono_us(), &held))
        log_event_of(LOG_WARN, f->uid, "index-mended", "dir=%s what=%s number=%llx action=%s held=%u",
            log_q(span_of(x->dir)), words[f->table], (unsigned long long)f->number,
            gone ? "dropped" : "\"read anew\"", held);
    return 0;
}

int indexer_reread(struct indexer *x, const struct storage *s, const char *uid, uint64_t id, int *ret_disk)
{
    struct index_flaw f = {.table = id ? INDEX_SEGMENTS : INDEX_RANGES, .number = id};
    int err = INDEX_OK;

    *ret_disk = 0;
    if (index_is_trash(x->ix, uid, id) || !span_copy(span_of(uid), f.uid, sizeof(f.uid))) return INDEX_OK;
    *ret_disk = mend(x, s, &f, &err);
    return err == INDEX_E_NONE ? INDEX_OK : err;
}

static int mend_some(struct indexer *x, const struct storage *s)
{
    struct index_flaw f;
    int err = index_walk(x->ix, &x->walk, WALK_MOST, &f);

    if (err != INDEX_E_DAMAGED || !f.uid[0]) return err;
    err = INDEX_OK;
    (void)mend(x, s, &f, &err); /* where the disk says no, the walk comes by again */
    return err;
}

void indexer_events_restored(struct indexer *x, bool all)
{
    if (x->events != INDEXER_EVENTS_WANTED) return;
    x->events = all ? INDEXER_EVENTS_RESTORED : INDEXER_EVENTS_GOOD; /* the walk comes by again */
    if (!all) return;
    x->walk = (struct index_walk){.table = INDEX_EVENTS, .segments = x->walk.segments};
}

int indexer_mend(struct indexer *x, const struct storage *s)
{
    usec_t until_us = clock_mono_us() + HURRY_US;
    int err;

    do {
        err = mend_some(x, s);
        if (x->walk.table == INDEX_SEGMENTS && x->walk.n == 0) { /* once round */
            x->hurry = false;
            if (x->events == INDEXER_EVENTS_RESTORED) x->events = INDEXER_EVENTS_GOOD;
        }
    } while (!err && x->hurry && clock_mono_us() < until_us);
    return err;
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

    checker_stop(&x->checker);
    index_close(x->ix);
    x->ix = NULL;
    x->walk = (struct index_walk){0};
    x->walk_due = x->hurry = x->suspect = false;
    x->events = INDEXER_EVENTS_GOOD;
    log_error(
        "index-damaged", "dir=%s action=\"set aside, built anew from the segments\"", log_q(span_of(x->dir)));
    err = flag_set(x, FLAG_SCAN, true);
    if (!err) err = set_aside(x);
    if (!err) err = flag_set(x, INDEX_CRASHED, false);
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
    checker_stop(&x->checker);
    if (x->ix) {
        index_close(x->ix);
        x->ix = NULL;
        if (clean && !x->walk_due) (void)flag_set(x, FLAG_CLEAN, true); /* without it the next start checks */
    }
    fd_close(&x->dir_fd);
    x->rebuild = x->scan_due = x->walk_due = x->hurry = x->suspect = false;
    x->events = INDEXER_EVENTS_GOOD;
}
