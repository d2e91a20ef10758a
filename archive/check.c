#include "archive/check.h"
#include "archive/reader.h"
#include "archive/repair.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PAGE    256 /* segments asked of the index at a time */
#define DAY_LEN 11  /* "2026/11/22" */

/* Where the check stands in a stream's folders. */
struct stand {
    struct check *c;
    const char *uid;
    int records_fd, day_fd; /* -1: there is none */
    char day[DAY_LEN];
};

const char *check_fault_name(enum check_fault f)
{
    static const char *const names[CHECK_FAULTS] = {
        [CHECK_MISSING] = "missing",
        [CHECK_SIZE] = "size",
        [CHECK_SUM] = "checksum",
        [CHECK_UNREAD] = "unread",
    };

    return names[f];
}

static void alive(void *arg)
{
    struct check *c = arg;

    c->alive(c->arg, c->done, c->all);
}

/* 0 or -errno: of the day's folder, and whatever leads to it. */
static int enter_day(struct stand *s, const char *path)
{
    if (s->records_fd < 0) return -ENOENT;
    if (s->day_fd >= 0 && memcmp(s->day, path, DAY_LEN - 1) == 0) return 0;
    fd_close(&s->day_fd);
    memcpy(s->day, path, DAY_LEN - 1);
    return storage_day(s->records_fd, s->day, &s->day_fd);
}

/* false: it is as the index says. */
static bool look(struct stand *s, const struct seg_info *info, enum check_fault *f, uint64_t *bytes, int *err)
{
    const struct segproof_watch watch = {alive, s->c};
    struct stat st;
    int rc = enter_day(s, info->path);

    *bytes = 0;
    if (rc == 0 && fstatat(s->day_fd, info->path + DAY_LEN, &st, AT_SYMLINK_NOFOLLOW) < 0) rc = -errno;
    if (rc == 0 && !S_ISREG(st.st_mode)) rc = -ENOENT;
    *err = -rc;
    if (rc) {
        *f = rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP ? CHECK_MISSING : CHECK_UNREAD;
        return true;
    }
    *bytes = (uint64_t)st.st_size;
    *f = CHECK_SIZE;
    if (*bytes != info->bytes) return true;
    if (!s->c->sum) return false;
    rc = repair_verify(s->records_fd, info, &watch);
    *err = rc < 0 ? -rc : 0;
    *f = rc < 0 ? CHECK_UNREAD : CHECK_SUM;
    return rc != SEG_OK;
}

/* What looks wrong is looked at again by what the index says now: it may have been deleted, or written
 * anew. */
static void check_one(struct stand *s, const struct seg_info *info)
{
    struct check *c = s->c;
    enum check_fault f;
    uint64_t bytes;
    int err;

    if (look(s, info, &f, &bytes, &err)) {
        CLEANUP(mem_freep) struct seg_info *now = NEW(struct seg_info);

        fd_close(&s->day_fd);
        if (index_get(c->ix, info->uid, info->id, now) == INDEX_OK && look(s, now, &f, &bytes, &err)) {
            c->faults++;
            c->found(c->arg, f, now, bytes, err);
        }
    }
    c->done++;
    alive(c);
}

static int check_stream(struct check *c, const char *uid, struct seg_info *page)
{
    struct stand s = {.c = c, .uid = uid, .records_fd = -1, .day_fd = -1};
    struct index_query q = {.uid = uid, .to_us = INT64_MAX};
    int err = storage_records_ro(c->storage, uid, &s.records_fd), worst = INDEX_OK;
    size_t n = 1;

    if (err && err != -ENOENT && err != -ENOTDIR && err != -ELOOP) return err;
    while (n > 0) {
        err = index_segments(c->ix, &q, page, PAGE, &n);
        if (err < 0) break;
        worst = MAX(worst, err);
        for (size_t i = 0; i < n; i++) check_one(&s, &page[i]);
        if (n > 0) q.after_id = page[n - 1].id;
    }
    fd_close(&s.day_fd);
    fd_close(&s.records_fd);
    return err < 0 ? err : worst;
}

/* Of all streams: what `done` goes up to. */
static int count(struct check *c)
{
    struct index_total t = {0};
    size_t n = 1;
    int err = INDEX_OK;

    while (err >= 0 && n > 0) {
        err = index_totals(c->ix, t.uid, &t, 1, &n);
        if (n > 0) c->all += t.segments;
    }
    return err < 0 ? err : INDEX_OK;
}

int check_run(struct check *c)
{
    struct seg_info *page = mem_new_n(PAGE, sizeof(*page));
    struct index_total t = {0};
    int err = count(c), worst = INDEX_OK;
    size_t n = 1;

    while (err >= 0 && n > 0) {
        err = index_totals(c->ix, t.uid, &t, 1, &n);
        worst = MAX(worst, err);
        if (err >= 0 && n > 0) err = check_stream(c, t.uid, page);
        worst = MAX(worst, err);
    }
    mem_free(page);
    return err < 0 ? err : worst;
}
