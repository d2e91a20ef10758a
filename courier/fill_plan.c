#include "courier/fill_plan.h"
#include "common/base/mem.h"

#include <stdlib.h>

void fill_spans_add(struct fill_spans *s, usec_t start_us, usec_t end_us)
{
    if (start_us >= end_us) return;
    if (s->n == s->cap) {
        s->cap = MAX(s->cap * 2, 64);
        s->v = mem_renew(s->v, s->cap * sizeof(*s->v));
    }
    s->v[s->n++] = (struct index_range){start_us, end_us};
}

void fill_spans_done(struct fill_spans *s)
{
    mem_free(s->v);
    *s = (struct fill_spans){.n = 0};
}

void fill_spans_cut(struct fill_spans *s, usec_t end_us)
{
    while (s->n > 0 && s->v[s->n - 1].start_us >= end_us) s->n--;
    if (s->n > 0) s->v[s->n - 1].end_us = MIN(s->v[s->n - 1].end_us, end_us);
}

static int by_start(const void *a, const void *b)
{
    const struct index_range *x = a, *y = b;

    return x->start_us < y->start_us ? -1 : x->start_us > y->start_us;
}

void fill_spans_settle(struct fill_spans *s)
{
    size_t n = 0;

    if (s->n > 1) qsort(s->v, s->n, sizeof(*s->v), by_start);
    for (size_t i = 0; i < s->n; i++) {
        if (n > 0 && s->v[i].start_us <= s->v[n - 1].end_us)
            s->v[n - 1].end_us = MAX(s->v[n - 1].end_us, s->v[i].end_us);
        else
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

/* From the end: what of one span of theirs is left beside ours, its newest part first. */
static size_t gaps_of(
    const struct fill_spans *ours, const struct index_range *r, struct index_range *out, size_t max)
{
    usec_t end_us = r->end_us;
    size_t n = 0;

    for (size_t i = ours->n; i-- > 0 && n < max && end_us > r->start_us;) {
        const struct index_range *o = &ours->v[i];

        if (o->start_us >= end_us) continue;
        if (o->end_us <= r->start_us) break;
        if (end_us - o->end_us >= FILL_SLACK_US) out[n++] = (struct index_range){o->end_us, end_us};
        end_us = MIN(end_us, o->start_us);
    }
    if (n < max && end_us - r->start_us >= FILL_SLACK_US)
        out[n++] = (struct index_range){r->start_us, end_us};
    return n;
}

size_t fill_gaps(
    const struct fill_spans *ours, const struct fill_spans *theirs, struct index_range *out, size_t max)
{
    size_t n = 0;

    for (size_t i = theirs->n; i-- > 0 && n < max;) n += gaps_of(ours, &theirs->v[i], out + n, max - n);
    return n;
}

bool fill_wanted(const struct index_range *gap, usec_t start_us, usec_t end_us)
{
    usec_t from_us = MAX(gap->start_us, start_us), to_us = MIN(gap->end_us, end_us);

    return to_us - from_us >= MIN(FILL_FRAME_US, (end_us - start_us) / 2);
}
