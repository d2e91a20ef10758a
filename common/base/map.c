#include "common/base/map.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define FIRST_CAP 16

uint64_t hash_fnv1a(struct span s)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < s.n; i++) h = (h ^ s.p[i]) * 1099511628211u;
    return h;
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++) mem_free(m->slots[i].key);
    mem_free(m->slots);
    *m = (struct map){0};
}

void map_drop(struct map *m, void (*drop)(void *value))
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(m, &at, &slot)) drop(slot.value);
    map_done(m);
}

static size_t place(const struct map *m, struct span key)
{
    size_t i = hash_fnv1a(key) & (m->cap - 1);

    while (m->slots[i].key && !span_eq(span_of(m->slots[i].key), key)) i = (i + 1) & (m->cap - 1);
    return i;
}

void *map_get(const struct map *m, struct span key)
{
    return m->n == 0 ? NULL : m->slots[place(m, key)].value;
}

static void grow(struct map *m)
{
    struct map bigger = {.cap = m->cap ? m->cap * 2 : FIRST_CAP, .n = m->n};

    bigger.slots = mem_new_n(bigger.cap, sizeof(struct map_slot));
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key) bigger.slots[place(&bigger, span_of(m->slots[i].key))] = m->slots[i];
    mem_free(m->slots);
    *m = bigger;
}

void *map_set(struct map *m, struct span key, void *value)
{
    void *old;
    size_t i;

    must(value != NULL);
    if ((m->n + 1) * 4 > m->cap * 3) grow(m);
    i = place(m, key);
    old = m->slots[i].value;
    if (!m->slots[i].key) {
        m->slots[i].key = span_dup(key);
        m->n++;
    }
    m->slots[i].value = value;
    return old;
}

void *map_remove(struct map *m, struct span key)
{
    size_t i, j, home;
    void *old;

    if (m->n == 0) return NULL;
    i = place(m, key);
    if (!m->slots[i].key) return NULL;
    old = m->slots[i].value;
    mem_free(m->slots[i].key);
    m->slots[i] = (struct map_slot){0};
    m->n--;
    /* Close the hole: an entry moves into it unless its home lies cyclically in (hole, entry]. */
    for (j = (i + 1) & (m->cap - 1); m->slots[j].key; j = (j + 1) & (m->cap - 1)) {
        home = hash_fnv1a(span_of(m->slots[j].key)) & (m->cap - 1);
        if (((j - home) & (m->cap - 1)) < ((j - i) & (m->cap - 1))) continue;
        m->slots[i] = m->slots[j];
        m->slots[j] = (struct map_slot){0};
        i = j;
    }
    return old;
}

bool map_next(const struct map *m, size_t *at, struct map_slot *ret_slot)
{
    for (; *at < m->cap; (*at)++) {
        if (!m->slots[*at].key) continue;
        *ret_slot = m->slots[(*at)++];
        return true;
    }
    return false;
}
