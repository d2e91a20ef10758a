#include "archive/event_file.h"
#include "archive/seginfo.h"
#include "common/base/clock.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC       0x004d5345u /* NUL "MSE" */
#define HEAD        12
#define NEW_NAME    ".new"
#define COMPLETE    "complete"
#define FOLDER_MODE 0750
#define MODE        0640
#define PAGE        (256u << 10) /* read at once */
#define SEEN_KEY    64
#define TIME_MAX    (INT64_MAX / 2)

/* --- records --- */

static void text_write(struct wr *w, const char *text)
{
    size_t n = strlen(text);

    wr_u16(w, (uint16_t)n);
    wr_bytes(w, span(text, n));
}

static bool text_read(struct rd *r, char *dst, size_t cap)
{
    struct span s = rd_bytes(r, rd_u16(r));

    return rd_ok(r) && span_find(s, 0) < 0 && span_copy(s, dst, cap);
}

bool event_record_write(struct wr *w, const struct event *e)
{
    size_t from = w->n;
    uint32_t crc;

    wr_u32(w, MAGIC);
    wr_u32(w, 0);
    wr_u32(w, 0);
    wr_u64(w, e->id);
    wr_u64(w, (uint64_t)e->start_us);
    wr_u64(w, (uint64_t)e->end_us);
    wr_u64(w, (uint64_t)e->before_us);
    wr_u64(w, (uint64_t)e->after_us);
    text_write(w, e->uid);
    text_write(w, e->kind);
    text_write(w, e->source);
    text_write(w, e->payload);
    if (!wr_ok(w)) return false;
    wr_patch_u32(w, from + 4, (uint32_t)(w->n - from - HEAD));
    crc = crc32c(0, span(w->p + from + 4, 4));
    crc = crc32c(crc, span(w->p + from + HEAD, w->n - from - HEAD));
    wr_patch_u32(w, from + 8, crc);
    return true;
}

static bool event_of(struct span body, struct event *ret)
{
    struct rd r = rd_of(body);

    *ret = (struct event){.id = rd_u64(&r)};
    ret->start_us = (usec_t)rd_u64(&r);
    ret->end_us = (usec_t)rd_u64(&r);
    ret->before_us = (usec_t)rd_u64(&r);
    ret->after_us = (usec_t)rd_u64(&r);
    return text_read(&r, ret->uid, sizeof(ret->uid)) && text_read(&r, ret->kind, sizeof(ret->kind)) &&
        text_read(&r, ret->source, sizeof(ret->source)) &&
        text_read(&r, ret->payload, sizeof(ret->payload)) && rd_left(&r) == 0 && seg_uid_ok(ret->uid) &&
        ret->start_us >= 0 && ret->start_us < TIME_MAX &&
        (ret->end_us == 0 || (ret->end_us >= ret->start_us && ret->end_us < TIME_MAX)) &&
        ret->before_us >= 0 && ret->before_us <= EVENT_ROLL_MAX_US && ret->after_us >= 0 &&
        ret->after_us <= EVENT_ROLL_MAX_US;
}

enum how { WHOLE, PART, BAD };

static enum how record_at(struct span s, size_t *ret_n, struct event *ret)
{
    struct rd r = rd_of(s);
    uint32_t magic = rd_u32(&r), n = rd_u32(&r), crc = rd_u32(&r), want;

    if (s.n >= 4 && magic != MAGIC) return BAD;
    if (s.n >= 8 && n > EVENT_RECORD_MAX - HEAD) return BAD;
    if (rd_left(&r) < n || !rd_ok(&r)) return PART;
    want = crc32c(crc32c(0, span_sub(s, 4, 4)), span_sub(s, HEAD, n));
    if (crc != want || !event_of(span_sub(s, HEAD, n), ret)) return BAD;
    *ret_n = HEAD + n;
    return WHOLE;
}

bool event_record_next(struct span s, size_t *at, bool end, struct event *ret)
{
    while (*at < s.n) {
        struct span rest = span_from(s, *at);
        size_t n = 0;
        enum how how = record_at(rest, &n, ret);
        ssize_t skip;

        if (how == WHOLE) {
            *at += n;
            return true;
        }
        if (how == PART && !end) return false;
        skip = span_find(span_from(rest, 1), 0); /* no record begins otherwise */
        *at = skip < 0 ? s.n : *at + 1 + (size_t)skip;
    }
    return false;
}

/* --- days --- */

void event_file_day(usec_t wall_us, char dst[EVENT_FILE_DAY])
{
    struct tm at = clock_utc(wall_us);

    snprintf(dst, EVENT_FILE_DAY, "%04u-%02u-%02u", (unsigned)(at.tm_year + 1900) % 10000,
        (unsigned)(at.tm_mon + 1) % 100, (unsigned)at.tm_mday % 100);
}

static bool is_day(const char *name)
{
    static const char form[] = "0000-00-00";

    if (strlen(name) != sizeof(form) - 1) return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '-' ? name[i] != '-' : name[i] < '0' || name[i] > '9') return false;
    return true;
}

static int open_folder(int storage_fd)
{
    int fd = openat(storage_fd, EVENT_FILE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

static int make_folder(int storage_fd)
{
    if (mkdirat(storage_fd, EVENT_FILE_FOLDER, FOLDER_MODE) < 0)
        return errno == EEXIST ? open_folder(storage_fd) : -errno;
    return fsync(storage_fd) < 0 ? -errno : open_folder(storage_fd);
}

bool event_file_complete(int storage_fd)
{
    return faccessat(storage_fd, EVENT_FILE_FOLDER "/" COMPLETE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int event_file_set_complete(int storage_fd)
{
    CLEANUP(fd_close) int dir_fd = make_folder(storage_fd), fd = -1;

    if (dir_fd < 0) return dir_fd;
    fd = openat(dir_fd, COMPLETE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    return fd < 0 || fsync(dir_fd) < 0 ? -errno : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int event_file_days(int storage_fd, char (**ret)[EVENT_FILE_DAY], size_t *ret_n)
{
    int fd = open_folder(storage_fd), err;
    DIR *d;

    *ret = NULL;
    *ret_n = 0;
    if (fd < 0) return fd == -ENOENT ? 0 : fd;
    d = fdopendir(fd);
    if (!d) {
        err = -errno;
        fd_close(&fd);
        return err;
    }
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!is_day(e->d_name)) continue;
        if ((*ret_n & (*ret_n - 1)) == 0) *ret = mem_renew(*ret, MAX(*ret_n * 2, 16) * sizeof(**ret));
        span_copy(span_of(e->d_name), (*ret)[(*ret_n)++], sizeof(**ret));
    }
    closedir(d);
    if (*ret_n > 0) qsort(*ret, *ret_n, sizeof(**ret), by_name);
    return 0;
}

/* --- adding --- */

/* The file of a day, at its end. *ret_fresh: its name is not durable yet. */
static int open_day(int dir_fd, const char *day, bool *ret_fresh)
{
    int fd = openat(dir_fd, day, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE), err;
    struct stat st;

    if (fd < 0) return -errno;
    err = fstat(fd, &st) < 0                                ? -errno
        : !S_ISREG(st.st_mode)                              ? -EINVAL
        : (unsigned long long)st.st_size >= EVENT_FILE_MOST ? -EFBIG
                                                            : 0;
    *ret_fresh = st.st_size == 0;
    if (err) fd_close(&fd);
    return err ? err : fd;
}

/* Those at the front of the list that are of one day. */
static int add_day(int dir_fd, const struct event *list, size_t n, size_t *ret_n)
{
    CLEANUP(mem_freep) uint8_t *mem = NULL;
    CLEANUP(fd_close) int fd = -1;
    char day[EVENT_FILE_DAY], other[EVENT_FILE_DAY];
    bool fresh = false;
    struct wr w;
    int err;

    event_file_day(list[0].start_us, day);
    for (*ret_n = 1; *ret_n < n; ++*ret_n) {
        event_file_day(list[*ret_n].start_us, other);
        if (strcmp(day, other) != 0) break;
    }
    fd = open_day(dir_fd, day, &fresh);
    if (fd < 0) return fd;
    mem = mem_new_n(*ret_n, EVENT_RECORD_MAX);
    w = wr_of(mem, *ret_n * EVENT_RECORD_MAX);
    for (size_t i = 0; i < *ret_n; i++) must(event_record_write(&w, &list[i]));
    err = fd_write_all(fd, wr_span(&w));
    if (!err && fdatasync(fd) < 0) err = -errno;
    if (!err && fresh && fsync(dir_fd) < 0) err = -errno;
    return err;
}

int event_file_add(int storage_fd, const struct event *list, size_t n)
{
    CLEANUP(fd_close) int dir_fd = make_folder(storage_fd);
    size_t done;
    int err = MIN(dir_fd, 0);

    for (size_t i = 0; !err && i < n; i += done) err = add_day(dir_fd, &list[i], n - i, &done);
    return err;
}

/* --- reading --- */

int event_reader_open(int storage_fd, const char *day, struct event_reader *ret)
{
    int err = 0;

    *ret = (struct event_reader){.dir_fd = open_folder(storage_fd), .fd = -1};
    if (ret->dir_fd < 0) {
        err = ret->dir_fd;
        *ret = (struct event_reader){.dir_fd = -1, .fd = -1};
        return err == -ENOENT ? 0 : err;
    }
    if (day) {
        ret->days = mem_new(sizeof(*ret->days));
        span_copy(span_of(day), ret->days[ret->n_days++], sizeof(*ret->days));
    } else {
        err = event_file_days(storage_fd, &ret->days, &ret->n_days);
    }
    if (err) event_reader_close(ret);
    return err;
}

void event_reader_close(struct event_reader *r)
{
    if (!r->mem && !r->days && r->dir_fd <= 0) return;
    mem_free(r->mem);
    mem_free(r->days);
    fd_close(&r->fd);
    fd_close(&r->dir_fd);
    *r = (struct event_reader){.dir_fd = -1, .fd = -1};
}

static void fail(struct event_reader *r, int err)
{
    if (!r->err) r->err = err;
    r->end = true;
}

/* More of the day's file, or the next day's. false: there is no more. */
static bool fill(struct event_reader *r)
{
    ssize_t n;

    if (r->fd >= 0 && r->end) fd_close(&r->fd);
    if (r->fd < 0) {
        if (r->day == r->n_days) return false;
        r->fd = openat(r->dir_fd, r->days[r->day++], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        r->n = r->at = 0;
        r->end = false;
        if (r->fd < 0) fail(r, -errno);
        if (r->fd < 0) return true;
    }
    if (!r->mem) r->mem = mem_new(PAGE);
    memmove(r->mem, r->mem + r->at, r->n - r->at);
    r->n -= r->at;
    r->at = 0;
    n = read(r->fd, r->mem + r->n, PAGE - r->n);
    if (n < 0)
        fail(r, -errno);
    else if (n == 0)
        r->end = true;
    r->n += (size_t)MAX(n, 0);
    return true;
}

bool event_reader_next(struct event_reader *r, struct event *ret)
{
    do {
        if (event_record_next(span(r->mem, r->n), &r->at, r->end, ret)) return true;
    } while (fill(r));
    return false;
}

/* --- leaving out --- */

struct compacting {
    bool (*keep)(void *arg, const struct event *e);
    void *arg;
    struct map seen;
    size_t all, kept;
};

static void seen_done(struct compacting *c)
{
    map_done(&c->seen);
    c->seen = (struct map){0};
    c->all = c->kept = 0;
}

static bool wanted(struct compacting *c, const struct event *e)
{
    char key[EVENT_UID_MAX + SEEN_KEY];

    c->all++;
    snprintf(key, sizeof(key), "%llx %llx %llx %s", (unsigned long long)e->id,
        (unsigned long long)e->start_us, (unsigned long long)e->end_us, e->uid);
    if (map_get(&c->seen, span_of(key)) || !c->keep(c->arg, e)) return false;
    map_set(&c->seen, span_of(key), c);
    c->kept++;
    return true;
}

/* fd -1: only counts. */
static int pass(int storage_fd, const char *day, struct compacting *c, int fd)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    uint8_t mem[EVENT_RECORD_MAX];
    struct event_reader r;
    int err = event_reader_open(storage_fd, day, &r);

    while (!err && event_reader_next(&r, e)) {
        struct wr w = wr_of(mem, sizeof(mem));

        if (!wanted(c, e) || fd < 0) continue;
        must(event_record_write(&w, e));
        err = fd_write_all(fd, wr_span(&w));
    }
    if (!err) err = r.err; /* what could not be read is not left out */
    event_reader_close(&r);
    return err;
}

static int write_anew(int storage_fd, int dir_fd, const char *day, struct compacting *c)
{
    CLEANUP(fd_close)
    int fd = openat(dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
    int err = fd < 0 ? -errno : pass(storage_fd, day, c, fd);

    if (!err && fsync(fd) < 0) err = -errno;
    if (!err && renameat(dir_fd, NEW_NAME, dir_fd, day) < 0) err = -errno;
    if (!err && fsync(dir_fd) < 0) err = -errno;
    if (err && fd >= 0) (void)unlinkat(dir_fd, NEW_NAME, 0);
    return err;
}

int event_file_compact(
    int storage_fd, const char *day, bool (*keep)(void *arg, const struct event *e), void *arg)
{
    CLEANUP(fd_close) int dir_fd = open_folder(storage_fd);
    struct compacting c = {.keep = keep, .arg = arg};
    bool none, many;
    int err = dir_fd < 0 ? dir_fd : pass(storage_fd, day, &c, -1);

    none = c.kept == 0;
    many = c.kept * 2 <= c.all;
    seen_done(&c);
    if (!err && none) err = unlinkat(dir_fd, day, 0) < 0 ? -errno : 0;
    if (!err && !none && many) err = write_anew(storage_fd, dir_fd, day, &c);
    seen_done(&c);
    return err;
}
