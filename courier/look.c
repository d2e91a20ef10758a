#include "courier/look.h"
#include "archive/fresh.h"
#include "archive/segproof.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_US  (24 * 3600 * US_PER_S)
#define DAY_LEN 10 /* "2026/11/22" */
#define DAYS    2
#define NAMES   100000 /* of a folder that are looked at */

static bool is_regular(int fd, uint64_t *ret_bytes)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) return false;
    *ret_bytes = (uint64_t)st.st_size;
    return true;
}

int look_file(const char *storage_path, struct index *ix, const char *uid, uint64_t id, struct look_file *ret)
{
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    char path[SEG_PATH_MAX];
    uint64_t size;
    bool whole;
    int err;

    if (!seg_id_ok(id)) return -EINVAL;
    if (ix && index_is_trash(ix, uid, id))
        return -ENOENT; /* it was deleted, though its file is still there */
    seg_path_of(id, path);
    err = seg_open(storage_path, uid, path, &fd);
    if (err) return err;
    if (!is_regular(fd, &size)) return -ENOENT;
    whole = (ix && index_get(ix, uid, id, info) == INDEX_OK) || seg_info_load(fd, info) == SEG_OK;
    if (!whole) {
        err = seg_table_fragments(fd, size, &t);
        if (err) return err < 0 ? err : -EBADMSG;
        info->bytes = t->info.bytes;
        seg_table_free(t);
    }
    if (info->bytes > size) return -EBADMSG;
    *ret = (struct look_file){fd, info->bytes, whole};
    fd = -1;
    return 0;
}

/* The newest file of a day's folder. */
static uint64_t newest(const char *storage_path, const char *uid, const char *day)
{
    char path[PATH_MAX], name[SEG_PATH_MAX];
    struct dirent *e;
    uint64_t id, top = 0;
    DIR *d;

    if (snprintf(path, sizeof(path), "%s/%s/records/%s", storage_path, uid, day) >= (int)sizeof(path))
        return 0;
    d = opendir(path);
    if (!d) return 0;
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (int i = 0; i < NAMES && (e = readdir(d)); i++)
        if (snprintf(name, sizeof(name), "%s/%s", day, e->d_name) < (int)sizeof(name) &&
            seg_path_parse(name, &id))
            top = MAX(top, id);
    closedir(d);
    return top;
}

bool look_open(const char *storage_path, const char *uid, uint64_t after_id, struct seg_info *ret)
{
    usec_t now_us = clock_wall_us();
    struct seg_table *t = NULL;
    CLEANUP(fd_close) int fd = -1;
    char path[SEG_PATH_MAX];
    uint64_t id = 0, size;
    bool found;

    if (!seg_uid_ok(uid)) return false;
    for (int i = 0; i < DAYS && id == 0; i++) {
        seg_path_of((uint64_t)((now_us - i * DAY_US) / US_PER_MS) << 8, path);
        path[DAY_LEN] = '\0';
        id = newest(storage_path, uid, path);
    }
    if (id <= after_id) return false;
    seg_path_of(id, path);
    if (seg_open(storage_path, uid, path, &fd) != 0 || !is_regular(fd, &size)) return false;
    if (seg_info_load(fd, ret) == SEG_OK) return ret->id == id;
    if (seg_table_fragments(fd, size, &t) != SEG_OK) return false;
    *ret = t->info;
    ret->flags |= SEG_OPEN;
    found = ret->id == id && ret->n_keys <= SEG_KEYS_MAX;
    seg_table_free(t);
    return found;
}

struct closed {
    struct seg_info *v[FRESH_MAX];
    size_t n;
};

static void keep(void *arg, const struct seg_info *info)
{
    struct closed *c = arg;

    if (c->n < FRESH_MAX) c->v[c->n++] = mem_dup(info, sizeof(*info));
}

static int by_id(const void *a, const void *b)
{
    const struct seg_info *const *x = a, *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

void look_behind(const char *storage_path, struct index *ix, const char *uid, usec_t from_us,
    void (*fn)(void *arg, const struct seg_info *info), void *arg)
{
    static const struct fresh_ops ops = {.closed = keep};
    const struct fresh_ask ask = {
        .storage = storage_path, .uid = uid, .newest_us = clock_wall_us(), .from_us = from_us};
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    struct closed c = {.n = 0};
    uint64_t last = index_last(ix, uid, info) == INDEX_OK ? info->id : 0;

    fresh_find(ix, &ask, &ops, &c);
    qsort(c.v, c.n, sizeof(c.v[0]), by_id);
    for (size_t i = 0; i < c.n; i++) {
        last = MAX(last, c.v[i]->id);
        fn(arg, c.v[i]);
        mem_free(c.v[i]);
    }
    if (look_open(storage_path, uid, last, info)) fn(arg, info);
}
