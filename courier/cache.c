#include "courier/cache.h"
#include "archive/segproof.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum state { WAITING, LOADING, CHECKING, READY };

struct cached {
    struct list link; /* the most recently used last */
    struct cache *cache;
    struct cache_name name;
    enum state state;
    int fd, err;
    uint64_t bytes;
    bool whole, gone; /* gone: nobody finds it any more; freed when its check is over */
    usec_t ready_us;
    struct call call;
    struct list wants;
    struct job check;
};
struct cache {
    struct nodes *nodes;
    struct list list;
    struct pool *checker;
    uint64_t bytes;
    unsigned loading;
};

/* --- the end of one --- */

static void start_waiting(struct cache *c);

static void drop(struct cached *e)
{
    list_remove(&e->link);
    call_drop(&e->call);
    e->cache->bytes -= e->bytes;
    e->bytes = 0;
    e->gone = true;
    if (e->state == CHECKING) return;
    fd_close(&e->fd);
    mem_free(e);
}

static void tell(struct cached *e, int err)
{
    struct list wants;

    /* one that is told may want something else */
    list_init(&wants);
    while (!list_empty(&e->wants)) {
        struct list *w = e->wants.next;

        list_remove(w);
        list_push(&wants, w);
    }
    while (!list_empty(&wants)) {
        struct cache_want *w = LIST_ITEM(wants.next, struct cache_want, link);

        list_remove(&w->link);
        w->fn(w, err, e->fd, e->bytes);
    }
}

static void failed(struct cached *e, int err)
{
    struct cache *c = e->cache;

    c->loading -= e->state == LOADING || e->state == CHECKING;
    if (e->state == CHECKING) e->state = READY;
    list_remove(&e->link);
    list_init(&e->link);
    tell(e, err);
    drop(e);
    start_waiting(c);
}

static bool in_use(const struct cached *e)
{
    return e->state != READY || !list_empty(&e->wants);
}

/* Whoever has been given a file keeps it. */
static void make_room(struct cache *c, uint64_t bytes)
{
    LIST_EACH(&c->list, link)
    {
        struct cached *e = LIST_ITEM(link, struct cached, link);

        if (c->bytes + bytes <= CACHE_BYTES_MAX) return;
        if (!in_use(e)) drop(e);
    }
}

/* --- the check --- */

static void work_check(struct job *j)
{
    struct cached *e = CONTAINER(j, struct cached, check);
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    int err = seg_info_load(e->fd, info);

    if (!err &&
        (strcmp(info->uid, e->name.uid) != 0 || info->id != e->name.segment || info->bytes != e->bytes))
        err = SEG_E_BAD;
    if (!err) err = segproof_file(e->fd, info, NULL);
    e->err = err < 0 ? -err : err != SEG_OK ? EBADMSG : 0;
}

static void ready(struct cached *e)
{
    struct cache *c = e->cache;

    (void)fcntl(e->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    e->state = READY;
    e->ready_us = loop_now_us(c->nodes->loop);
    c->loading--;
    tell(e, 0);
    start_waiting(c);
}

static void done_check(struct job *j)
{
    struct cached *e = CONTAINER(j, struct cached, check);

    if (e->gone) {
        fd_close(&e->fd);
        mem_free(e);
    } else if (e->err) {
        failed(e, e->err);
    } else {
        ready(e);
    }
}

static void check(struct cached *e)
{
    if (!e->whole) {
        ready(e); /* its fragments are marked; whoever reads them looks at that */
        return;
    }
    e->state = CHECKING;
    e->check = (struct job){.work = work_check, .done = done_check, .loop = e->cache->nodes->loop};
    if (!pool_put(e->cache->checker, &e->check)) failed(e, EBUSY);
}

/* --- loading --- */

static int take_chunk(struct cached *e, struct span bytes)
{
    struct cache *c = e->cache;

    if (bytes.n == 0 || e->bytes + bytes.n > CACHE_FILE_MAX) return EFBIG;
    make_room(c, bytes.n);
    if (c->bytes + bytes.n > CACHE_BYTES_MAX) return ENOSPC;
    if (pwrite(e->fd, bytes.p, bytes.n, (off_t)e->bytes) != (ssize_t)bytes.n) return ENOSPC;
    e->bytes += bytes.n;
    c->bytes += bytes.n;
    return 0;
}

static void answered(struct call *call, const struct wire_frame *f, int err)
{
    struct cached *e = call->arg;

    if (f && f->type == WIRE_CHUNK) {
        struct span bytes = packed_str(f->body, "bytes");

        err = take_chunk(e, bytes);
        if (err == 0)
            call_more(call, bytes.n);
        else
            failed(e, err);
    } else if (f && f->type == WIRE_END) {
        err = (int)MIN(packed_u64(f->body, "err", EPROTO), 4095);
        if (err == 0 && packed_u64(f->body, "bytes", 0) != e->bytes) err = EBADMSG;
        e->whole = packed_bool(f->body, "whole", false);
        if (err == 0)
            check(e);
        else
            failed(e, err);
    } else if (!f) {
        failed(e, err);
    }
}

static void load(struct cached *e)
{
    struct cache *c = e->cache;
    struct peer *p = nodes_find(c->nodes, e->name.node);
    struct packer *m;

    e->state = LOADING;
    c->loading++;
    e->fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (!p || e->fd < 0) {
        failed(e, !p ? EHOSTUNREACH : errno);
        return;
    }
    e->call = (struct call){.fn = answered, .arg = e};
    m = call_begin(p, &e->call, WIRE_FETCH, 4, CACHE_FETCH_US);
    if (!m) {
        e->call.peer = NULL;
        failed(e, errno);
        return;
    }
    pack_kv_text(m, "storage", e->name.storage);
    pack_kv_text(m, "uid", e->name.uid);
    pack_kv_u64(m, "segment", e->name.segment);
    pack_kv_u64(m, "room", CACHE_ROOM);
    call_send(&e->call);
}

/* In the order they were asked for. */
static void start_waiting(struct cache *c)
{
    LIST_EACH(&c->list, link)
    {
        struct cached *e = LIST_ITEM(link, struct cached, link);

        if (c->loading >= CACHE_LOADS_MAX) return;
        if (e->state != WAITING) continue;
        load(e);
        return; /* one that fails at once has called this again */
    }
}

/* --- from outside --- */

static bool same(const struct cache_name *a, const struct cache_name *b)
{
    return a->node == b->node && a->segment == b->segment && strcmp(a->storage, b->storage) == 0 &&
        strcmp(a->uid, b->uid) == 0;
}

static struct cached *find(struct cache *c, const struct cache_name *name)
{
    usec_t now_us = loop_now_us(c->nodes->loop);

    LIST_EACH(&c->list, link)
    {
        struct cached *e = LIST_ITEM(link, struct cached, link);

        if (!same(&e->name, name)) continue;
        if (e->state != READY || e->whole || now_us - e->ready_us < CACHE_OPEN_US) return e;
        if (!in_use(e)) drop(e);
    }
    return NULL;
}

void cache_get(struct cache *c, const struct cache_name *name, struct cache_want *w)
{
    struct cached *e = find(c, name);

    if (e && e->state == READY) {
        list_remove(&e->link);
        list_push(&c->list, &e->link);
        w->fn(w, 0, e->fd, e->bytes);
        return;
    }
    if (!e) {
        e = NEW(struct cached);
        e->cache = c;
        e->name = *name;
        e->fd = -1;
        list_init(&e->wants);
        list_push(&c->list, &e->link);
    }
    list_push(&e->wants, &w->link);
    if (e->state == WAITING) start_waiting(c);
}

/* What is being fetched is fetched to its end: it was asked for a moment ago. */
void cache_give_up(struct cache_want *w)
{
    list_remove(&w->link);
}

struct cache *cache_new(struct nodes *nodes)
{
    struct cache *c = NEW(struct cache);

    c->nodes = nodes;
    c->checker = pool_new(1, CACHE_LOADS_MAX);
    list_init(&c->list);
    return c;
}

void cache_free(struct cache *c)
{
    if (!c) return;
    pool_free(c->checker);
    LIST_EACH(&c->list, link)
    {
        struct cached *e = LIST_ITEM(link, struct cached, link);

        e->state = READY;
        drop(e);
    }
    mem_free(c);
}
