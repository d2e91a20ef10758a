#include "archive/export_find.h"
#include "archive/export.h"
#include "archive/index.h"
#include "common/base/mem.h"

void export_sources_done(struct export_sources *s)
{
    mem_free(s->v);
    *s = (struct export_sources){0};
}

void export_sources_put(struct export_sources *s, const struct export_source *one)
{
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct export_source *grown;

    if (s->n == s->cap) {
        grown = s->n < EXPORT_PARTS_MAX ? mem_retry(s->v, cap * sizeof(*grown)) : NULL;
        s->too_many = !grown;
        if (!grown) return;
        s->v = grown;
        s->cap = cap;
    }
    s->v[s->n++] = *one;
}

void export_sources_add(
    struct export_sources *s, const struct seg_info *i, uint8_t storage, usec_t from_us, usec_t to_us)
{
    const struct export_source one = {.id = i->id,
        .bytes = i->bytes,
        .start_us = i->start_us,
        .end_us = i->end_us,
        .key_us = i->n_keys > 0 ? i->start_us + (usec_t)i->keys[0].at_ms * US_PER_MS : INT64_MAX,
        .crc = i->crc,
        .node = i->origin,
        .storage = storage,
        .inside = i->flags & SEG_CONTINUES};

    if (i->start_us >= to_us || i->end_us <= from_us - EXPORT_LEAD_US) return;
    s->any |= i->end_us > from_us;
    export_sources_put(s, &one);
}

void export_sources_join(struct export_sources *s, const struct export_sources *other)
{
    s->any |= other->any;
    s->too_many |= other->too_many;
    for (size_t k = 0; k < other->n; k++) export_sources_put(s, &other->v[k]);
}

static int by_time(const void *a, const void *b)
{
    const struct export_source *x = a, *y = b;

    if (x->start_us != y->start_us) return x->start_us < y->start_us ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->storage > y->storage) - (x->storage < y->storage);
}

void export_sources_settle(struct export_sources *s, usec_t from_us)
{
    size_t n = 0, first = 0;

    if (s->n == 0) return;
    qsort(s->v, s->n, sizeof(*s->v), by_time);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || s->v[i].id != s->v[n - 1].id) s->v[n++] = s->v[i];
    while (first < n && s->v[first].end_us <= from_us) first++;
    while (first > 0 && first < n && s->v[first].inside && s->v[first].key_us > from_us &&
        s->v[first].start_us - s->v[first - 1].end_us <= INDEX_JOIN_US)
        first--;
    s->n = n - first;
    memmove(s->v, s->v + first, s->n * sizeof(*s->v));
}
