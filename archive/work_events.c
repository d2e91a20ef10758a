#include "archive/work_events.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "common/wire/token.h"

#define DROP_EVERY_US (60 * US_PER_S)
#define WALK_EVERY_US (600 * US_PER_S)
#define WALK_PAGES    16  /* of a round */
#define DROP_STREAMS  100 /* looked at in a round, */
#define DROP_RECORDS  200 /* and events of each */
#define PAGE          32
#define UNREAD        "storage %s: its index cannot be read"
/* Where the configuration has no age, events without footage stay so long. */
#define KEPT_LEAST_US (10 * 86400 * US_PER_S)

static void add(struct work *w, const struct event *e)
{
    struct work_events *ev = &w->events;

    if (!w->indexer.ix || ev->n == WORK_EVENTS_MAX) return;
    if (!ev->wait) ev->wait = mem_new(WORK_EVENTS_MAX * sizeof(*ev->wait));
    memcpy(&ev->wait[ev->n++], e, sizeof(*ev->wait));
}

void work_event(struct work *w, const struct job *j)
{
    add(w, j->data);
}

int work_events_put(struct work *w)
{
    struct work_events *ev = &w->events;
    int err = INDEX_OK;

    if (ev->n > 0 && w->indexer.ix && work_copies_add(w, ev->wait, ev->n))
        err = index_events_put(w->indexer.ix, ev->wait, ev->n);
    else
        ev->n = 0;
    for (size_t i = 0; !err && i < ev->n; i++) w->ops->on_event(w->arg, &ev->wait[i]);
    ev->n = 0;
    return err;
}

/* --- those that nobody ends --- */

/* A round: the next of those that go on by the index, no more than are put in a batch. */
static int find_open(struct work *w)
{
    struct work_events *ev = &w->events;
    struct event *page = mem_new(PAGE * sizeof(*page));
    size_t n, found = 0;
    int err = INDEX_OK;

    for (unsigned i = 0; i < WALK_PAGES && err >= 0 && found < PAGE && !ev->walk.end; i++) {
        err = index_events(w->indexer.ix, &EVENT_QUERY_ALL, &ev->walk, page, PAGE, &n);
        if (err >= 0) work_copies_seen(w, page, n);
        for (size_t j = 0; err >= 0 && j < n; j++) {
            if (page[j].end_us != 0) continue;
            w->ops->on_open_event(w->arg, &page[j]);
            found++;
        }
    }
    mem_free(page);
    return MIN(err, 0); /* a damaged one is mended by the walk */
}

/* Once what a crash has left is in the index too: an end is taken from footage. */
static int walk(struct work *w, usec_t now_us)
{
    struct work_events *ev = &w->events;
    int err;

    if (now_us < ev->walk_us) return INDEX_OK;
    if (ev->walk.n == 0) {
        if (w->scanning || work_copies_restoring(w) || w->pending.n_sure + w->pending.n_doubtful > 0)
            return INDEX_OK;
        work_copies_walk(w);
    }
    err = find_open(w);
    if (!err && !ev->walk.end) return INDEX_OK;
    work_copies_walked(w, err);
    ev->walk = (struct index_event_at){.n = 0};
    ev->walk_us = now_us + WALK_EVERY_US;
    return err;
}

void work_event_over(struct work *w, const struct job *j)
{
    struct event *e = mem_dup(j->data, sizeof(*e));
    CLEANUP(mem_freep) struct seg_info *last = NEW(struct seg_info);
    usec_t known_us = (usec_t)j->id;

    e->end_us = e->start_us;
    if (w->indexer.ix && index_last_by(w->indexer.ix, e->uid, known_us, last) == INDEX_OK)
        e->end_us = CLAMP(MIN(last->end_us, known_us), e->start_us, e->start_us + EVENT_LENGTH_MAX_US);
    log_event_of(LOG_NOTE, e->uid, "event-closed", "storage=%s id=%llu kind=%s why=\"nobody knows its end\"",
        w->conf->name, (unsigned long long)e->id, e->kind);
    add(w, e);
    mem_free(e);
}

/* --- those that are old --- */

/* Older than the oldest footage of its stream, and than the configuration lets any be. */
static usec_t old_before_us(struct work *w, const char *uid)
{
    const struct keep_policy *p = map_get(&w->keep.policies, span_of(uid));
    usec_t kept_us = p ? MAX(p->duration_us, p->event_duration_us) : 0, before_us;
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info);

    before_us = work_clock_now(w) - (kept_us ? kept_us : KEPT_LEAST_US);
    if (index_first(w->indexer.ix, uid, first) == INDEX_OK) before_us = MIN(before_us, first->start_us);
    return before_us;
}

bool work_event_is_old(struct work *w, const struct event *e)
{
    return event_footage_end_us(e) < old_before_us(w, e->uid);
}

static int drop_old(struct work *w, usec_t now_us)
{
    struct work_events *ev = &w->events;
    char uid[EVENT_UID_MAX];
    int err = INDEX_OK;
    size_t n;

    if (now_us - ev->dropped_us < DROP_EVERY_US || !w->indexer.ix) return INDEX_OK;
    ev->dropped_us = now_us;
    for (unsigned i = 0; !err && i < DROP_STREAMS; i++) {
        err = index_events_uid(w->indexer.ix, ev->after, uid);
        memcpy(ev->after, err ? "" : uid, err ? 1 : sizeof(uid));
        if (!err) err = index_events_drop(w->indexer.ix, uid, old_before_us(w, uid), DROP_RECORDS, &n);
    }
    return err == INDEX_E_NONE ? INDEX_OK : err;
}

int work_events_tick(struct work *w, usec_t now_us)
{
    int err = work_events_put(w);

    if (!w->indexer.ix) {
        w->events.walk = (struct index_event_at){.n = 0};
        w->events.walk_us = 0;
        return err;
    }
    if (!err) err = walk(w, now_us);
    return err ? err : drop_old(w, now_us);
}

void work_events_done(struct work *w)
{
    mem_free(w->events.wait);
    w->events = (struct work_events){0};
}

bool work_event_protects(
    void *arg, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us)
{
    const struct work *w = arg;

    return reap_event_keeps(w->indexer.ix, uid, p, s, now_us);
}

/* --- events --- */

static bool take_args(const struct ask *ask, struct event_query *q)
{
    *q = EVENT_QUERY_ALL;
    for (size_t i = 0; i < ask->n_args; i++)
        if (!event_query_take(q, span_of(ask->args[i]), value_time_us)) return false;
    return true;
}

int work_events_begin(struct keeper *k, struct answer *a)
{
    struct event_query q;

    (void)k;
    if (!take_args(&a->ask, &q))
        answer_fail(a, CTL_USAGE,
            "events [UID] [--from TIME] [--to TIME] [--kind KIND]: times as 2026-01-31T12:00:00Z or unix "
            "seconds");
    return a->code;
}

/* One that has gone meanwhile, or is damaged, is left out. */
static bool say_newest(struct work *w, struct answer *a)
{
    struct work_events_list *l = a->state;
    struct event *e = mem_new(sizeof(*e));
    int err = INDEX_OK;

    for (unsigned i = 0; i < PAGE && err >= 0 && l->said < l->newest.n; i++) {
        const struct event_place *at = &l->newest.v[l->said++];

        err = index_event(w->indexer.ix, at->uid, at->start_us, at->id, e);
        if (err == INDEX_OK) event_row(answer_row(a, EVENT_ROW_KEYS(e)), e);
    }
    mem_free(e);
    if (err < 0) answer_fail(a, CTL_FAILED, UNREAD, w->conf->name);
    return err >= 0 && l->said < l->newest.n;
}

static bool is_seen(const struct event_query *q, const char *uid)
{
    struct span rest = span_of(q->seen), pattern;

    while (rest.n > 0 && span_split(&rest, ',', &pattern))
        if (token_pattern_fits(pattern, span_of(uid))) return true;
    return !q->seen[0];
}

static void found(struct work_events_list *l, struct answer *a, const struct event *e)
{
    if (!is_seen(&l->q, e->uid)) return;
    if (l->q.limit > 0)
        event_newest_add(&l->newest, e);
    else
        event_row(answer_row(a, EVENT_ROW_KEYS(e)), e);
}

bool work_events_step(struct work *w, struct answer *a)
{
    struct work_events_list *l = a->state;
    struct event *page;
    size_t n;
    int err;

    if (l->at.end) return say_newest(w, a);
    if (!l->begun) l->begun = take_args(&a->ask, &l->q);
    l->newest.most = l->q.limit;
    page = mem_new(PAGE * sizeof(*page));
    err = index_events(w->indexer.ix, &l->q, &l->at, page, PAGE, &n);
    if (err < 0) answer_fail(a, CTL_FAILED, UNREAD, w->conf->name);
    for (size_t i = 0; err >= 0 && i < n; i++) found(l, a, &page[i]);
    mem_free(page);
    if (err >= 0 && l->at.end) event_newest_sort(&l->newest);
    return err >= 0 && (!l->at.end || l->newest.n > 0);
}

void work_events_ended(void *state)
{
    event_newest_done(&((struct work_events_list *)state)->newest);
}
