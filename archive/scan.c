#include "archive/scan.h"
#include "archive/reader.h"
#include "archive/repair.h"
#include "archive/segment.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS_MAX 100000 /* folders a stream, and segments a day */
#define DAY_LEN  11     /* "2026/11/22" */

struct wanted {
    struct list link;
    char uid[40];
};

struct scan {
    const struct storage *storage;
    const struct scan_ops *ops;
    void *arg;
    struct list queue;
    /* the folder that is being looked at */
    char uid[40]; /* "": none */
    int records_fd;
    char (*days)[DAY_LEN]; /* newest first */
    size_t n_days, day;
    uint64_t *ids; /* of the day, newest first */
    size_t n_ids, id;
    uint64_t newest; /* of all segments there */
    unsigned left;   /* SCAN_* */
};

struct scan *scan_new(const struct storage *s, const struct scan_ops *ops, void *arg)
{
    struct scan *c = NEW(struct scan);

    c->storage = s;
    c->ops = ops;
    c->arg = arg;
    c->records_fd = -1;
    list_init(&c->queue);
    return c;
}

static void leave(struct scan *c)
{
    fd_close(&c->records_fd);
    mem_free(c->days);
    mem_free(c->ids);
    c->days = NULL;
    c->ids = NULL;
    c->n_days = c->day = c->n_ids = c->id = 0;
    c->uid[0] = 0;
    c->newest = 0;
    c->left = 0;
}

void scan_free(struct scan *c)
{
    if (!c) return;
    leave(c);
    LIST_EACH(&c->queue, link) mem_free(LIST_ITEM(link, struct wanted, link));
    mem_free(c);
}

void scan_uid(struct scan *c, const char *uid)
{
    struct wanted *w;

    LIST_EACH(&c->queue, link)
    if (strcmp(LIST_ITEM(link, struct wanted, link)->uid, uid) == 0) return;
    w = NEW(struct wanted);
    if (!span_copy(span_of(uid), w->uid, sizeof(w->uid)) || !seg_uid_ok(uid)) {
        mem_free(w);
        return;
    }
    list_push(&c->queue, &w->link);
}

/* Names of a folder that are all digits, so many of them, or every name with digits 0. */
static int each_name(int fd, bool (*fn)(void *arg, const char *name), void *arg)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = own >= 0 ? fdopendir(own) : NULL;

    if (!d) {
        int err = -errno;

        fd_close(&own);
        return err;
    }
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.' && !fn(arg, e->d_name)) break;
    closedir(d);
    return 0;
}

static bool want_folder(void *arg, const char *name)
{
    struct scan *c = arg;
    int fd;

    if (storage_records_ro(c->storage, name, &fd) == 0) {
        scan_uid(c, name);
        close(fd);
    }
    return true;
}

int scan_all(struct scan *c)
{
    return c->storage->fd < 0 ? -ENOENT : each_name(c->storage->fd, want_folder, c);
}

/* --- days of a stream --- */

struct day_walk {
    struct scan *c;
    int fd; /* of the folder whose names are listed */
    char path[DAY_LEN];
    int depth; /* 0: years, 1: months, 2: days */
    const char *from;
};

static bool digits(const char *s, size_t n)
{
    uint64_t v;

    return strlen(s) == n && span_u64(span_of(s), 9999, &v);
}

static void add_day(struct scan *c, const char *day)
{
    if (c->n_days == DAYS_MAX) return;
    if ((c->n_days & (c->n_days - 1)) == 0)
        c->days = mem_renew(c->days, MAX(c->n_days * 2, 16) * sizeof(*c->days));
    memcpy(c->days[c->n_days++], day, DAY_LEN);
}

static bool one_date(void *arg, const char *name)
{
    struct day_walk *w = arg, below = *w;
    struct wr path = wr_of(below.path, sizeof(below.path));

    if (!digits(name, w->depth == 0 ? 4 : 2)) return true;
    wr_fmt(&path, "%s%s%s", w->path, w->depth ? "/" : "", name);
    /* "2026" stands before "2026/11/22": only folders that end before the first day are left out */
    if (strncmp(below.path, w->from, path.n) < 0) return true;
    if (w->depth == 2) {
        add_day(w->c, below.path);
        return true;
    }
    below.depth++;
    below.fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (below.fd < 0) return true;
    if (each_name(below.fd, one_date, &below) < 0) w->c->left |= SCAN_FAILED;
    close(below.fd);
    return true;
}

static int newest_day_first(const void *a, const void *b)
{
    return strcmp(b, a);
}

static void list_days(struct scan *c)
{
    usec_t newest = c->ops->newest(c->arg, c->uid);
    struct day_walk w = {.c = c, .fd = c->records_fd};
    char from[SEG_PATH_MAX];

    seg_path_of((uint64_t)(MAX(newest - SCAN_RECENT_US, 0) / US_PER_MS) << 8, from);
    from[DAY_LEN - 1] = 0;
    w.from = from;
    if (each_name(c->records_fd, one_date, &w) < 0) c->left |= SCAN_FAILED;
    if (c->n_days > 0) qsort(c->days, c->n_days, sizeof(*c->days), newest_day_first);
}

static bool enter(struct scan *c)
{
    struct wanted *w;
    int err;

    if (list_empty(&c->queue)) return false;
    w = LIST_ITEM(c->queue.next, struct wanted, link);
    list_remove(&w->link);
    memcpy(c->uid, w->uid, sizeof(c->uid));
    mem_free(w);
    err = storage_records_ro(c->storage, c->uid, &c->records_fd);
    if (err == 0) {
        list_days(c);
    } else {
        c->left = err == -ENOENT ? 0 : SCAN_FAILED;
    }
    return true;
}

/* --- segments of a day --- */

static bool one_file(void *arg, const char *name)
{
    struct scan *c = arg;
    char path[2 * SEG_PATH_MAX];
    uint64_t id;

    if (snprintf(path, sizeof(path), "%s/%s", c->days[c->day], name) >= (int)sizeof(path)) return true;
    if (!seg_path_parse(path, &id) || c->n_ids == DAYS_MAX) return true;
    if ((c->n_ids & (c->n_ids - 1)) == 0) c->ids = mem_renew(c->ids, MAX(c->n_ids * 2, 16) * sizeof(*c->ids));
    c->ids[c->n_ids++] = id;
    return true;
}

static int newest_id_first(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x > *y ? -1 : *x < *y;
}

static void list_day(struct scan *c)
{
    CLEANUP(fd_close) int fd = -1;

    c->n_ids = c->id = 0;
    if (storage_day(c->records_fd, c->days[c->day], &fd) < 0 || each_name(fd, one_file, c) < 0)
        c->left |= SCAN_FAILED;
    if (c->n_ids > 0) {
        qsort(c->ids, c->n_ids, sizeof(*c->ids), newest_id_first);
        c->newest = MAX(c->newest, c->ids[0]);
    }
    c->day++;
}

/* --- one segment --- */

/* Takes the folder's lock as far as there is one: a worker makes it before it writes. *ret_fd -1: nobody has
 * ever. */
static int try_lock(int records_fd, int *ret_fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(records_fd, SEG_LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    *ret_fd = -1;
    if (fd < 0) return errno == ENOENT ? SEGW_OK : -errno;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        int err = errno;

        close(fd);
        return err == EAGAIN || err == EACCES ? SEGW_E_LOCKED : -err;
    }
    *ret_fd = fd;
    return SEGW_OK;
}

/* Its folder is locked: has the writer gone on to another segment? */
static bool abandoned(const struct scan *c, uint64_t id)
{
    CLEANUP(fd_close) int fd = -1;
    char path[SEG_PATH_MAX];
    struct stat st;

    if (id == c->newest) return false;
    seg_path_of(id, path);
    path[DAY_LEN - 1] = 0;
    if (storage_day(c->records_fd, path, &fd) < 0 ||
        fstatat(fd, path + DAY_LEN, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return clock_wall_us() - (usec_t)st.st_mtim.tv_sec * US_PER_S > SCAN_SETTLE_US;
}

static void repair(struct scan *c, uint64_t id, struct seg_info *info)
{
    const struct segproof_watch watch = {c->ops->alive, c->arg};
    CLEANUP(fd_close) int lock_fd = -1;
    int err = try_lock(c->records_fd, &lock_fd);

    if (err < 0 || (err == SEGW_E_LOCKED && !abandoned(c, id))) {
        c->left |= err < 0 ? SCAN_FAILED : SCAN_BUSY;
        return;
    }
    if (!c->ops->may_repair(c->arg, c->uid)) {
        c->left |= SCAN_FAILED;
        return;
    }
    err = repair_segment(c->records_fd, c->uid, id, &watch, info);
    if (err == -ENOENT) return;
    if (err < 0) {
        c->left |= SCAN_FAILED;
        c->ops->unrepaired(c->arg, c->uid, err);
        return;
    }
    log_event_of(LOG_NOTE, c->uid, "segment-repaired", "id=%llx result=%d samples=%u", (unsigned long long)id,
        err, err ? 0 : info->samples);
    if (err == REPAIR_OK) c->ops->found(c->arg, info);
}

static void one_segment(struct scan *c, uint64_t id)
{
    CLEANUP(mem_freep) struct seg_info *info = NULL;
    int err;

    if (c->ops->known(c->arg, c->uid, id) || c->ops->writing(c->arg, c->uid, id)) return;
    info = NEW(struct seg_info);
    err = repair_look(c->records_fd, c->uid, id, info);
    if (err == SEG_OK)
        c->ops->found(c->arg, info);
    else if (err == SEG_E_NO_FOOTER || err == SEG_E_BAD)
        repair(c, id, info);
    else if (err != -ENOENT)
        c->left |= SCAN_FAILED;
}

bool scan_step(struct scan *c)
{
    if (!c->uid[0]) return enter(c);
    if (c->id < c->n_ids) {
        one_segment(c, c->ids[c->id++]);
    } else if (c->day < c->n_days) {
        list_day(c);
    } else {
        char uid[sizeof(c->uid)];
        unsigned left = c->left;

        memcpy(uid, c->uid, sizeof(uid));
        leave(c);
        c->ops->done(c->arg, uid, left);
    }
    return true;
}
