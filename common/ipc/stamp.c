#include "common/ipc/stamp.h"

int stamp_cmp(const struct stamp *a, const struct stamp *b)
{
    if (a->term != b->term) return a->term < b->term ? -1 : 1;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    return a->boot < b->boot ? -1 : a->boot > b->boot;
}

void stamp_pack(struct packer *p, const struct stamp *s)
{
    pack_array(p, 3);
    pack_u64(p, s->term);
    pack_u64(p, s->node);
    pack_i64(p, (int64_t)s->boot); /* 64 bits: larger ones would be read as a float */
}

void stamp_kv(struct packer *p, const char *key, const struct stamp *s)
{
    pack_key(p, key);
    stamp_pack(p, s);
}

bool stamp_read(const struct packed *v, struct stamp *ret)
{
    uint64_t node = packed_as_u64(packed_at(v, 1), 0);

    *ret = (struct stamp){.term = packed_as_u64(packed_at(v, 0), 0),
        .node = (uint16_t)node,
        .boot = (uint64_t)packed_as_i64(packed_at(v, 2), 0)};
    if (packed_n(v) == 3 && ret->term > 0 && node > 0 && node <= UINT16_MAX) return true;
    *ret = (struct stamp){.term = 0};
    return false;
}

bool stamp_get(const struct packed *map, const char *key, struct stamp *ret)
{
    return stamp_read(packed_get(map, key), ret);
}
