#include "archive/pending.h"
#include "archive/reader.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <unistd.h>

/* Behind a failure, for clocks that are a little apart: the segment's may be the camera's. */
#define DOUBT_MORE_US (60 * US_PER_S)

void pending_init(struct pending *p)
{
    *p = (struct pending){0};
    list_init(&p->sure);
    list_init(&p->doubtful);
}

static void out(struct pending_seg *s)
{
    list_remove(&s->link);
    mem_free(s);
}

void pending_clear(struct pending *p)
{
    pending_drop(p, p->n_sure, NULL, NULL);
    while (p->n_doubtful > 0) pending_settle(p, pending_doubtful(p), false);
}

bool pending_add(struct pending *p, const struct seg_info *info, bool doubtful)
{
    struct pending_seg *s;

    doubtful = doubtful || (p->doubt_us > 0 && info->start_us <= p->doubt_us + DOUBT_MORE_US);
    if (p->n_sure + p->n_doubtful >= PENDING_MAX) return false;
    s = NEW(struct pending_seg);
    s->info = *info;
    list_push(doubtful ? &p->doubtful : &p->sure, &s->link);
    ++*(doubtful ? &p->n_doubtful : &p->n_sure);
    return true;
}

void pending_doubt(struct pending *p, usec_t wall_us)
{
    p->doubt_us = wall_us;
    while (p->n_sure > 0) {
        struct list *first = p->sure.next;

        list_remove(first);
        list_push(&p->doubtful, first);
        p->n_sure--;
        p->n_doubtful++;
    }
}

struct pending_seg *pending_doubtful(const struct pending *p)
{
    return p->n_doubtful > 0 ? LIST_ITEM(p->doubtful.next, struct pending_seg, link) : NULL;
}

static bool list_has(const struct list *l, const char *uid)
{
    LIST_EACH(l, link)
    {
        if (strcmp(LIST_ITEM(link, struct pending_seg, link)->info.uid, uid) == 0) return true;
    }
    return false;
}

bool pending_has(const struct pending *p, const char *uid)
{
    return list_has(&p->sure, uid) || list_has(&p->doubtful, uid);
}

bool pending_is_doubtful(const struct pending *p, const char *uid, uint64_t id)
{
    LIST_EACH(&p->doubtful, link)
    {
        const struct seg_info *i = &LIST_ITEM(link, struct pending_seg, link)->info;

        if (i->id == id && strcmp(i->uid, uid) == 0) return true;
    }
    return false;
}

void pending_settle(struct pending *p, struct pending_seg *s, bool keep)
{
    p->n_doubtful--;
    if (!keep) {
        out(s);
        return;
    }
    list_remove(&s->link);
    list_push(&p->sure, &s->link);
    p->n_sure++;
}

int pending_put(const struct pending *p, struct index *ix, size_t n)
{
    const struct seg_info **infos = mem_new_n(n, sizeof(void *));
    size_t i = 0;
    int err;

    LIST_EACH(&p->sure, link)
    {
        if (i == n) break;
        infos[i++] = &LIST_ITEM(link, struct pending_seg, link)->info;
    }
    err = index_put(ix, infos, i);
    mem_free(infos);
    return err;
}

void pending_uncache(const struct pending *p, size_t n, const char *storage_path)
{
    LIST_EACH(&p->sure, link)
    {
        const struct seg_info *i = &LIST_ITEM(link, struct pending_seg, link)->info;
        int fd;

        if (n-- == 0) return;
        if (seg_open(storage_path, i->uid, i->path, &fd) < 0) continue;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

void pending_drop(
    struct pending *p, size_t n, void (*stored)(void *arg, const char *uid, uint64_t id), void *arg)
{
    for (; n > 0; n--) {
        struct pending_seg *s = LIST_ITEM(p->sure.next, struct pending_seg, link);

        if (stored) stored(arg, s->info.uid, s->info.id);
        p->n_sure--;
        out(s);
    }
}
