#include "archive/event_newest.h"
#include "common/base/mem.h"

#include <stdlib.h>

static int newest_first(const void *a, const void *b)
{
    const struct event_place *x = a, *y = b;

    if (x->start_us != y->start_us) return x->start_us < y->start_us ? 1 : -1;
    if (x->id != y->id) return x->id < y->id ? 1 : -1;
    return strcmp(x->uid, y->uid);
}

/* There is room for twice as many, so that they are sorted once for each `most` that come. */
void event_newest_add(struct event_newest *l, const struct event *e)
{
    struct event_place *at;

    if (!l->v) l->v = mem_new_n(2 * l->most, sizeof(*l->v));
    if (l->n == 2 * l->most) event_newest_sort(l);
    at = &l->v[l->n++];
    *at = (struct event_place){.start_us = e->start_us, .id = e->id};
    memcpy(at->uid, e->uid, sizeof(at->uid));
}

void event_newest_sort(struct event_newest *l)
{
    if (l->n > 1) qsort(l->v, l->n, sizeof(*l->v), newest_first);
    l->n = MIN(l->n, l->most);
}

void event_newest_done(struct event_newest *l)
{
    mem_free(l->v);
    *l = (struct event_newest){.most = 0};
}
