#include "archive/work_fill.h"
#include "archive/repair.h"
#include "archive/work.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640

struct fill {
    struct list link;
    uint64_t id; /* of FILL_OPEN */
    uint16_t node;
    uid_t owner;
    gid_t group;
    int day, fd;  /* the day's folder; the file */
    bool deleted; /* its time was, since it was opened */
    struct seg_info info;
};

void work_fill_init(struct work_fill *f)
{
    *f = (struct work_fill){0};
    list_init(&f->files);
    list_init(&f->stored);
}

static void fill_free(struct work *w, struct fill *f)
{
    if (f->fd >= 0) w->fill.n_files--;
    list_remove(&f->link);
    fd_close(&f->fd);
    fd_close(&f->day);
    mem_free(f);
}

static struct fill *find(const struct list *list, uint64_t id)
{
    LIST_EACH(list, link)
    {
        struct fill *f = LIST_ITEM(link, struct fill, link);

        if (f->id == id) return f;
    }
    return NULL;
}

/* --- is there room? --- */

/* What its own policy would delete at once, or what is older than all that would have to go for it, is not
 * copied: it would come again and again. */
static int room_for(struct work *w, const char *uid, const struct seg_info *info)
{
    const struct keep_policy *p = map_get(&w->keep.policies, span_of(uid));
    struct index_total total = {.bytes = 0};
    struct disk_report report = {0};
    struct reap_setup s;
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info);
    uint64_t capacity;

    if (!p) return -ENOENT;
    work_keep_setup(w, &s);
    if (p->duration_us > 0 && info->end_us < s.now_us - p->duration_us) return -ENOSPC;
    capacity = retention_capacity(p, s.room.total);
    if (index_first(w->indexer.ix, uid, first) != INDEX_OK) first->start_us = info->start_us;
    (void)index_total(w->indexer.ix, uid, &total);
    if (total.bytes + info->bytes > capacity && info->start_us <= first->start_us) return -ENOSPC;
    s.room.free -= MIN(s.room.free, info->bytes);
    if (retention_needed(&s.room) == 0) return 0;
    work_keep_report(w, &report);
    return report.oldest_us > 0 && info->start_us > report.oldest_us ? 0 : -ENOSPC;
}

/* --- a file --- */

/* What is there under its name, from before a crash or while the index is behind, is taken as it is when it
 * is whole. -EEXIST, -ENOENT: nothing is there. */
static int look_before(struct work *w, const struct fill *f)
{
    CLEANUP(mem_freep) struct seg_info *there = NEW(struct seg_info);
    CLEANUP(fd_close) int records = -1;
    int err;

    if (index_get(w->indexer.ix, f->info.uid, f->info.id, there) == INDEX_OK ||
        index_is_trash(w->indexer.ix, f->info.uid, f->info.id))
        return -EEXIST;
    err = storage_records_ro(&w->storage, f->info.uid, &records);
    if (!err) err = repair_look(records, f->info.uid, f->info.id, there);
    if (err == SEG_OK) {
        there->flags =
            (there->flags & SEG_FLAGS_OF_FILE) | SEG_FILLED | (uint32_t)f->node << SEG_ORIGIN_SHIFT;
        return pending_add(&w->pending, there, true) ? -EEXIST : -EAGAIN;
    }
    return err == -ENOENT || err == -ENOTDIR ? -ENOENT : err < 0 ? err : -EEXIST;
}

static int make_file(const struct work *w, struct fill *f)
{
    CLEANUP(fd_close) int records = -1;
    int err = storage_records(&w->storage, f->info.uid, f->owner, f->group, &records);

    if (!err) err = storage_day_make(records, f->info.path, f->owner, f->group, &f->day);
    if (err) return err;
    f->fd = openat(f->day, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    if (f->fd < 0) return -errno;
    if (fchown(f->fd, f->owner, f->group) < 0 && errno != EPERM) return -errno;
    return 0;
}

void work_fill_open(struct work *w, const struct job *j)
{
    const struct fill_order *o = j->data;
    struct fill *f = find(&w->fill.files, j->id);
    int err = 0;

    if (f) fill_free(w, f);
    f = NEW(struct fill);
    *f = (struct fill){
        .id = j->id, .node = o->node, .owner = j->owner, .group = j->group, .day = -1, .fd = -1};
    f->info = o->info;
    if (!w->usable || w->storage.state != STORAGE_OK || !w->indexer.ix || !w->keep.ready ||
        w->fill.n_files >= WORK_FILLS_MAX || w->pending.n_sure >= PENDING_MAX / 2)
        err = -EAGAIN;
    if (!err) err = look_before(w, f);
    if (err == -ENOENT) err = room_for(w, j->uid, &f->info);
    if (!err) err = make_file(w, f);
    if (!err) {
        list_push(&w->fill.files, &f->link);
        w->fill.n_files++;
        w->ops->on_fill(w->arg, j->id, fcntl(f->fd, F_DUPFD_CLOEXEC, 0), 0);
        return;
    }
    fd_close(&f->fd);
    fd_close(&f->day);
    mem_free(f);
    w->ops->on_fill(w->arg, j->id, -1, -err);
}

/* --- its end --- */

static int give_name(const struct fill *f)
{
    char from[32];
    struct span rest = span_of(f->info.path), name = SPAN_NONE;
    char to[SEG_PATH_MAX];

    while (span_split(&rest, '/', &name) && rest.n > 0) continue;
    snprintf(from, sizeof(from), "/proc/self/fd/%d", f->fd);
    span_copy(name, to, sizeof(to));
    return linkat(AT_FDCWD, from, f->day, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int verify(const struct work *w, const struct fill *f)
{
    const struct segproof_watch watch = {w->ops->alive, w->arg};
    struct stat st;
    int err;

    if (fstat(f->fd, &st) < 0) return -errno;
    if ((uint64_t)st.st_size != f->info.bytes) return -EBADMSG;
    err = segproof_file(f->fd, &f->info, &watch);
    return err > 0 ? -EBADMSG : err;
}

void work_fill_done(struct work *w, const struct job *j)
{
    struct fill *f = find(&w->fill.files, j->id);
    int err = 0;

    if (!f) {
        w->ops->on_fill(w->arg, j->id, -1, EAGAIN);
        return;
    }
    err = f->deleted ? -EAGAIN : verify(w, f);
    if (!err && seg_info_load(f->fd, &f->info) != SEG_OK) err = -EBADMSG;
    f->info.flags = (f->info.flags & SEG_FLAGS_OF_FILE) | SEG_FILLED | (uint32_t)f->node << SEG_ORIGIN_SHIFT;
    if (!err) err = give_name(f);
    if (!err && !pending_add(&w->pending, &f->info, false)) err = -EAGAIN;
    if (err) {
        fill_free(w, f);
        w->ops->on_fill(w->arg, j->id, -1, -err);
        return;
    }
    w->fill.n_files--;
    list_remove(&f->link);
    fd_close(&f->fd);
    list_push(&w->fill.stored, &f->link);
}

void work_fill_drop(struct work *w, const struct job *j)
{
    LIST_EACH(&w->fill.files, link)
    {
        struct fill *f = LIST_ITEM(link, struct fill, link);

        if (j->id == 0 || f->id == j->id) fill_free(w, f);
    }
}

void work_fill_deleted(struct work *w, const char *uid, usec_t from_us, usec_t to_us)
{
    LIST_EACH(&w->fill.files, link)
    {
        struct fill *f = LIST_ITEM(link, struct fill, link);

        f->deleted |= strcmp(f->info.uid, uid) == 0 && f->info.start_us >= from_us && f->info.end_us <= to_us;
    }
}

bool work_fill_stored(struct work *w, const char *uid, uint64_t segment)
{
    LIST_EACH(&w->fill.stored, link)
    {
        struct fill *f = LIST_ITEM(link, struct fill, link);
        uint64_t id = f->id;

        if (f->info.id != segment || strcmp(f->info.uid, uid) != 0) continue;
        fill_free(w, f);
        w->ops->on_fill(w->arg, id, -1, 0);
        return true;
    }
    return false;
}

void work_fill_end(struct work *w)
{
    struct list *both[] = {&w->fill.files, &w->fill.stored};

    for (size_t i = 0; i < ARRAY_N(both); i++)
        LIST_EACH(both[i], link) fill_free(w, LIST_ITEM(link, struct fill, link));
}
