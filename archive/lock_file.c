#include "archive/lock_file.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC    0x4d534c4bu /* "MSLK" */
#define HEAD     8
#define NEW_NAME LOCK_FILE_NAME ".new"
#define MODE     0640
#define PAGE     64 /* records read, or written, at once */

struct record {
    uint8_t mem[LOCK_FILE_RECORD];
};

static void text_write(struct wr *w, const char *text, size_t cap)
{
    uint8_t *to = wr_reserve(w, cap);

    memset(to, 0, cap);
    memcpy(to, text, strnlen(text, cap - 1));
}

static bool text_read(struct rd *r, char *dst, size_t cap)
{
    struct span field = rd_bytes(r, cap);

    if (field.n != cap || !memchr(field.p, 0, cap)) return false;
    memcpy(dst, field.p, cap);
    return true;
}

static void record_of(const struct index_lock *l, struct record *ret)
{
    struct wr w = wr_of(ret->mem, sizeof(ret->mem));

    memset(ret->mem, 0, sizeof(ret->mem));
    wr_u32(&w, MAGIC);
    wr_u32(&w, 0);
    wr_u64(&w, l->id);
    wr_u64(&w, (uint64_t)l->start_us);
    wr_u64(&w, (uint64_t)l->end_us);
    wr_u64(&w, (uint64_t)l->version_us);
    wr_u64(&w, (uint64_t)l->released_us);
    text_write(&w, l->uid, sizeof(l->uid));
    text_write(&w, l->by, sizeof(l->by));
    text_write(&w, l->note, sizeof(l->note));
    must(wr_ok(&w));
    wr_patch_u32(&w, 4, crc32c(0, span(ret->mem + HEAD, sizeof(ret->mem) - HEAD)));
}

static bool lock_of(const struct record *from, struct index_lock *ret)
{
    struct rd r = rd_of(span(from->mem, sizeof(from->mem)));

    if (rd_u32(&r) != MAGIC || rd_u32(&r) != crc32c(0, span(from->mem + HEAD, sizeof(from->mem) - HEAD)))
        return false;
    ret->id = rd_u64(&r);
    ret->start_us = (usec_t)rd_u64(&r);
    ret->end_us = (usec_t)rd_u64(&r);
    ret->version_us = (usec_t)rd_u64(&r);
    ret->released_us = (usec_t)rd_u64(&r);
    return text_read(&r, ret->uid, sizeof(ret->uid)) && text_read(&r, ret->by, sizeof(ret->by)) &&
        text_read(&r, ret->note, sizeof(ret->note)) && seg_uid_ok(ret->uid) && ret->start_us >= 0 &&
        ret->end_us > ret->start_us;
}

int lock_file_read(
    int storage_fd, void (*fn)(void *arg, const struct index_lock *lock), void *arg, size_t *ret_records)
{
    CLEANUP(fd_close) int fd = openat(storage_fd, LOCK_FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP(mem_freep) struct record *page = mem_new_n(PAGE, sizeof(*page));
    struct index_lock l;
    off_t at = 0;
    ssize_t n;

    *ret_records = 0;
    if (fd < 0) return errno == ENOENT ? 0 : -errno;
    while ((n = pread(fd, page, PAGE * sizeof(*page), at)) > 0) {
        for (size_t i = 0; i < (size_t)n / sizeof(*page); i++)
            if (lock_of(&page[i], &l)) fn(arg, &l);
        *ret_records += ((size_t)n + sizeof(*page) - 1) / sizeof(*page);
        if ((size_t)n % sizeof(*page) > 0) break; /* the last one was torn */
        at += n;
    }
    return n < 0 ? -errno : 0;
}

int lock_file_add(int storage_fd, const struct index_lock *lock)
{
    CLEANUP(fd_close)
    int fd = openat(storage_fd, LOCK_FILE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    struct record r;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0) return -errno;
    record_of(lock, &r);
    n = pwrite(
        fd, r.mem, sizeof(r.mem), st.st_size - st.st_size % (off_t)sizeof(r.mem)); /* over a torn one */
    if (n != (ssize_t)sizeof(r.mem)) return n < 0 ? -errno : -ENOSPC;
    if (fsync(fd) < 0) return -errno;
    return st.st_size == 0 && fsync(storage_fd) < 0 ? -errno : 0;
}

static int write_all(int fd, const struct locks *all)
{
    struct map_slot slot;
    struct record r;
    size_t at = 0;
    int err = 0;

    while (!err && map_next(&all->by_uid, &at, &slot)) {
        const struct lock_list *list = slot.value;

        for (size_t i = 0; !err && i < list->n; i++) {
            record_of(&list->v[i], &r);
            err = fd_write_all(fd, span(r.mem, sizeof(r.mem)));
        }
    }
    return err;
}

int lock_file_write(int storage_fd, const struct locks *all)
{
    CLEANUP(fd_close)
    int fd = openat(storage_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
    int err = fd < 0 ? -errno : write_all(fd, all);

    if (!err && fsync(fd) < 0) err = -errno;
    if (!err && renameat(storage_fd, NEW_NAME, storage_fd, LOCK_FILE_NAME) < 0) err = -errno;
    if (!err && fsync(storage_fd) < 0) err = -errno;
    if (err && fd >= 0) (void)unlinkat(storage_fd, NEW_NAME, 0);
    return err;
}
