#include "master/cluster/takes.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/net/pool.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records.h"
#include "master/edits_batch.h"
#include "master/master.h"

#define GATHER_US (20 * US_PER_MS) /* what comes together is stored together */
#define PATH_MOST 4096

struct take {
    struct list link; /* in queue */
    char uid[CONF_UID_MAX + 1];
    uint64_t revision;
    uint8_t *text; /* NULL: it goes */
    size_t n;
};
struct takes {
    struct cluster *c;
    struct pool *pool;
    struct list queue; /* in the order of their first coming */
    struct map by_uid; /* of the queue */
    struct loop_timer timer;
    struct take **under_way; /* each item of the batch that is stored */
    struct edits_batch *batch;
};

void takes_open(struct cluster *c)
{
    struct takes *t = c->takes = NEW(struct takes);

    t->c = c;
    list_init(&t->queue);
}

static void take_free(struct take *x)
{
    mem_free(x->text);
    mem_free(x);
}

static void under_way_free(struct takes *t)
{
    for (size_t i = 0; t->batch && i < edits_batch_n(t->batch); i++) take_free(t->under_way[i]);
    mem_free(t->under_way);
    t->under_way = NULL;
}

void takes_close(struct cluster *c)
{
    struct takes *t = c->takes;

    if (!t) return;
    loop_timer_stop(&t->timer);
    pool_free(t->pool);
    under_way_free(t);
    if (t->batch) edits_batch_free(t->batch);
    LIST_EACH(&t->queue, link) take_free(LIST_ITEM(link, struct take, link));
    map_done(&t->by_uid);
    mem_free(t);
    c->takes = NULL;
}

/* --- where they go --- */

/* How many streams stand in each file: one that holds several is not one of the store's. */
static void count_files(const struct conf *c, struct map *to)
{
    for (size_t i = 0; i < c->n_streams; i++) {
        struct span file = span_of(c->streams[i]->file);
        uintptr_t n = (uintptr_t)map_get(to, file);

        map_set(to, file, (void *)(n + 1)); /* NOLINT(performance-no-int-to-ptr): a number */
    }
}

/* NULL: *ret; or why there is no place for it. */
static const char *path_of(
    const struct conf *c, const struct map *files, const char *uid, char ret[static PATH_MOST])
{
    const struct conf_stream *s = conf_stream(c, span_of(uid));

    if (s && (uintptr_t)map_get(files, span_of(s->file)) > 1)
        return "its file holds other streams too: give it a file of its own";
    if (s && !span_copy(span_of(s->file), ret, PATH_MOST)) return "the path of its file is too long";
    if (!s && !conf_stream_path(c, span_of(uid), ret, PATH_MOST))
        return "no pattern of [streams] include takes its file";
    return NULL;
}

/* --- one batch after the other --- */

static void turn(struct loop_timer *timer);

static void on_stored(void *arg, struct edits_batch *b)
{
    struct takes *t = arg;
    struct take **v = t->under_way;
    size_t n = edits_batch_n(b);

    t->batch = NULL;
    t->under_way = NULL;
    for (size_t i = 0; i < n; i++) {
        records_stored(
            t->c->m, v[i]->uid, v[i]->revision, edits_batch_refused(b, i), edits_batch_revision(b));
        take_free(v[i]);
    }
    mem_free(v);
    edits_batch_free(b);
    if (!list_empty(&t->queue)) loop_timer_set(t->c->m->loop, &t->timer, 1, turn, t);
}

/* What one caller has asked for is a revision of its own. */
static bool fits(const struct takes *t, const struct take *x, uint64_t id)
{
    struct records_by by;

    return (records_by(t->c->m, x->uid, &by) ? by.id : 0) == id;
}

static void add(struct takes *t, struct take *x, const struct map *files)
{
    char path[PATH_MOST];
    const char *why = path_of(t->c->m->conf, files, x->uid, path);

    list_remove(&x->link);
    map_remove(&t->by_uid, span_of(x->uid));
    if (why) {
        records_stored(t->c->m, x->uid, x->revision, why, 0);
        take_free(x);
        return;
    }
    edits_batch_add(t->batch, x->uid, path, x->text ? span(x->text, x->n) : SPAN_NONE);
    t->under_way[edits_batch_n(t->batch) - 1] = x;
}

static void gather(struct takes *t, uint64_t id)
{
    struct map files = {0};
    size_t bytes = 0;

    count_files(t->c->m->conf, &files);
    LIST_EACH(&t->queue, link)
    {
        struct take *x = LIST_ITEM(link, struct take, link);

        if (edits_batch_n(t->batch) == EDITS_BATCH_MAX || bytes > EDITS_BATCH_BYTES) break;
        if (!fits(t, x, id)) continue;
        bytes += x->n;
        add(t, x, &files);
    }
    map_done(&files);
}

static void turn(struct loop_timer *timer)
{
    struct takes *t = timer->arg;
    struct records_by by = {.by = "etcd", .why = "from the site's etcd"};

    if (t->batch || list_empty(&t->queue)) return;
    if (!t->pool) t->pool = pool_new(1, 1);
    (void)records_by(t->c->m, LIST_ITEM(t->queue.next, struct take, link)->uid, &by);
    t->under_way = mem_new_n(EDITS_BATCH_MAX, sizeof(struct take *));
    t->batch = edits_batch_new(t->c->m, by.by, by.why);
    gather(t, by.id);
    if (edits_batch_n(t->batch) > 0)
        edits_batch_run(t->batch, t->pool, on_stored, t);
    else
        on_stored(t, t->batch); /* there is no place for any */
}

void takes_add(struct takes *t, const char *uid, uint64_t revision, struct span text)
{
    struct take *x = map_get(&t->by_uid, span_of(uid));

    if (!x) {
        x = NEW(struct take);
        span_copy(span_of(uid), x->uid, sizeof(x->uid));
        list_push(&t->queue, &x->link);
        map_set(&t->by_uid, span_of(x->uid), x);
    }
    mem_free(x->text);
    x->revision = revision;
    x->text = text.p ? mem_dup(text.p, MAX(text.n, 1)) : NULL;
    x->n = text.n;
    if (!t->batch && !loop_timer_armed(&t->timer))
        loop_timer_set(t->c->m->loop, &t->timer, GATHER_US, turn, t);
}
