#include "archive/merge.h"
#include "archive/index.h"
#include "archive/stretches.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define WINDOWS_MAX 400000

void merge_done(struct merge *m)
{
    mem_free(m->w);
    m->w = NULL;
    m->n_w = m->cap_w = 0;
}

struct sorted {
    const struct merge_part *p;
    size_t i;
};

static int by_node(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    if (x->p->node != y->p->node) return x->p->node < y->p->node ? -1 : 1;
    if (x->p->start_us != y->p->start_us) return x->p->start_us < y->p->start_us ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

static int by_from(const void *a, const void *b)
{
    const struct merge_window *x = a, *y = b;

    if (x->from_us != y->from_us) return x->from_us < y->from_us ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static bool push(struct merge *m, const struct merge_window *w)
{
    size_t cap = m->cap_w ? m->cap_w * 2 : 64;

    if (!m->w || m->n_w == m->cap_w) {
        struct merge_window *v = m->n_w < WINDOWS_MAX ? mem_retry(m->w, cap * sizeof(*v)) : NULL;

        if (!v) return false;
        m->w = v;
        m->cap_w = cap;
    }
    m->w[m->n_w++] = *w;
    return true;
}

/* Of the first n windows, what lies in [from_us, to_us) is not taken. */
static void cut_back(struct merge *m, size_t n, usec_t from_us, usec_t to_us)
{
    for (size_t i = 0; i < n; i++) {
        struct merge_window *w = &m->w[i];

        if (w->from_us < to_us && w->until_us > from_us)
            w->until_us = MAX(MIN(w->until_us, from_us), w->from_us);
    }
}

/* Goes on behind a stretch of others, at its end: with the key frame before it, up to which the stretch is
 * cut back. One that begins before the whole stretch takes its place. */
static bool go_on(struct merge *m, size_t n, size_t part, const struct stretch *behind, usec_t until_us)
{
    struct merge_window w = {part, m->key(m->arg, part, behind->to_us), until_us}, *before;

    w.from_us = MAX(w.from_us, m->parts[part].start_us);
    cut_back(m, n, MAX(w.from_us, behind->from_us), behind->to_us);
    before = m->n_w > n ? &m->w[m->n_w - 1] : NULL;
    if (w.from_us >= behind->from_us || !before || before->part != part) return push(m, &w);
    before->until_us = until_us;
    return true;
}

/* What of a part lies where the stretches have nothing; the first n windows are theirs. */
static bool fill(struct merge *m, size_t n, size_t part, const struct stretches *cover)
{
    const struct merge_part *p = &m->parts[part];
    const struct stretch *behind = NULL;
    usec_t at_us = p->start_us;

    for (size_t i = 0; i <= cover->n && at_us < p->end_us; i++) {
        const struct stretch *c = i < cover->n ? &cover->v[i] : NULL;
        usec_t until_us = c ? MIN(c->from_us, p->end_us) : p->end_us;

        if (c && c->to_us <= at_us) continue;
        if (until_us - at_us >= MERGE_SHARD_US) {
            const struct merge_window whole = {part, at_us, until_us};

            if (!(behind ? go_on(m, n, part, behind, until_us) : push(m, &whole))) return false;
        }
        if (!c || c->from_us >= p->end_us) break;
        at_us = MAX(at_us, c->to_us);
        behind = c;
    }
    return true;
}

static bool cover_with(struct stretches *cover, const struct sorted *v, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (!stretches_add(cover, v[i].p->start_us, v[i].p->writes ? INT64_MAX : v[i].p->end_us))
            return false;
    stretches_join(cover, INDEX_JOIN_US, INT64_MIN, INT64_MAX);
    return true;
}

static bool run(struct merge *m, const struct sorted *v, struct stretches *cover)
{
    for (size_t from = 0, to; from < m->n; from = to) {
        size_t n = m->n_w;

        for (to = from; to < m->n && v[to].p->node == v[from].p->node; to++)
            if (!fill(m, n, v[to].i, cover)) return false;
        if (!cover_with(cover, v, from, to)) return false;
    }
    return true;
}

static void drop_empty(struct merge *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_w; i++)
        if (m->w[i].until_us > m->w[i].from_us) m->w[n++] = m->w[i];
    m->n_w = n;
}

bool merge_run(struct merge *m)
{
    CLEANUP(mem_freep) struct sorted *v = mem_try((m->n + 1) * sizeof(*v));
    struct stretches cover = {0};
    bool ok;

    if (!v) return false;
    for (size_t i = 0; i < m->n; i++) v[i] = (struct sorted){&m->parts[i], i};
    qsort(v, m->n, sizeof(*v), by_node);
    ok = run(m, v, &cover);
    stretches_done(&cover);
    if (!ok) return false;
    drop_empty(m);
    if (m->n_w > 1) qsort(m->w, m->n_w, sizeof(*m->w), by_from);
    return true;
}
