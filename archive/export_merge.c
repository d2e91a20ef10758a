/* What more than one node recorded, each second once (merge.h), before an MP4 is made of it. */
#include "archive/export_find.h"
#include "archive/merge.h"
#include "common/base/mem.h"

#define MARKS_MAX 600000

void export_marks_done(struct export_marks *m)
{
    mem_free(m->v);
    *m = (struct export_marks){0};
}

void export_marks_add(struct export_marks *m, const struct seg_info *i)
{
    for (unsigned k = 0; i->origin != 0 && k < i->n_keys; k++) {
        size_t cap = m->cap ? m->cap * 2 : 256;

        if (m->n == m->cap) {
            struct export_mark *grown = m->n < MARKS_MAX ? mem_retry(m->v, cap * sizeof(*grown)) : NULL;

            if (!grown) return;
            m->v = grown;
            m->cap = cap;
        }
        m->v[m->n++] = (struct export_mark){i->id, i->start_us + (usec_t)i->keys[k].at_ms * US_PER_MS};
    }
}

struct marked {
    const struct export_sources *all;
    const struct export_marks *marks;
    size_t n;
};

static usec_t key_before(void *arg, size_t part, usec_t at_us)
{
    const struct marked *w = arg;
    const struct export_source *x = &w->all->v[part];
    usec_t best = x->start_us;

    for (size_t n = 0; n < w->n; n++)
        for (size_t i = 0; i < w->marks[n].n; i++) {
            const struct export_mark *m = &w->marks[n].v[i];

            if (m->id == x->id && m->at_us <= at_us) best = MAX(best, m->at_us);
        }
    return best;
}

static bool joint(const struct export_sources *all)
{
    for (size_t i = 1; i < all->n; i++)
        if (all->v[i].node != all->v[0].node) return true;
    return false;
}

static void take(struct export_sources *to, const struct export_source *from, const struct merge_window *w)
{
    struct export_source x = *from;

    if (w->until_us - w->from_us < MERGE_SHARD_US) return;
    x.part = w->from_us > x.start_us || w->until_us < x.end_us;
    x.inside &= w->from_us == x.start_us;
    x.start_us = w->from_us;
    x.end_us = MIN(x.end_us, w->until_us);
    export_sources_put(to, &x);
}

bool export_sources_merge(
    struct export_sources *s, const struct export_marks *marks, size_t n_marks, uint64_t open_id)
{
    struct export_sources merged = {.any = s->any};
    struct marked marked = {s, marks, n_marks};
    CLEANUP(mem_freep) struct merge_part *parts = mem_try((s->n + 1) * sizeof(*parts));
    struct merge m = {.parts = parts, .n = s->n, .key = key_before, .arg = &marked};

    if (!joint(s)) return true;
    if (!parts) return false;
    for (size_t i = 0; i < s->n; i++) {
        const struct export_source *x = &s->v[i];
        bool writes = (open_id != 0 && x->id == open_id) || x->bytes == INT64_MAX;

        parts[i] = (struct merge_part){x->start_us, x->end_us, x->node, writes};
    }
    if (!merge_run(&m)) return false;
    for (size_t i = 0; i < m.n_w; i++) take(&merged, &s->v[m.w[i].part], &m.w[i]);
    merge_done(&m);
    export_sources_done(s);
    *s = merged;
    return true;
}
