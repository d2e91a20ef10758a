#include "archive/repair.h"
#include "archive/origin.h"
#include "archive/reader.h"
#include "archive/segbox.h"
#include "archive/segtable.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_MOST                                                                                            \
    (64u << 10) /* a file that is not longer has no footage worth keeping when it cannot be read */
#define TABLE_MOST (64u << 20)

/* A worker may do in its folder what it likes, and the keeper may do more than a worker: no link is followed
 * on the way. */
struct place {
    int folder; /* of the day */
    char name[SEG_PATH_MAX];
};

static int find_place(int records_fd, uint64_t id, struct place *ret)
{
    char path[SEG_PATH_MAX];
    struct span rest, part;
    int fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 0);

    seg_path_of(id, path);
    rest = span_of(path);
    while (fd >= 0 && span_split(&rest, '/', &part) && rest.p) {
        int sub;

        span_copy(part, ret->name, sizeof(ret->name));
        sub = openat(fd, ret->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        close(fd);
        fd = sub;
    }
    if (fd < 0) return -errno;
    span_copy(part, ret->name, sizeof(ret->name));
    ret->folder = fd;
    return 0;
}

static int open_in(const struct place *p, int flags, int *ret_fd)
{
    int fd = openat(p->folder, p->name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) return -errno;
    *ret_fd = fd;
    return 0;
}

static bool belongs(const struct seg_info *i, const char *uid, uint64_t id)
{
    return i->id == id && strcmp(i->uid, uid) == 0;
}

int repair_look(int records_fd, const char *uid, uint64_t id, struct seg_info *ret)
{
    struct place p = {.folder = -1};
    CLEANUP(fd_close) int fd = -1;
    int err = find_place(records_fd, id, &p);

    if (!err) err = open_in(&p, O_RDONLY, &fd);
    fd_close(&p.folder);
    if (!err) err = seg_info_load(fd, ret);
    if (!err) ret->flags = (ret->flags & SEG_FLAGS_OF_FILE) | origin_flags(fd);
    return !err && !belongs(ret, uid, id) ? SEG_E_BAD : err;
}

static bool table_bytes(struct seg_table *t, struct buf *to)
{
    struct segtable_at at = segtable_start();
    bool ok = true;

    for (size_t i = 0; i < t->n; i++) t->s[i].dts -= t->info.base_dts[t->s[i].track];
    ok = segtable_write(to, &at, t->s, t->n);
    for (size_t i = 0; i < t->n; i++) t->s[i].dts += t->info.base_dts[t->s[i].track];
    return ok;
}

static int put_at(int fd, uint64_t at, struct span s)
{
    while (s.n > 0) {
        ssize_t n = pwrite(fd, s.p, s.n, (off_t)at);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        s = span_from(s, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

/* Behind t->scanned bytes whose checksum is info.crc. */
static int write_footer(int fd, struct seg_table *t)
{
    struct seg_info *i = &t->info;
    struct buf head, table, tail;
    int err;

    buf_init(&head, SEGBOX_INFO_MAX);
    buf_init(&table, TABLE_MOST);
    buf_init(&tail, SEGBOX_INFO_MAX);
    i->table_at = t->scanned;
    i->flags |= SEG_RECOVERED;
    err = ftruncate(fd, (off_t)i->table_at) < 0 ? -errno : 0;
    if (!err && (!table_bytes(t, &table) || !segbox_footer(&head, &tail, buf_span(&table), i))) err = -ENOMEM;
    if (!err) err = put_at(fd, i->table_at, buf_span(&head));
    if (!err) err = put_at(fd, i->table_at + buf_n(&head), buf_span(&table));
    if (!err) err = put_at(fd, i->bytes - buf_n(&tail), buf_span(&tail));
    buf_done(&head);
    buf_done(&table);
    buf_done(&tail);
    return err;
}

/* Out of the way, so that nobody looks at it again and again; nothing that may be footage is removed. */
static int set_aside(const struct place *p, int fd)
{
    char bad[SEG_PATH_MAX + 4];
    struct stat st;

    snprintf(bad, sizeof(bad), "%s.bad", p->name);
    if (fstat(fd, &st) < 0) return -errno;
    if (st.st_size <= HEAD_MOST) return unlinkat(p->folder, p->name, 0) < 0 ? -errno : REPAIR_E_EMPTY;
    return renameat(p->folder, p->name, p->folder, bad) < 0 ? -errno : REPAIR_E_BAD;
}

/* The table of what is proven of a file; an empty one where nothing was ever written behind its head. */
static int table_of(int fd, const struct segproof_watch *watch, struct seg_table **ret)
{
    struct segproof proof;
    int err = segproof_table(fd, watch, ret, &proof);

    if (!err && proof.holes > 0) (*ret)->info.flags |= SEG_DAMAGED;
    if (!err && (*ret)->n == 0) err = SEG_E_BAD; /* and what is whole cannot be shown */
    if (err != SEG_E_BAD || proof.holes > 0) return err;
    err = seg_table_scan(fd, UINT64_MAX, ret);
    return !err && (*ret)->n > 0 ? SEG_E_BAD : err;
}

/* closed: it has been whole once, and nothing is removed. */
static int repair(const struct place *p, const char *uid, uint64_t id, bool closed,
    const struct segproof_watch *watch, struct seg_info *ret)
{
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    int err = open_in(p, O_RDWR, &fd);

    if (err) return err;
    err = table_of(fd, watch, &t);
    if (err == SEG_E_BAD || (!err && !belongs(&t->info, uid, id))) {
        err = closed ? REPAIR_E_BAD : set_aside(p, fd);
    } else if (!err && t->n == 0) {
        err = unlinkat(p->folder, p->name, 0) < 0 ? -errno : REPAIR_E_EMPTY;
    } else if (!err) {
        err = write_footer(fd, t);
        if (!err) *ret = t->info;
    }
    seg_table_free(t);
    return err;
}

static int find_and_repair(int records_fd, const char *uid, uint64_t id, bool closed,
    const struct segproof_watch *watch, struct seg_info *ret)
{
    struct place p = {.folder = -1};
    int err = find_place(records_fd, id, &p);

    if (!err) err = repair(&p, uid, id, closed, watch, ret);
    fd_close(&p.folder);
    return err;
}

int repair_segment(
    int records_fd, const char *uid, uint64_t id, const struct segproof_watch *watch, struct seg_info *ret)
{
    return find_and_repair(records_fd, uid, id, false, watch, ret);
}

int repair_closed(
    int records_fd, const char *uid, uint64_t id, const struct segproof_watch *watch, struct seg_info *ret)
{
    return find_and_repair(records_fd, uid, id, true, watch, ret);
}

int repair_verify(int records_fd, const struct seg_info *info, const struct segproof_watch *watch)
{
    struct place p = {.folder = -1};
    CLEANUP(fd_close) int fd = -1;
    int err = find_place(records_fd, info->id, &p);

    if (!err) err = open_in(&p, O_RDONLY, &fd);
    fd_close(&p.folder);
    if (!err) err = -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return err ? err : segproof_file(fd, info, watch);
}

/* "2026/11/22" from the end: each in its parent, without following a link. */
static void remove_folders(int records_fd, const char *path)
{
    char part[3][8] = {"", "", ""};
    struct span rest = span_of(path), name;
    int fd[3] = {records_fd, -1, -1};

    for (int i = 0; i < 3; i++) {
        if (!span_split(&rest, '/', &name) || !span_copy(name, part[i], sizeof(part[i]))) return;
        if (i < 2) fd[i + 1] = openat(fd[i], part[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (i < 2 && fd[i + 1] < 0) break;
    }
    for (int i = 2; i >= 0; i--)
        if (fd[i] >= 0 && part[i][0] && unlinkat(fd[i], part[i], AT_REMOVEDIR) < 0) break;
    fd_close(&fd[1]);
    fd_close(&fd[2]);
}

/* A worker may be about to write into a folder of today. */
#define DAY_OVER_US (2 * 86400 * US_PER_S)

int repair_remove(int records_fd, uint64_t id, usec_t now_us)
{
    struct place p = {.folder = -1};
    char path[SEG_PATH_MAX];
    int err = find_place(records_fd, id, &p);

    if (err) return err;
    if (unlinkat(p.folder, p.name, 0) < 0) err = -errno;
    fd_close(&p.folder);
    if ((usec_t)(id >> 8) * US_PER_MS > now_us - DAY_OVER_US || (err && err != -ENOENT)) return err;
    seg_path_of(id, path);
    remove_folders(records_fd, path);
    return err;
}
