/* The keeper's side of keeping: what each stream's configuration says goes to every storage. */
#include "archive/keeper_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>

#define FORGET_US     (3600 * US_PER_S)
#define LOCKS_WAIT_US (10 * US_PER_S) /* from the keeper's start, for storages that are not there */

static void tell_all(struct keeper *k, const char *uid, const struct keep_policy *p)
{
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (s->disk && !s->ending) disk_keep(s->disk, uid, p);
    }
}

int keeper_keep_stream(struct keeper *k, struct incoming *in)
{
    const struct keep_policy *was;
    struct keep_policy *p;
    char uid[40];

    if (!packed_text(in->body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid)) return -EPROTO;
    was = map_get(&k->keeping, span_of(uid));
    p = NEW(struct keep_policy);
    p->late_us = was ? was->late_us : 0;
    p->duration_us = packed_i64(in->body, "duration_us", 0);
    p->event_duration_us = packed_i64(in->body, "event_duration_us", 0);
    p->capacity_bytes = packed_u64(in->body, "capacity_bytes", 0);
    p->capacity_percent = (unsigned)MIN(packed_u64(in->body, "capacity_percent", 0), 100);
    tell_all(k, uid, p);
    mem_free(map_set(&k->keeping, span_of(uid), p));
    return 0;
}

void keeper_keep_late(struct keeper *k, const char *uid, usec_t until_us)
{
    struct keep_policy *p = map_get(&k->keeping, span_of(uid));
    usec_t late_us = until_us == INT64_MAX ? 0 : until_us;

    if (!p || p->late_us == late_us) return;
    p->late_us = late_us;
    tell_all(k, uid, p);
}

int keeper_keep_stream_gone(struct keeper *k, struct incoming *in)
{
    char uid[40];

    if (!packed_text(in->body, "uid", uid, sizeof(uid))) return -EPROTO;
    tell_all(k, uid, NULL);
    mem_free(map_remove(&k->keeping, span_of(uid)));
    return 0;
}

void keeper_keep_tell(struct store *s)
{
    struct map_slot slot;
    size_t at = 0;

    s->locks_in = s->keeps = false;
    while (map_next(&s->keeper->keeping, &at, &slot)) disk_keep(s->disk, slot.key, slot.value);
}

/* --- locks --- */

/* What one storage knows, all get to know; what it did not know, it gets. */
void keeper_keep_locks(struct store *s, const struct index_lock *list, size_t n, bool last)
{
    struct keeper *k = s->keeper;
    struct map_slot slot;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (!locks_put(&k->locks, &list[i])) continue;
        LIST_EACH(&k->stores, link)
        {
            struct store *other = LIST_ITEM(link, struct store, link);

            if (other != s && other->disk && !other->ending) disk_lock(other->disk, &list[i]);
        }
    }
    if (!last || s->ending) return;
    while (map_next(&k->locks.by_uid, &at, &slot)) {
        const struct lock_list *all = slot.value;

        for (size_t i = 0; i < all->n; i++) disk_lock(s->disk, &all->v[i]);
    }
    s->locks_in = true;
    keeper_keep_tick(k);
}

/* Nothing is deleted before the locks of the other storages are known, as far as these come in time. */
void keeper_keep_tick(struct keeper *k)
{
    bool all = true;

    if (loop_now_us(k->loop) - k->forgot_us >= FORGET_US) {
        k->forgot_us = loop_now_us(k->loop);
        locks_forget(&k->locks, clock_wall_us(), NULL, NULL);
    }
    LIST_EACH(&k->stores, link)
    {
        const struct store *s = LIST_ITEM(link, struct store, link);

        all = all && (s->locks_in || s->gone);
    }
    if (!all && loop_now_us(k->loop) - k->begun_us < LOCKS_WAIT_US) return;
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (!s->locks_in || s->keeps || s->ending) continue;
        s->keeps = true;
        disk_keep_ready(s->disk);
    }
}

void keeper_keep_lock(struct keeper *k, const struct index_lock *lock)
{
    if (!locks_put(&k->locks, lock)) return;
    LIST_EACH(&k->stores, link)
    {
        struct store *s = LIST_ITEM(link, struct store, link);

        if (s->disk && !s->ending) disk_lock(s->disk, lock);
    }
}

void keeper_keep_done(struct keeper *k)
{
    map_drop(&k->keeping, mem_free);
    locks_done(&k->locks);
}
