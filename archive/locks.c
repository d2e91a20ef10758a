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

size_t locks_held(const struct locks *l)
{
    return l->n - l->n_released;
}

bool locks_put(struct locks *l, const struct index_lock *lock)
{
    struct lock_list *list = map_get(&l->by_uid, span_of(lock->uid));
    const struct index_lock *held = locks_find(l, lock->uid, lock->id);

    if (held) {
        if (held->version_us >= lock->version_us) return false;
        l->n_released += (lock->released_us > 0) - (held->released_us > 0);
        list->v[held - list->v] = *lock;
        return true;
    }
    if (lock->released_us > 0 ? l->n_released >= LOCKS_MAX : locks_held(l) >= LOCKS_MAX) return false;
    l->n_released += lock->released_us > 0;
    if (!list) {
        list = NEW(struct lock_list);
        map_set(&l->by_uid, span_of(lock->uid), list);
    }
    list->v = mem_renew(list->v, (list->n + 1) * sizeof(*list->v));
    list->v[list->n++] = *lock;
    l->n++;
    return true;
}

static void forget_of(struct locks *l, struct lock_list *list, usec_t before_us,
    void (*fn)(void *arg, const struct index_lock *lock), void *arg)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++) {
        bool old = list->v[i].released_us > 0 && list->v[i].released_us < before_us;

        if (old && fn) fn(arg, &list->v[i]);
        if (!old) list->v[kept++] = list->v[i];
    }
    l->n -= list->n - kept;
    l->n_released -= list->n - kept;
    list->n = kept;
}

void locks_forget(
    struct locks *l, usec_t now_us, void (*fn)(void *arg, const struct index_lock *lock), void *arg)
{
    usec_t age_us = LOCKS_RELEASED_US;
    struct map_slot slot;

    for (bool more = l->n_released > 0; more; age_us /= 2) {
        size_t at = 0;

        while (map_next(&l->by_uid, &at, &slot)) forget_of(l, slot.value, now_us - age_us, fn, arg);
        more = l->n_released > LOCKS_RELEASED_MAX && age_us > 0;
    }
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
