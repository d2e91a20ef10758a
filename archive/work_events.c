#include "archive/work_events.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/value.h"

#define DROP_EVERY_US (60 * US_PER_S)
#define DROP_STREAMS  100 /* looked at in a round, */
#define DROP_RECORDS  200 /* and events of each */
#define PAGE          32
/* Where the configuration has no age, events without footage stay so long. */
#define KEPT_LEAST_US (10 * 86400 * US_PER_S)

void work_event(struct work *w, const struct job *j)
{
    struct work_events *ev = &w->events;

    if (!w->indexer.ix || ev->n == WORK_EVENTS_MAX) return;
    if (!ev->wait) ev->wait = mem_new(WORK_EVENTS_MAX * sizeof(*ev->wait));
    memcpy(&ev->wait[ev->n++], j->data, sizeof(*ev->wait));
}

static int put(struct work *w)
{
    struct work_events *ev = &w->events;
    int err = ev->n > 0 && w->indexer.ix ? index_events_put(w->indexer.ix, ev->wait, ev->n) : INDEX_OK;

    for (size_t i = 0; !err && i < ev->n; i++) w->ops->on_event(w->arg, &ev->wait[i]);
    ev->n = 0;
    return err;
}

/* Older than the oldest footage of its stream, and than the configuration lets any be. */
static int drop_of(struct work *w, const char *uid)
{
    const struct keep_policy *p = map_get(&w->keep.policies, span_of(uid));
    usec_t kept_us = p ? MAX(p->duration_us, p->event_duration_us) : 0, before_us;
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info);
    size_t n;

    before_us = clock_wall_us() - (kept_us ? kept_us : KEPT_LEAST_US);
    if (index_first(w->indexer.ix, uid, first) == INDEX_OK) before_us = MIN(before_us, first->start_us);
    return index_events_drop(w->indexer.ix, uid, before_us, DROP_RECORDS, &n);
}

static int drop_old(struct work *w, usec_t now_us)
{
    struct work_events *ev = &w->events;
    char uid[EVENT_UID_MAX];
    int err = INDEX_OK;

    if (now_us - ev->dropped_us < DROP_EVERY_US || !w->indexer.ix) return INDEX_OK;
    ev->dropped_us = now_us;
    for (unsigned i = 0; !err && i < DROP_STREAMS; i++) {
        err = index_events_uid(w->indexer.ix, ev->after, uid);
        memcpy(ev->after, err ? "" : uid, err ? 1 : sizeof(uid));
        if (!err) err = drop_of(w, uid);
    }
    return err == INDEX_E_NONE ? INDEX_OK : err;
}

int work_events_tick(struct work *w, usec_t now_us)
{
    int err = put(w);

    return err ? err : drop_old(w, now_us);
}

void work_events_done(struct work *w)
{
    mem_free(w->events.wait);
    w->events = (struct work_events){0};
}

/* What cannot be read is not deleted. */
bool work_event_protects(
    void *arg, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us)
{
    struct work *w = arg;
    bool protects;

    if (!p || p->event_duration_us == 0 || s->end_us < now_us - p->event_duration_us) return false;
    return index_event_protects(w->indexer.ix, uid, s->start_us, s->end_us, &protects) != INDEX_OK ||
        protects;
}

/* --- events --- */

static bool take_arg(struct span arg, struct index_event_query *q)
{
    struct span name;

    if (span_find(arg, '=') < 0) return span_copy(arg, q->uid, sizeof(q->uid));
    (void)span_split(&arg, '=', &name);
    if (span_is(name, "from")) return value_time_us(arg, &q->from_us);
    if (span_is(name, "to")) return value_time_us(arg, &q->to_us);
    return span_is(name, "kind") && event_kind_ok(arg) && span_copy(arg, q->kind, sizeof(q->kind));
}

static bool take_args(const struct ask *ask, struct index_event_query *q)
{
    *q = (struct index_event_query){.to_us = INT64_MAX};
    for (size_t i = 0; i < ask->n_args; i++)
        if (!take_arg(span_of(ask->args[i]), q)) return false;
    return true;
}

int work_events_begin(struct keeper *k, struct answer *a)
{
    struct index_event_query q;

    (void)k;
    if (!take_args(&a->ask, &q))
        answer_fail(a, CTL_USAGE,
            "events [UID] [--from TIME] [--to TIME] [--kind KIND]: times as 2026-01-31T12:00:00Z or unix "
            "seconds");
    return a->code;
}

static void row(struct answer *a, const struct event *e)
{
    struct packer *p = answer_row(a, e->end_us ? 11 : 9);

    pack_kv_u64(p, "id", e->id);
    pack_kv_text(p, "uid", e->uid);
    pack_kv_text(p, "kind", e->kind);
    pack_kv_text(p, "source", e->source);
    pack_kv_i64(p, "start_s", e->start_us / US_PER_S);
    pack_kv_i64(p, "start_us", e->start_us);
    if (e->end_us) pack_kv_i64(p, "end_s", e->end_us / US_PER_S);
    if (e->end_us) pack_kv_i64(p, "end_us", e->end_us);
    pack_kv_i64(p, "before_us", e->before_us);
    pack_kv_i64(p, "after_us", e->after_us);
    pack_kv_text(p, "payload", e->payload);
}

bool work_events_step(struct work *w, struct answer *a)
{
    struct work_events_list *l = a->state;
    struct event *page = mem_new(PAGE * sizeof(*page));
    size_t n;
    int err;

    if (!l->begun) l->begun = take_args(&a->ask, &l->q);
    err = index_events(w->indexer.ix, &l->q, &l->at, page, PAGE, &n);
    if (err < 0) answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
    for (size_t i = 0; err >= 0 && i < n; i++) row(a, &page[i]);
    mem_free(page);
    return err >= 0 && !l->at.end;
}
