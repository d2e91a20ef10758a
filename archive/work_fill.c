#include "archive/work_fill.h"
#include "archive/origin.h"
#include "archive/repair.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640
#define PART_MAX  32 /* WORK_FILL_PARTS "/1f" */

struct fill {
    struct list link;
    uint64_t id; /* of FILL_OPEN */
    uint16_t node;
    uid_t owner;
    gid_t group;
    int day, fd;         /* the day's folder; the file */
    bool deleted;        /* its time was, since it was opened */
    char part[PART_MAX]; /* its name on the storage before it gets its own; "": it has none */
    struct seg_info info;
};

void work_fill_init(struct work_fill *f)
{
    *f = (struct work_fill){0};
    list_init(&f->files);
    list_init(&f->stored);
}

static void close_file(const struct work *w, struct fill *f)
{
    if (f->part[0])
        (void)unlinkat(w->storage.fd, f->part, 0); /* what stays goes when the storage is opened */
    f->part[0] = 0;
    fd_close(&f->fd);
    fd_close(&f->day);
}

static void fill_free(struct work *w, struct fill *f)
{
    if (f->fd >= 0) w->fill.n_files--;
    list_remove(&f->link);
    close_file(w, f);
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

/* --- what is remembered of a while --- */

/* With one of the same stream that it touches. */
static void remember(
    struct work_fill_ranges *r, const char *uid, usec_t from_us, usec_t to_us, usec_t until_us)
{
    struct work_fill_range *x = NULL;

    for (size_t i = 0; i < r->n && !x; i++)
        if (strcmp(r->v[i].uid, uid) == 0 && from_us <= r->v[i].to_us + INDEX_JOIN_US &&
            to_us >= r->v[i].from_us - INDEX_JOIN_US)
            x = &r->v[i];
    if (x) {
        x->from_us = MIN(x->from_us, from_us);
        x->to_us = MAX(x->to_us, to_us);
        x->until_us = until_us;
        return;
    }
    if (!r->v) r->v = mem_new_n(WORK_FILL_RANGES, sizeof(*r->v));
    x = &r->v[r->at];
    r->at = (r->at + 1) % WORK_FILL_RANGES;
    r->n = MIN(r->n + 1, WORK_FILL_RANGES);
    *x = (struct work_fill_range){.from_us = from_us, .to_us = to_us, .until_us = until_us};
    span_copy(span_of(uid), x->uid, sizeof(x->uid));
}

static bool is_of(const struct work_fill_range *r, const char *uid)
{
    return clock_mono_us() < r->until_us && strcmp(r->uid, uid) == 0;
}

static void forget(struct work_fill_ranges *r)
{
    mem_free(r->v);
    *r = (struct work_fill_ranges){.n = 0};
}

bool work_fill_refused(
    const struct work *w, const char *uid, size_t i, usec_t *ret_from_us, usec_t *ret_to_us)
{
    const struct work_fill_ranges *r = &w->fill.refused;

    for (size_t k = 0; k < r->n; k++) {
        if (!is_of(&r->v[k], uid) || i-- > 0) continue;
        *ret_from_us = r->v[k].from_us;
        *ret_to_us = r->v[k].to_us;
        return true;
    }
    return false;
}

static bool was_deleted(const struct work *w, const struct seg_info *info)
{
    const struct work_fill_ranges *r = &w->fill.deleted;
    bool was = false;

    for (size_t i = 0; i < r->n && !was; i++)
        was =
            is_of(&r->v[i], info->uid) && info->start_us >= r->v[i].from_us && info->end_us <= r->v[i].to_us;
    return was;
}

/* --- is there room? --- */

/* Its own policy deletes it at once: it is older than that, or above the capacity and older than all there
 * is. */
static bool is_due(
    struct work *w, const struct reap_setup *s, const struct keep_policy *p, const struct seg_info *info)
{
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info);
    uint64_t capacity = retention_capacity(p, s->room.total);
    struct index_total total = {.bytes = 0};

    if (p->duration_us > 0 && info->end_us < s->now_us - p->duration_us) return true;
    if (index_first(w->indexer.ix, info->uid, first) != INDEX_OK) first->start_us = info->start_us;
    (void)index_total(w->indexer.ix, info->uid, &total);
    return total.bytes + info->bytes > capacity && info->start_us <= first->start_us;
}

/* What would be deleted at once, or what is older than all that would have to go for it, is not copied: it
 * would come again and again. What a lock or an event keeps comes: nothing deletes it here either. */
static int room_for(struct work *w, const char *uid, const struct seg_info *info)
{
    const struct keep_policy *p = map_get(&w->keep.policies, span_of(uid));
    struct disk_report report = {0};
    struct reap_setup s;
    usec_t until_us;

    if (!p) return -ENOENT;
    work_keep_setup(w, &s);
    if (locks_hold(&w->keep.locks, uid, info->start_us, info->end_us, &until_us) ||
        reap_event_keeps(w->indexer.ix, uid, p, info, s.now_us))
        return 0;
    if (is_due(w, &s, p, info)) {
        remember(&w->fill.refused, uid, info->start_us, info->end_us, clock_mono_us() + WORK_FILL_REFUSED_US);
        return -ENOSPC;
    }
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
        there->flags = (there->flags & SEG_FLAGS_OF_FILE) | origin_bits(f->node);
        return pending_add(&w->pending, there, true) ? -EEXIST : -EAGAIN;
    }
    return err == -ENOENT || err == -ENOTDIR ? -ENOENT : err < 0 ? err : -EEXIST;
}

static int open_parts(const struct work *w, int *ret_fd)
{
    int fd = openat(w->storage.fd, WORK_FILL_PARTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) return -errno;
    *ret_fd = fd;
    return 0;
}

/* With a name that no scan looks at, in a folder that is the keeper's alone. */
static int make_part(struct work *w, struct fill *f)
{
    if (mkdirat(w->storage.fd, WORK_FILL_PARTS, 0700) < 0 && errno != EEXIST) return -errno;
    snprintf(f->part, sizeof(f->part), WORK_FILL_PARTS "/%llx", (unsigned long long)++w->fill.parts);
    f->fd = openat(w->storage.fd, f->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (f->fd >= 0) return 0;
    f->part[0] = 0;
    return -errno;
}

static int make_file(struct work *w, struct fill *f)
{
    CLEANUP(fd_close) int records = -1;
    int err = storage_records(&w->storage, f->info.uid, f->owner, f->group, &records);

    if (!err) err = storage_day_make(records, f->info.path, f->owner, f->group, &f->day);
    if (err) return err;
    f->fd = openat(f->day, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    if (f->fd < 0) err = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? make_part(w, f) : -errno;
    if (err) return err;
    origin_note(f->fd, f->node); /* while it is the keeper's own */
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
    err = work_events_put(w); /* what keeps it is known, and is here before it */
    if (err) w->keep.wrote_err = err;
    if (err || !w->usable || w->storage.state != STORAGE_OK || !w->indexer.ix || !w->keep.ready ||
        w->fill.n_files >= WORK_FILLS_MAX || w->pending.n_sure >= PENDING_MAX / 2)
        err = -EAGAIN;
    if (!err) err = was_deleted(w, &f->info) ? -EAGAIN : look_before(w, f);
    if (err == -ENOENT) err = room_for(w, j->uid, &f->info);
    if (!err) err = make_file(w, f);
    if (!err) {
        list_push(&w->fill.files, &f->link);
        w->fill.n_files++;
        w->ops->on_fill(w->arg, j->id, fcntl(f->fd, F_DUPFD_CLOEXEC, 0), 0);
        return;
    }
    close_file(w, f);
    mem_free(f);
    w->ops->on_fill(w->arg, j->id, -1, -err);
}

void work_fill_opened(struct work *w)
{
    int fd = -1;
    DIR *d = open_parts(w, &fd) == 0 ? fdopendir(fd) : NULL;

    if (!d) {
        fd_close(&fd);
        return;
    }
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.') (void)unlinkat(fd, e->d_name, 0);
    closedir(d);
}

/* --- its end --- */

/* Ids are times that have gone by: nobody makes a file of this name meanwhile. */
static int move_part(const struct work *w, struct fill *f, const char *to)
{
    struct stat st;

    if (fstatat(f->day, to, &st, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
    if (renameat(w->storage.fd, f->part, f->day, to) < 0) return -errno;
    f->part[0] = 0;
    return 0;
}

static int give_name(const struct work *w, struct fill *f)
{
    char from[32];
    struct span rest = span_of(f->info.path), name = SPAN_NONE;
    char to[SEG_PATH_MAX];

    while (span_split(&rest, '/', &name) && rest.n > 0) continue;
    span_copy(name, to, sizeof(to));
    if (f->part[0]) return move_part(w, f, to);
    snprintf(from, sizeof(from), "/proc/self/fd/%d", f->fd);
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
    f->info.flags = (f->info.flags & SEG_FLAGS_OF_FILE) | origin_bits(f->node);
    if (!err) err = give_name(w, f);
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

void work_fill_deleted(struct work *w, const char *uid, usec_t from_us, usec_t to_us, bool act)
{
    if (act) remember(&w->fill.deleted, uid, from_us, to_us, clock_mono_us() + WORK_FILL_DELETED_US);
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
    forget(&w->fill.deleted);
    forget(&w->fill.refused);
}
