/* The keeper's side of keeping: what each stream's configuration says goes to every storage. */
#include "archive/keeper_impl.h"
#include "common/base/mem.h"

#include <errno.h>

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
    struct keep_policy *p;
    char uid[40];

    if (!packed_text(in->body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid)) return -EPROTO;
    p = NEW(struct keep_policy);
    p->duration_us = packed_i64(in->body, "duration_us", 0);
    p->event_duration_us = packed_i64(in->body, "event_duration_us", 0);
    p->capacity_bytes = packed_u64(in->body, "capacity_bytes", 0);
    p->capacity_percent = (unsigned)MIN(packed_u64(in->body, "capacity_percent", 0), 100);
    tell_all(k, uid, p);
    mem_free(map_set(&k->keeping, span_of(uid), p));
    return 0;
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

    while (map_next(&s->keeper->keeping, &at, &slot)) disk_keep(s->disk, slot.key, slot.value);
}

void keeper_keep_done(struct keeper *k)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&k->keeping, &at, &slot)) mem_free(slot.value);
    map_done(&k->keeping);
}
