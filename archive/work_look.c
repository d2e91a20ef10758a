#include "archive/work_look.h"
#include "archive/keeper_impl.h"
#include "archive/work.h"
#include "common/base/mem.h"

#define RANGES_PAGE   128
#define SEGMENTS_PAGE 32

struct look {
    const char *uid;
    usec_t from_us, to_us;
    uint64_t most;
};

static bool look_of(const struct ask *q, struct look *ret)
{
    *ret = (struct look){.uid = q->args[0], .most = ASK_ROWS_MAX};
    return seg_uid_ok(q->args[0]) && strlen(q->args[0]) < sizeof(((struct seg_info *)0)->uid) &&
        span_i64(span_of(q->args[1]), &ret->from_us) && span_i64(span_of(q->args[2]), &ret->to_us) &&
        seg_time_ok(ret->from_us) && seg_time_ok(ret->to_us) && ret->from_us <= ret->to_us &&
        (q->n_args < 4 || span_u64(span_of(q->args[3]), ASK_ROWS_MAX, &ret->most));
}

int keeper_ask_look(struct keeper *k, struct answer *a)
{
    struct look l;

    (void)k;
    if (!look_of(&a->ask, &l)) answer_fail(a, CTL_USAGE, "UID, FROM and TO in microseconds, and how many");
    return a->code;
}

static void each_pending(const struct work *w, const struct look *l, struct answer *a,
    void (*row)(const struct work *w, const struct look *l, struct answer *a, const struct seg_info *s))
{
    const struct list *lists[] = {&w->pending.sure, &w->pending.doubtful};

    for (size_t i = 0; i < ARRAY_N(lists); i++) LIST_EACH(lists[i], at)
        {
            const struct seg_info *s = &LIST_ITEM(at, struct pending_seg, link)->info;

            if (strcmp(s->uid, l->uid) == 0 && s->start_us < l->to_us && s->end_us > l->from_us)
                row(w, l, a, s);
        }
}

static bool failed(struct work *w, struct answer *a, int err)
{
    if (err < 0) answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
    if (err == INDEX_E_DAMAGED)
        answer_fail(a, a->code, "storage %s: damaged records of its index are left out", w->conf->name);
    return err < 0;
}

/* --- ranges --- */

/* Cut to what was asked for. */
static void range_row(const struct look *l, struct answer *a, usec_t from_us, usec_t to_us)
{
    struct packer *p = answer_row(a, 2);

    pack_kv_i64(p, "from_us", MAX(from_us, l->from_us));
    pack_kv_i64(p, "to_us", MIN(to_us, l->to_us));
}

static void pending_range(
    const struct work *w, const struct look *l, struct answer *a, const struct seg_info *s)
{
    (void)w;
    range_row(l, a, s->start_us, s->end_us);
}

bool work_look_ranges(struct work *w, struct answer *a)
{
    struct work_look *at = a->state;
    struct index_range page[RANGES_PAGE];
    struct index_query q = {.uid = a->ask.args[0]};
    struct look l;
    size_t n = 0;

    if (!look_of(&a->ask, &l)) return false;
    if (!at->begun) {
        at->begun = true;
        at->from_us = l.from_us;
        each_pending(w, &l, a, pending_range);
    }
    q.from_us = at->from_us;
    q.to_us = l.to_us;
    if (failed(w, a, index_ranges(w->indexer.ix, &q, page, RANGES_PAGE, &n))) return false;
    for (size_t i = 0; i < n; i++) range_row(&l, a, page[i].start_us, page[i].end_us);
    if (n > 0) at->from_us = page[n - 1].end_us + 1;
    return n == RANGES_PAGE;
}

bool work_look_cover(struct work *w, struct answer *a)
{
    const struct work_look *at = a->state;
    usec_t from_us, to_us;
    struct look l;

    if (!at->begun && look_of(&a->ask, &l))
        for (size_t i = 0; work_fill_refused(w, l.uid, i, &from_us, &to_us); i++)
            if (from_us < l.to_us && to_us > l.from_us) range_row(&l, a, from_us, to_us);
    return work_look_ranges(w, a);
}

/* --- segments --- */

static void segment_row(
    const struct work *w, const struct look *l, struct answer *a, const struct seg_info *s)
{
    struct packer *p = answer_row(a, 8);
    char id[24];

    (void)l;
    snprintf(id, sizeof(id), "%llx", (unsigned long long)s->id);
    pack_kv_text(p, "id", id);
    pack_kv_text(p, "storage", w->conf->name);
    pack_kv_text(p, "path", s->path);
    pack_kv_i64(p, "from_us", s->start_us);
    pack_kv_i64(p, "to_us", s->end_us);
    pack_kv_u64(p, "bytes", s->bytes);
    pack_kv_u64(p, "samples", s->samples);
    pack_kv_u64(p, "flags", s->flags);
}

bool work_look_segments(struct work *w, struct answer *a)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_renew(NULL, SEGMENTS_PAGE * sizeof(*page));
    struct work_look *at = a->state;
    struct index_query q = {.uid = a->ask.args[0]};
    struct look l;
    size_t n = 0;

    if (!look_of(&a->ask, &l)) return false;
    if (!at->begun) {
        at->begun = true;
        each_pending(w, &l, a, segment_row);
    }
    q.from_us = l.from_us;
    q.to_us = l.to_us;
    q.after_id = at->after_id;
    if (failed(w, a, index_segments(w->indexer.ix, &q, page, SEGMENTS_PAGE, &n))) return false;
    for (size_t i = 0; i < n; i++) segment_row(w, &l, a, &page[i]);
    if (n > 0) at->after_id = page[n - 1].id;
    at->rows += n;
    return n == SEGMENTS_PAGE && at->rows <= l.most; /* one more than asked for says that there is more */
}
