#include "archive/rebuild_copies.h"
#include "archive/event_file.h"
#include "archive/lock_file.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

#define EVENTS 1024 /* of one transaction, and looked at together */
#define LOCKS  256

static bool is_young(usec_t wall_us)
{
    return wall_us > clock_wall_us() - REBUILD_YOUNG_US;
}

static void tell(struct rebuild *r, enum rebuild_fault f, const char *uid, uint64_t id)
{
    r->faults++;
    r->found(r->arg, f, uid, id);
}

/* --- the new one --- */

struct filling {
    struct index *ix;
    struct index_lock *page;
    size_t n;
    int err;
};

static void put_locks(struct filling *f)
{
    if (!f->err && f->n > 0) f->err = index_locks_put(f->ix, f->page, f->n);
    f->n = 0;
}

static void take_lock(void *arg, const struct index_lock *lock)
{
    struct filling *f = arg;

    f->page[f->n++] = *lock;
    if (f->n == LOCKS) put_locks(f);
}

static int make_locks(struct rebuild *r, struct index *ix)
{
    struct filling f = {.ix = ix, .page = mem_new_n(LOCKS, sizeof(*f.page))};
    size_t records;
    int err = lock_file_read(r->storage->fd, take_lock, &f, &records);

    put_locks(&f);
    mem_free(f.page);
    return err ? err : f.err;
}

static int make_events(struct rebuild *r, struct index *ix)
{
    struct event *page = mem_new_n(EVENTS, sizeof(*page));
    struct event_reader reader;
    size_t n = EVENTS;
    int err = event_reader_open(r->storage->fd, NULL, &reader);

    while (!err && n == EVENTS) {
        for (n = 0; n < EVENTS && event_reader_next(&reader, &page[n]); n++) continue;
        if (n > 0) err = index_events_restore(ix, page, n);
        r->alive(r->arg, r->done, MAX(r->all, r->done));
    }
    if (!err) err = reader.err; /* nothing follows from a copy that cannot be read */
    event_reader_close(&reader);
    mem_free(page);
    return err;
}

int rebuild_copies_make(struct rebuild *r)
{
    struct index *ix;
    int err = index_open(r->dir, &ix);

    if (err) return err;
    err = make_locks(r, ix);
    if (!err) err = make_events(r, ix);
    index_close(ix);
    return err;
}

/* --- events: is the other its equal? --- */

static bool same_event(const struct event *x, const struct event *y)
{
    return x->id == y->id && x->start_us == y->start_us && x->end_us == y->end_us &&
        x->before_us == y->before_us && x->after_us == y->after_us && strcmp(x->uid, y->uid) == 0 &&
        strcmp(x->kind, y->kind) == 0 && strcmp(x->source, y->source) == 0 &&
        strcmp(x->payload, y->payload) == 0;
}

static int event_order(const struct event *x, const struct event *y)
{
    int order = strcmp(x->uid, y->uid);

    if (order == 0) order = (x->start_us > y->start_us) - (x->start_us < y->start_us);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

/* Of an event's records in its copy, those that end last. */
struct copied {
    bool some, same; /* one is as the index says */
    usec_t end_us;
};

static int look_copy(
    const struct rebuild *r, const struct event *e, const struct event *in, struct copied *ret)
{
    CLEANUP(mem_freep) struct event *at = NEW(struct event);
    struct event_reader reader;
    char day[EVENT_FILE_DAY];
    int err;

    *ret = (struct copied){.end_us = -1};
    event_file_day(e->start_us, day);
    err = event_reader_open(r->storage->fd, day, &reader);
    while (!err && event_reader_next(&reader, at)) {
        if (event_order(at, e) != 0 || at->end_us < ret->end_us) continue;
        if (at->end_us > ret->end_us) ret->same = false;
        ret->some = true;
        ret->end_us = at->end_us;
        ret->same |= in && same_event(at, in);
    }
    if (!err && reader.err != -ENOENT) err = reader.err; /* no such day: no such copy */
    event_reader_close(&reader);
    return err;
}

/* What has no footage any more may have left index and copy, at different times. */
static bool has_footage(struct rebuild *r, const struct event *e)
{
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info);

    return index_first(r->ix, e->uid, first) == INDEX_OK && event_footage_end_us(e) >= first->start_us;
}

/* As the index and, later, its copy are now: a copy is written first. */
static int judge_event(struct rebuild *r, const struct event *e)
{
    CLEANUP(mem_freep) struct event *in = NEW(struct event);
    int get = index_event(r->ix, e->uid, e->start_us, e->id, in), err;
    struct copied c;

    if (get < 0 || index_broken(r->ix) || !has_footage(r, e)) return MIN(get, 0);
    err = look_copy(r, e, get == INDEX_OK ? in : NULL, &c);
    if (err || (get == INDEX_OK && c.same)) return err;
    if (get == INDEX_OK && (!c.some || c.end_us < in->end_us))
        tell(r, REBUILD_UNCOPIED, e->uid, e->id);
    else if (c.some && !is_young(MAX(e->start_us, c.end_us)))
        tell(r, REBUILD_EVENT, e->uid, e->id);
    return 0;
}

/* One side of the comparison: all events in order. */
struct events {
    struct index *ix;
    struct index_event_at at;
    struct event *page;
    size_t i, n;
    int err; /* the worst, or -errno */
};

/* NULL: no more. */
static const struct event *event_at(struct events *s)
{
    while (s->i == s->n && !s->at.end && s->err >= 0) {
        int err = index_events(s->ix, &EVENT_QUERY_ALL, &s->at, s->page, EVENTS, &s->n);

        s->i = 0;
        s->err = err < 0 ? err : MAX(err, s->err);
        if (err < 0) s->n = 0;
    }
    return s->i < s->n ? &s->page[s->i] : NULL;
}

static int compare_events(struct rebuild *r, struct index *made)
{
    struct events x = {.ix = made, .page = mem_new_n(EVENTS, sizeof(struct event))};
    struct events y = {.ix = r->ix, .page = mem_new_n(EVENTS, sizeof(struct event))};
    int err = 0;

    while (!err) {
        const struct event *a = event_at(&x), *b = event_at(&y);
        int order = a && b ? event_order(a, b) : a ? -1 : 1;

        if (!a && !b) break;
        if (order != 0 || !same_event(a, b)) err = judge_event(r, order <= 0 ? a : b);
        x.i += order <= 0;
        y.i += order >= 0;
    }
    mem_free(x.page);
    mem_free(y.page);
    return err ? err : x.err < 0 ? x.err : y.err < 0 ? y.err : MAX(x.err, y.err);
}

/* --- locks --- */

static void know(void *arg, const struct index_lock *lock)
{
    (void)locks_put(arg, lock);
}

/* All of an index, in memory. INDEX_*, -errno. */
static int read_locks(struct index *ix, struct locks *ret)
{
    struct index_lock *page = mem_new_n(LOCKS, sizeof(*page)), last;
    int err = INDEX_OK, worst = INDEX_OK;
    size_t n = LOCKS;

    for (bool first = true; err >= 0 && n == LOCKS; first = false) {
        err = index_locks(ix, first ? NULL : &last, page, LOCKS, &n);
        for (size_t i = 0; i < n; i++) (void)locks_put(ret, &page[i]);
        if (n > 0) last = page[n - 1];
        worst = MAX(worst, err);
    }
    mem_free(page);
    return err < 0 ? err : worst;
}

/* Those that were released are forgotten some day, and what was said just now is on its way. */
static bool lock_matters(const struct index_lock *l)
{
    return l->released_us == 0 && !is_young(l->version_us);
}

/* Those of one that the other does not have as they are. */
static void tell_missing(struct rebuild *r, const struct locks *one, const struct locks *other, bool both)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&one->by_uid, &at, &slot)) {
        const struct lock_list *list = slot.value;

        for (size_t i = 0; i < list->n; i++) {
            const struct index_lock *l = &list->v[i], *o = locks_find(other, l->uid, l->id);

            if (o ? both && o->version_us != l->version_us && !is_young(MAX(o->version_us, l->version_us))
                  : lock_matters(l))
                tell(r, REBUILD_LOCK, l->uid, l->id);
        }
    }
}

/* Few, and quickly read: as they are now. */
static int compare_locks(struct rebuild *r)
{
    struct locks in = {.n = 0}, on = {.n = 0};
    size_t records;
    int err = lock_file_read(r->storage->fd, know, &on, &records), get = INDEX_OK;

    if (!err) get = read_locks(r->ix, &in);
    if (!err && get >= 0 && !index_broken(r->ix)) {
        tell_missing(r, &in, &on, true);
        tell_missing(r, &on, &in, false);
    }
    locks_done(&in);
    locks_done(&on);
    return err ? err : get;
}

int rebuild_copies_compare(struct rebuild *r, struct index *made)
{
    int locks = compare_locks(r), events = locks < 0 ? locks : compare_events(r, made);

    return events < 0 ? events : MAX(locks, events);
}
