#include "archive/storage.h"
#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/wr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MARKER_TITLE "media-server storage"
#define MARKER_MAX   256 /* bytes of the file */
#define MARKER_MODE  0644
#define PROBE_NAME   ".media-server-probe"
#define FOLDER_MODE  02750
#define ROOT_MODE    0751
#define RESUME_LEAST                                                                                         \
    (1ull << 20)    /* bytes above the floor, and a hundredth of it, before a full one is ok again */
#define DEPTH_MAX 4 /* records, year, month, day */

const char *storage_state_name(enum storage_state s)
{
    static const char *const names[] = {
        [STORAGE_OK] = "ok",
        [STORAGE_MISSING] = "missing",
        [STORAGE_REFUSED] = "refused",
        [STORAGE_FULL] = "full",
        [STORAGE_READONLY] = "readonly",
        [STORAGE_FAILED] = "failed",
    };

    return names[s];
}

bool storage_floor_parse(struct span text, struct retention_floor *ret)
{
    struct retention_floor f = {.automatic = false};
    uint64_t v = 0;

    text = span_trim(text);
    f.automatic = text.n == 0;
    if (text.n > 0 && text.p[text.n - 1] == '%') {
        if (!span_u64(span_sub(text, 0, text.n - 1), 100, &v)) return false;
        f.percent = (unsigned)v;
    } else if (text.n > 0) {
        if (!span_u64(text, INT64_MAX, &v)) return false;
        f.bytes = v;
    }
    *ret = f;
    return true;
}

uint64_t storage_floor(const struct storage *s)
{
    return retention_floor_bytes(&s->floor, s->total, s->rate);
}

void storage_init(struct storage *s, const char *path, struct retention_floor floor)
{
    *s = (struct storage){.path = path, .floor = floor, .fd = -1, .state = STORAGE_MISSING};
}

void storage_close(struct storage *s)
{
    fd_close(&s->fd);
}

static enum storage_state state_of(int err)
{
    if (err == ENOSPC || err == EDQUOT) return STORAGE_FULL;
    if (err == EROFS) return STORAGE_READONLY;
    if (err == ENOENT || err == ENOTDIR) return STORAGE_MISSING;
    return STORAGE_FAILED;
}

static bool set(struct storage *s, enum storage_state state, int err)
{
    s->state = state;
    s->err = err;
    return state == STORAGE_OK || state == STORAGE_FULL || state == STORAGE_READONLY;
}

static void uuid_make(char *dst)
{
    uint8_t b[16];
    struct wr w = wr_of(dst, STORAGE_UUID_MAX);

    rng_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562 5.4: version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++)
        wr_fmt(&w, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    wr_cstr(&w);
}

/* 0, -ENOENT, -EBADMSG (not a marker of ours), other -errno. */
static int marker_read(int fd, char *ret_uuid)
{
    CLEANUP(mem_freep) uint8_t *p = NULL;
    struct span rest, line;
    size_t n;
    int err = fd_read_file(fd, STORAGE_MARKER, MARKER_MAX, &p, &n);

    if (err) return err == -EFBIG ? -EBADMSG : err;
    rest = span(p, n);
    if (!span_split(&rest, '\n', &line) || !span_is(span_trim(line), MARKER_TITLE)) return -EBADMSG;
    if (!span_split(&rest, '\n', &line) || span_trim(line).n != STORAGE_UUID_MAX - 1) return -EBADMSG;
    span_copy(span_trim(line), ret_uuid, STORAGE_UUID_MAX);
    return 0;
}

/* Whole or not at all: written beside, and moved to its name. */
static int marker_write(int fd, char *uuid)
{
    CLEANUP(fd_close) int f = -1;
    char text[MARKER_MAX];
    int n, err;

    uuid_make(uuid);
    n = snprintf(text, sizeof(text), MARKER_TITLE "\n%s\n", uuid);
    f = openat(fd, STORAGE_MARKER ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MARKER_MODE);
    if (f < 0) return -errno;
    err = fd_write_all(f, span(text, (size_t)n));
    if (!err && (fchmod(f, MARKER_MODE) < 0 || fsync(f) < 0)) err = -errno;
    if (!err && renameat(fd, STORAGE_MARKER ".new", fd, STORAGE_MARKER) < 0) err = -errno;
    if (!err && fsync(fd) < 0) err = -errno;
    if (err) unlinkat(fd, STORAGE_MARKER ".new", 0);
    return err;
}

static bool space(struct storage *s)
{
    struct statvfs v;
    uint64_t floor, resume;

    if (fstatvfs(s->fd, &v) < 0) return set(s, STORAGE_FAILED, errno);
    s->total = (uint64_t)v.f_blocks * v.f_frsize;
    s->free = (uint64_t)v.f_bavail * v.f_frsize;
    s->files = v.f_files;
    s->files_free = v.f_favail;
    floor = storage_floor(s);
    resume = floor + MAX(RESUME_LEAST, floor / 100);
    if (v.f_flag & ST_RDONLY) return set(s, STORAGE_READONLY, EROFS);
    if (s->free < (s->state == STORAGE_FULL ? resume : floor) || v.f_favail == 0) {
        /* A file system without a number of inodes says 0 of 0. */
        if (s->free < (s->state == STORAGE_FULL ? resume : floor) || v.f_files > 0)
            return set(s, STORAGE_FULL, ENOSPC);
    }
    return set(s, STORAGE_OK, 0);
}

static int marker_check(struct storage *s, const char *want, bool accept)
{
    int err = marker_read(s->fd, s->uuid);

    if (err == -ENOENT && (want[0] == 0 || accept)) {
        err = marker_write(s->fd, s->uuid);
        s->fresh = err == 0;
        return err;
    }
    if (err == -ENOENT || err == -EBADMSG) return -ESTALE;
    if (err == 0 && want[0] && !accept && strcmp(want, s->uuid) != 0) return -ESTALE;
    return err;
}

bool storage_open(struct storage *s, const char *want, bool accept)
{
    int err;

    storage_close(s);
    s->fresh = false;
    s->uuid[0] = 0;
    /* A new site's folder is made; its parent is not: that may be a mount that is missing. */
    if (want[0] == 0 && mkdir(s->path, ROOT_MODE) < 0 && errno != EEXIST && errno != EROFS)
        return set(s, state_of(errno), errno);
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0) return set(s, state_of(errno), errno);
    s->state = STORAGE_OK;
    if (!space(s)) {
        storage_close(s);
        return false;
    }
    err = marker_check(s, want, accept);
    if (err == 0) return true;
    storage_close(s);
    return set(s, err == -ESTALE ? STORAGE_REFUSED : state_of(-err), -err) && false;
}

/* Writes, syncs and removes a small file. */
static int probe(const struct storage *s)
{
    CLEANUP(fd_close)
    int f = openat(s->fd, PROBE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int err;

    if (f < 0) return errno;
    err = -fd_write_all(f, SPAN_LIT("probe\n"));
    if (!err && fsync(f) < 0) err = errno;
    if (unlinkat(s->fd, PROBE_NAME, 0) < 0 && !err) err = errno;
    return err;
}

/* 0, or errno: the disk says no, or another folder is there. */
static int same_folder(const struct storage *s)
{
    struct stat held, there;

    if (fstat(s->fd, &held) < 0 || stat(s->path, &there) < 0) return errno;
    return held.st_dev == there.st_dev && held.st_ino == there.st_ino ? 0 : ENOENT;
}

enum storage_state storage_look(struct storage *s, bool write)
{
    bool failed = s->state == STORAGE_FAILED;
    int err;

    if (s->fd < 0) return s->state;
    err = same_folder(s);
    if (err) {
        storage_close(s);
        set(s, state_of(err), err);
        return s->state;
    }
    if (!space(s) || s->state == STORAGE_READONLY || !(write || failed)) return s->state;
    err = probe(s);
    if (err) set(s, state_of(err) == STORAGE_MISSING ? STORAGE_FAILED : state_of(err), err);
    return s->state;
}

static int open_folder(int dirfd, const char *name, bool make, int *ret_fd)
{
    int fd;

    if (make && mkdirat(dirfd, name, FOLDER_MODE) < 0 && errno != EEXIST) return -errno;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -errno;
    *ret_fd = fd;
    return 0;
}

/* Without the right to give files away (not root) they stay the caller's, who is the worker's user too then.
 */
static int give(int fd, uid_t owner, gid_t group, mode_t mode)
{
    struct stat st;

    if (fstat(fd, &st) < 0) return -errno;
    if ((st.st_uid != owner || st.st_gid != group) && fchown(fd, owner, group) < 0 && errno != EPERM)
        return -errno;
    if ((st.st_mode & 07777) == mode && st.st_uid == owner && st.st_gid == group) return 0;
    if (fchmod(fd, mode) < 0 && errno != EPERM) return -errno;
    return 0;
}

/* Folders of years, months and days, and the lock, after the owner has changed. Segments stay as they are:
 * they are read by their group. */
static int give_below(int fd, uid_t owner, gid_t group, int depth)
{
    int dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    DIR *d = dup_fd >= 0 ? fdopendir(dup_fd) : NULL;

    if (!d) {
        err = -errno;
        fd_close(&dup_fd);
        return err;
    }
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); !err && e; e = readdir(d)) {
        CLEANUP(fd_close) int sub = -1;
        bool lock = strcmp(e->d_name, SEG_LOCK_NAME) == 0;

        if (e->d_name[0] == '.' && !lock) continue;
        sub =
            openat(fd, e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (lock ? 0 : O_DIRECTORY));
        if (sub < 0) continue; /* a segment, or a link */
        err = give(sub, owner, group, lock ? 0640 : FOLDER_MODE);
        if (!err && !lock && depth < DEPTH_MAX) err = give_below(sub, owner, group, depth + 1);
    }
    closedir(d);
    return err;
}

int storage_records(const struct storage *s, const char *uid, uid_t owner, gid_t group, int *ret_fd)
{
    CLEANUP(fd_close) int folder = -1, records = -1;
    struct stat st;
    int err;

    if (s->fd < 0) return -ENOENT;
    if (!seg_uid_ok(uid)) return -EINVAL;
    err = open_folder(s->fd, uid, true, &folder);
    if (!err) err = give(folder, owner, group, FOLDER_MODE);
    if (!err) err = open_folder(folder, "records", true, &records);
    if (!err && fstat(records, &st) < 0) err = -errno;
    if (!err && (st.st_uid != owner || st.st_gid != group)) err = give_below(records, owner, group, 1);
    /* last, so that an interrupted change is done again */
    if (!err) err = give(records, owner, group, FOLDER_MODE);
    if (err) return err;
    *ret_fd = records;
    records = -1;
    return 0;
}

int storage_records_ro(const struct storage *s, const char *uid, int *ret_fd)
{
    CLEANUP(fd_close) int folder = -1;
    int err;

    if (s->fd < 0) return -ENOENT;
    if (!seg_uid_ok(uid)) return -EINVAL;
    err = open_folder(s->fd, uid, false, &folder);
    return err ? err : open_folder(folder, "records", false, ret_fd);
}

int storage_day_make(int records_fd, const char *path, uid_t owner, gid_t group, int *ret_fd)
{
    struct span rest = span_of(path), part;
    int fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 0), err = fd < 0 ? -errno : 0;

    while (!err && span_split(&rest, '/', &part) && rest.n > 0) { /* its last part is the file's name */
        char name[8];
        int sub = -1;

        err = span_copy(part, name, sizeof(name)) ? open_folder(fd, name, true, &sub) : -EINVAL;
        if (!err) err = give(sub, owner, group, FOLDER_MODE);
        close(fd);
        fd = sub;
    }
    if (err)
        fd_close(&fd);
    else
        *ret_fd = fd;
    return err;
}

int storage_day(int records_fd, const char *day, int *ret_fd)
{
    struct span rest = span_of(day), part;
    int fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 0);

    while (fd >= 0 && span_split(&rest, '/', &part)) {
        char name[8];
        int sub = -1;

        if (span_copy(part, name, sizeof(name)))
            sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        close(fd);
        fd = sub;
    }
    if (fd < 0) return -errno;
    *ret_fd = fd;
    return 0;
}
