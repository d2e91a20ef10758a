#include "archive/locks.h"
#include "common/base/mem.h"

void locks_done(struct locks *l)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&l->by_uid, &at, &slot)) {
        mem_free(((struct lock_list *)slot.value)->v);
        mem_free(slot.value);
    }
    map_done(&l->by_uid);
    *l = (struct locks){.n = 0};
}

const struct lock_list *locks_of(const struct locks *l, const char *uid)
{
    return map_get(&l->by_uid, span_of(uid));
}

const struct index_lock *locks_find(const struct locks *l, const char *uid, uint64_t id)
{
    const struct lock_list *list = locks_of(l, uid);

    for (size_t i = 0; list && i < list->n; i++)
        if (list->v[i].id == id) return &list->v[i];
    return NULL;
}

bool locks_put(struct locks *l, const struct index_lock *lock)
{
    struct lock_list *list = map_get(&l->by_uid, span_of(lock->uid));
    const struct index_lock *held = locks_find(l, lock->uid, lock->id);

    if (held) {
        if (held->version_us >= lock->version_us) return false;
        list->v[held - list->v] = *lock;
        return true;
    }
    if (l->n >= LOCKS_MAX) return false;
    if (!list) {
        list = NEW(struct lock_list);
        map_set(&l->by_uid, span_of(lock->uid), list);
    }
    list->v = mem_renew(list->v, (list->n + 1) * sizeof(*list->v));
    list->v[list->n++] = *lock;
    l->n++;
    return true;
}

bool locks_hold(const struct locks *l, const char *uid, usec_t start_us, usec_t end_us, usec_t *ret_until)
{
    const struct lock_list *list = locks_of(l, uid);
    bool held = false;

    for (size_t i = 0; list && i < list->n; i++) {
        const struct index_lock *k = &list->v[i];

        if (k->released_us > 0 || k->start_us >= end_us || k->end_us <= start_us) continue;
        *ret_until = held ? MAX(*ret_until, k->end_us) : k->end_us;
        held = true;
    }
    return held;
}
