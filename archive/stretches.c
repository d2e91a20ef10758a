#include "archive/stretches.h"
#include "common/base/mem.h"

#define STRETCHES_MAX 200000

void stretches_done(struct stretches *s)
{
    mem_free(s->v);
    *s = (struct stretches){0};
}

bool stretches_add(struct stretches *s, usec_t from_us, usec_t to_us)
{
    size_t cap = s->cap ? s->cap * 2 : 64;

    if (s->n == s->cap) {
        struct stretch *v = s->n < STRETCHES_MAX ? mem_retry(s->v, cap * sizeof(*v)) : NULL;

        if (!v) return false;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct stretch){from_us, to_us};
    return true;
}

static int by_from(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

void stretches_join(struct stretches *s, usec_t join_us, usec_t from_us, usec_t to_us)
{
    size_t n = 0;

    if (s->n == 0) return;
    qsort(s->v, s->n, sizeof(s->v[0]), by_from);
    for (size_t i = 0; i < s->n; i++) {
        struct stretch x = {MAX(s->v[i].from_us, from_us), MIN(s->v[i].to_us, to_us)};

        if (x.to_us <= x.from_us) continue;
        if (n > 0 && x.from_us - s->v[n - 1].to_us <= join_us)
            s->v[n - 1].to_us = MAX(s->v[n - 1].to_us, x.to_us);
        else
            s->v[n++] = x;
    }
    s->n = n;
}
