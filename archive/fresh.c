#include "archive/fresh.h"
#include "archive/reader.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define ID_COUNTER_BITS 8 /* seginfo.h: wall clock ms << 8 | counter */
#define FOLDER_MAX      1200

struct fresh {
    const struct fresh_ask *ask;
    const struct fresh_ops *ops;
    void *arg;
    usec_t from_us, to_us; /* starts of what is looked for: behind the index, before the open one */
    unsigned n;
};

static usec_t start_of(uint64_t id)
{
    return (usec_t)(id >> ID_COUNTER_BITS) * US_PER_MS;
}

static void look_at(struct fresh *f, const char *path, uint64_t id)
{
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    int err;

    if (!info || seg_open(f->ask->storage, f->ask->uid, path, &fd) != 0) return;
    err = seg_info_load(fd, info);
    if (err == SEG_OK)
        f->ops->closed(f->arg, info);
    else if (err == SEG_E_NO_FOOTER && f->ops->unclosed)
        f->ops->unclosed(f->arg, id, fd);
    else
        return;
    f->n++;
}

/* One day's folder, "2026/11/22". */
static void look_in(struct fresh *f, const char *day)
{
    char folder[FOLDER_MAX], path[SEG_PATH_MAX];
    struct dirent *e;
    uint64_t id;
    DIR *d;
    int fd;

    if (snprintf(folder, sizeof(folder), "%s/%s/records/%s", f->ask->storage, f->ask->uid, day) >=
        (int)sizeof(folder))
        return;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return;
    }
    /* cppcheck-suppress readdirCalled ; no other thread has this DIR */
    while (f->n < FRESH_MAX && (e = readdir(d))) {
        if (snprintf(path, sizeof(path), "%s/%s", day, e->d_name) >= (int)sizeof(path)) continue;
        if (!seg_path_parse(path, &id) || id == f->ask->open) continue;
        if (start_of(id) >= f->from_us && start_of(id) < f->to_us) look_at(f, path, id);
    }
    closedir(d);
}

static void day_of(usec_t wall_us, char *dst, size_t cap)
{
    struct tm tm = clock_utc(wall_us);

    snprintf(
        dst, cap, "%04d/%02d/%02d", (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100, tm.tm_mday % 100);
}

void fresh_find(struct index *ix, const struct fresh_ask *q, const struct fresh_ops *ops, void *arg)
{
    CLEANUP(mem_freep) struct seg_info *last = mem_try(sizeof(*last));
    struct fresh f = {q, ops, arg, q->newest_us - FRESH_MOST_US, q->newest_us, 0};
    char first[16], second[16];

    if (!last) return;
    if (index_last(ix, q->uid, last) == INDEX_OK) f.from_us = MAX(f.from_us, last->start_us + US_PER_MS);
    /* Nothing between them, or nothing of it was asked for. */
    if (last->end_us + INDEX_JOIN_US >= q->newest_us || f.from_us >= f.to_us || q->newest_us <= q->from_us)
        return;
    day_of(f.from_us, first, sizeof(first));
    day_of(f.to_us, second, sizeof(second));
    look_in(&f, first);
    if (strcmp(first, second) != 0) look_in(&f, second);
}
