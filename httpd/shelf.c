#include "httpd/shelf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>

#define NAME_MAX_N 128

/* The same question up to its end in time: what slides asks for a later one each time. */
struct entry {
    struct list link;
    char name[NAME_MAX_N];
    usec_t to_us, said_us;
    struct away_list *list; /* one of the two */
    struct away_spans *spans;
    size_t cost;
};

struct shelf {
    struct away *away;
    uint16_t node;
    pthread_mutex_t lock;
    struct map by_name;
    struct list used; /* the longest ago first */
    size_t bytes, bytes_max;
    usec_t silent_us; /* it did not answer then; 0: it does */
    int silent_err;
};

struct shelf *shelf_new(struct away *a, uint16_t node, size_t bytes_max)
{
    struct shelf *s = NEW(struct shelf);

    s->away = a;
    s->node = node;
    s->bytes_max = bytes_max;
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->used);
    return s;
}

/* Lock held. */
static void take_out(struct shelf *s, struct entry *e)
{
    map_remove(&s->by_name, span_of(e->name));
    list_remove(&e->link);
    s->bytes -= e->cost;
    away_list_unref(e->list);
    away_spans_unref(e->spans);
    mem_free(e);
}

void shelf_free(struct shelf *s)
{
    if (!s) return;
    while (!list_empty(&s->used)) take_out(s, LIST_ITEM(s->used.next, struct entry, link));
    map_done(&s->by_name);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static void widen(const struct away_ask *q, struct away_ask *ret)
{
    *ret = *q;
    ret->from_us = MAX(ret->from_us, 0) / SHELF_GRID_US * SHELF_GRID_US;
    if (ret->to_us < SEG_TIME_MAX_US)
        ret->to_us += SHELF_GRID_US - 1 - (ret->to_us + SHELF_GRID_US - 1) % SHELF_GRID_US;
    ret->to_us = MIN(ret->to_us, SEG_TIME_MAX_US);
}

static void name_of(const struct away_ask *q, char kind, char *dst, size_t cap)
{
    snprintf(dst, cap, "%c%s/%llx/%llx/%u", kind, q->uid, (unsigned long long)q->from_us,
        (unsigned long long)q->after, q->most);
}

/* Lock held. Does it say all of what is asked? */
static bool covers(const struct entry *e, const struct away_ask *q)
{
    return e->to_us >= q->to_us || (e->list && e->list->more);
}

/* What is known; fresh, or of a node that is silent. Referenced in *ret. */
static bool look(struct shelf *s, const char *name, const struct away_ask *q, struct entry *ret, bool silent)
{
    usec_t now_us = clock_mono_us();
    struct entry *e;
    bool good;

    pthread_mutex_lock(&s->lock);
    e = map_get(&s->by_name, span_of(name));
    good = e && (silent || (now_us - e->said_us < SHELF_FRESH_US && covers(e, q)));
    if (good) {
        list_remove(&e->link);
        list_push(&s->used, &e->link);
        *ret = *e;
        if (ret->list) away_list_ref(ret->list);
        if (ret->spans) away_spans_ref(ret->spans);
    }
    pthread_mutex_unlock(&s->lock);
    return good;
}

static bool partial(const struct entry *e)
{
    return e->list ? e->list->partial : e->spans->partial;
}

static size_t cost_of(const struct entry *e)
{
    return sizeof(*e) + (e->list ? e->list->bytes.cap + e->list->cap * sizeof(e->list->v[0]) : 0) +
        (e->spans ? e->spans->cap * sizeof(e->spans->v[0]) : 0);
}

static void keep(struct shelf *s, struct entry *e)
{
    struct entry *before;

    e->said_us = clock_mono_us();
    e->cost = cost_of(e);
    if (e->list) away_list_ref(e->list);
    if (e->spans) away_spans_ref(e->spans);
    pthread_mutex_lock(&s->lock);
    s->silent_us = 0;
    before = map_get(&s->by_name, span_of(e->name));
    if (before) take_out(s, before);
    map_set(&s->by_name, span_of(e->name), e);
    list_push(&s->used, &e->link);
    s->bytes += e->cost;
    while (s->bytes > s->bytes_max && !list_empty(&s->used))
        take_out(s, LIST_ITEM(s->used.next, struct entry, link));
    pthread_mutex_unlock(&s->lock);
}

/* It was silent a moment ago: nobody waits for it again at once. 0: it may be asked. */
static int silence(struct shelf *s)
{
    int err;

    pthread_mutex_lock(&s->lock);
    err = s->silent_us != 0 && clock_mono_us() - s->silent_us < SHELF_SILENT_US ? s->silent_err : 0;
    pthread_mutex_unlock(&s->lock);
    return err;
}

static void note_silence(struct shelf *s, int err)
{
    if (err != -ETIMEDOUT && err != -EHOSTUNREACH) return;
    pthread_mutex_lock(&s->lock);
    s->silent_us = clock_mono_us();
    s->silent_err = err;
    pthread_mutex_unlock(&s->lock);
}

/* Asks, keeps the answer, and gives it; else what is there of before. */
static int get(struct shelf *s, char kind, const struct away_ask *asked, struct entry *ret, bool *ret_stale)
{
    struct entry *e;
    struct away_ask q;
    char name[NAME_MAX_N];
    int err;

    widen(asked, &q);
    q.node = s->node;
    name_of(&q, kind, name, sizeof(name));
    *ret_stale = false;
    if (look(s, name, &q, ret, false)) {
        *ret_stale = partial(ret);
        return 0;
    }
    err = silence(s);
    if (err == 0) {
        e = NEW(struct entry);
        memcpy(e->name, name, sizeof(name));
        e->to_us = q.to_us;
        err = kind == 'r' ? away_ranges(s->away, &q, &e->spans) : away_find(s->away, &q, &e->list);
        if (err == 0) {
            *ret = *e;
            *ret_stale = partial(e);
            keep(s, e);
            return 0;
        }
        mem_free(e);
        note_silence(s, err);
    }
    *ret_stale = look(s, name, &q, ret, true);
    return *ret_stale ? 0 : err;
}

int shelf_find(struct shelf *s, const struct away_ask *q, struct away_list **ret, bool *ret_stale)
{
    struct entry e;
    int err = get(s, 'f', q, &e, ret_stale);

    if (err == 0) *ret = e.list;
    return err;
}

int shelf_ranges(struct shelf *s, const struct away_ask *q, struct away_spans **ret, bool *ret_stale)
{
    struct entry e;
    int err = get(s, 'r', q, &e, ret_stale);

    if (err == 0) *ret = e.spans;
    return err;
}

/* Nobody asks for the same again at once: they are not kept. */
int shelf_marks(struct shelf *s, const struct away_ask *asked, struct away_marks **ret)
{
    struct away_ask q = *asked;
    int err = silence(s);

    q.node = s->node;
    if (err == 0) err = away_marks(s->away, &q, ret);
    note_silence(s, err);
    return err;
}

size_t shelf_bytes(struct shelf *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return n;
}
