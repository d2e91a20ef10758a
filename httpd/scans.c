#include "httpd/scans.h"
#include "common/base/list.h"
#include "common/base/mem.h"

#include <pthread.h>

struct scan {
    struct list link;
    char uid[40];
    uint64_t id;
    unsigned users; /* under the cache's lock */
    size_t bytes;   /* the same: as last counted */
    pthread_mutex_t lock;
    struct seg_table *t;
};

struct scans {
    pthread_mutex_t lock; /* never held over a disk access */
    struct list order;    /* asked for longest ago first */
    size_t bytes, bytes_max;
};

struct scans *scans_new(size_t bytes_max)
{
    struct scans *s = NEW(struct scans);

    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->order);
    s->bytes_max = bytes_max;
    return s;
}

static void drop(struct scans *s, struct scan *c)
{
    s->bytes -= c->bytes;
    list_remove(&c->link);
    pthread_mutex_destroy(&c->lock);
    seg_table_free(c->t);
    mem_free(c);
}

void scans_free(struct scans *s)
{
    if (!s) return;
    LIST_EACH(&s->order, at) drop(s, LIST_ITEM(at, struct scan, link));
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static struct scan *find(struct scans *s, const char *uid, uint64_t id)
{
    LIST_EACH(&s->order, at)
    {
        struct scan *c = LIST_ITEM(at, struct scan, link);

        if (c->id == id && strcmp(c->uid, uid) == 0) return c;
    }
    return NULL;
}

/* Locked for this thread. */
static struct scan *take(struct scans *s, const char *uid, uint64_t id)
{
    struct scan *c;

    pthread_mutex_lock(&s->lock);
    c = find(s, uid, id);
    if (!c) {
        c = NEW(struct scan);
        span_copy(span_of(uid), c->uid, sizeof(c->uid));
        c->id = id;
        pthread_mutex_init(&c->lock, NULL);
    }
    list_remove(&c->link);
    list_push(&s->order, &c->link);
    c->users++;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&c->lock);
    return c;
}

int scans_read(struct scans *s, const char *uid, uint64_t id, int fd, uint64_t bytes, struct scan **ret)
{
    struct scan *c = take(s, uid, id);
    int err = c->t && c->t->scanned >= bytes ? SEG_OK : seg_table_scan(fd, bytes, &c->t);

    if (err == SEG_OK) {
        *ret = c;
        return SEG_OK;
    }
    scan_done(s, c);
    return err;
}

const struct seg_table *scan_table(const struct scan *c)
{
    return c->t;
}

void scan_done(struct scans *s, struct scan *c)
{
    size_t bytes = sizeof(*c) + (c->t ? sizeof(*c->t) + c->t->cap * sizeof(c->t->s[0]) : 0);

    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&s->lock);
    s->bytes += bytes - c->bytes;
    c->bytes = bytes;
    c->users--;
    LIST_EACH(&s->order, at)
    {
        struct scan *old = LIST_ITEM(at, struct scan, link);

        if (s->bytes <= s->bytes_max) break;
        if (old->users == 0) drop(s, old);
    }
    pthread_mutex_unlock(&s->lock);
}

size_t scans_bytes(struct scans *s)
{
    size_t bytes;

    pthread_mutex_lock(&s->lock);
    bytes = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}
