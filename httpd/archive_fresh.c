/* Closed segments that the index does not know yet: found by their names in the day's folder. */
#include "httpd/archive.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define ID_COUNTER_BITS 8 /* seginfo.h: wall clock ms << 8 | counter */
#define FOLDER_MAX      (STORAGE_PATH_MAX + 80)

struct fresh {
    struct archive_visit *v;
    void (*fn)(struct archive_visit *v, const struct seg_info *info);
    usec_t from_us, to_us; /* starts of what is looked for: behind the index, before the open one */
    unsigned n;
};

static usec_t start_of(uint64_t id)
{
    return (usec_t)(id >> ID_COUNTER_BITS) * US_PER_MS;
}

static void look_at(struct fresh *f, const char *path)
{
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));

    if (!info || seg_open(f->v->st->path, f->v->j->uid, path, &fd) != 0) return;
    if (seg_info_load(fd, info) != SEG_OK) return;
    f->n++;
    f->fn(f->v, info);
}

/* One day's folder, "2026/11/22". */
static void look_in(struct fresh *f, const char *day)
{
    char folder[FOLDER_MAX], path[SEG_PATH_MAX];
    struct dirent *e;
    uint64_t id;
    DIR *d;
    int fd;

    if (snprintf(folder, sizeof(folder), "%s/%s/records/%s", f->v->st->path, f->v->j->uid, day) >=
        (int)sizeof(folder))
        return;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return;
    }
    /* cppcheck-suppress readdirCalled ; no other thread has this DIR */
    while (f->n < ARCHIVE_FRESH_MAX && (e = readdir(d))) {
        if (snprintf(path, sizeof(path), "%s/%s", day, e->d_name) >= (int)sizeof(path)) continue;
        if (!seg_path_parse(path, &id) || id == f->v->j->open.id) continue;
        if (start_of(id) >= f->from_us && start_of(id) < f->to_us) look_at(f, path);
    }
    closedir(d);
}

static void day_of(usec_t wall_us, char *dst, size_t cap)
{
    struct tm tm = clock_utc(wall_us);

    snprintf(
        dst, cap, "%04d/%02d/%02d", (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100, tm.tm_mday % 100);
}

void archive_fresh(struct archive_visit *v, struct index *ix,
    void (*fn)(struct archive_visit *v, const struct seg_info *info))
{
    const struct archive_job *j = v->j;
    CLEANUP(mem_freep) struct seg_info *last = mem_try(sizeof(*last));
    usec_t newest = j->open.id != 0 ? j->open.start_us : j->now_us;
    struct fresh f = {v, fn, newest - ARCHIVE_FRESH_MOST_US, newest, 0};
    char first[16], second[16];

    if (!last) return;
    if (index_last(ix, j->uid, last) == INDEX_OK) f.from_us = MAX(f.from_us, last->start_us + US_PER_MS);
    /* Nothing between them, or nothing of it was asked for. */
    if (last->end_us + INDEX_JOIN_US >= newest || f.from_us >= f.to_us || newest <= j->from_us) return;
    day_of(f.from_us, first, sizeof(first));
    day_of(f.to_us, second, sizeof(second));
    look_in(&f, first);
    if (strcmp(first, second) != 0) look_in(&f, second);
}
