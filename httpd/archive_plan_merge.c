/* A plan whose segments were recorded by more than one node. */
#include "archive/merge.h"
#include "httpd/archive_plan.h"
#include "common/base/mem.h"

/* Pieces begin with listed key frames. */
static usec_t key(void *arg, size_t part, usec_t at_us)
{
    const struct plan *p = arg;
    const struct plan_segment *s = &p->s[part];
    size_t i = s->first + s->n;

    while (i > s->first && p->v[i - 1].start_us > at_us) i--;
    return i > s->first ? p->v[i - 1].start_us : p->v[s->first].start_us;
}

/* The pieces of a window, cut to it. */
static bool take(struct plan *to, const struct plan *from, const struct merge_window *w)
{
    const struct plan_segment *s = &from->s[w->part];
    struct plan one = {0};
    struct plan_segment seg = *s;
    bool ok = true;

    seg.first = 0;
    seg.n = 0;
    for (size_t i = s->first; ok && i < s->first + s->n; i++) {
        struct piece_of x = from->v[i];
        usec_t end_us = x.start_us + x.dur_us;

        if (x.start_us < w->from_us || x.start_us >= w->until_us) continue;
        if (end_us > w->until_us) {
            x.until_us = w->until_us;
            x.dur_us = w->until_us - x.start_us;
        }
        if (x.dur_us < MERGE_SHARD_US) continue;
        ok = plan_put(&one, &x);
    }
    if (ok && one.n > 0) {
        seg.n = one.n;
        if (one.v[0].start_us > s->start_us) {
            seg.start_us = one.v[0].start_us;
            seg.discont = true;
        }
        seg.end_us = MIN(seg.end_us, w->until_us);
        ok = plan_put_segment(&one, &seg) && plan_take(to, &one);
    }
    plan_done(&one);
    return ok;
}

static bool needed(const struct plan *p)
{
    for (size_t i = 1; i < p->n_s; i++)
        if (p->s[i].node != p->s[0].node) return true;
    return false;
}

static bool merge(struct plan *p, struct plan *ret)
{
    CLEANUP(mem_freep) struct merge_part *parts = mem_try((p->n_s + 1) * sizeof(*parts));
    struct merge m = {.parts = parts, .n = p->n_s, .key = key, .arg = p};
    bool ok;

    if (!parts) return false;
    for (size_t i = 0; i < p->n_s; i++) {
        const struct plan_segment *s = &p->s[i];
        const struct piece_of *last = &p->v[s->first + s->n - 1];

        parts[i] =
            (struct merge_part){p->v[s->first].start_us, last->start_us + last->dur_us, s->node, s->writes};
    }
    ok = merge_run(&m);
    for (size_t i = 0; ok && i < m.n_w; i++) ok = take(ret, p, &m.w[i]);
    merge_done(&m);
    return ok;
}

bool plan_merge(struct plan *p)
{
    struct plan merged = {0};

    if (!needed(p)) return true;
    plan_drop_twins(p);
    if (!merge(p, &merged)) {
        plan_done(&merged);
        return false;
    }
    merged.bytes = p->bytes;
    merged.bytes_us = p->bytes_us;
    merged.peak = p->peak;
    memcpy(merged.tags, p->tags, sizeof(merged.tags));
    plan_done(p);
    *p = merged;
    return true;
}
