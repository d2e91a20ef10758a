#include "common/ring/ring_layout.h"
#include "common/base/mem.h"

#include <errno.h>

struct ring_reader {
    struct ring_map map;
};

int ring_reader_open(int fd, struct ring_reader **ret)
{
    struct ring_map map;
    struct ring_reader *r;
    int err = ring_map(fd, false, &map);

    if (err != 0) return err;
    r = NEW(struct ring_reader);
    r->map = map;
    *ret = r;
    return 0;
}

void ring_reader_close(struct ring_reader *r)
{
    if (!r) return;
    ring_unmap(&r->map);
    mem_free(r);
}

int ring_peek(struct ring_reader *r, uint64_t seq, struct frame *ret)
{
    struct ring_meta meta;
    int err = ring_meta_get(&r->map, seq, &meta);

    if (err == RING_OK) ring_frame_of(&meta, ret);
    return err;
}

int ring_read(struct ring_reader *r, uint64_t seq, struct buf *into, struct frame *ret)
{
    struct ring_meta meta;
    uint8_t *dst;
    int err = ring_meta_get(&r->map, seq, &meta);

    if (err != RING_OK) return err;
    buf_clear(into);
    dst = buf_room(into, meta.len);
    if (!dst) return -ENOMEM;
    ring_copy(dst, ring_data_at(&r->map, meta.pos), meta.len);
    if (!ring_holds(&r->map, &meta)) return RING_E_LOST;
    if (ring_meta_crc(&meta, span(dst, meta.len)) != meta.crc) return RING_E_BAD;
    buf_added(into, meta.len);
    ring_frame_of(&meta, ret);
    ret->data = span(dst, meta.len);
    return RING_OK;
}

uint64_t ring_next(struct ring_reader *r)
{
    return atomic_load_explicit(&r->map.head->pos.next_seq, memory_order_acquire);
}

uint64_t ring_oldest(struct ring_reader *r)
{
    uint64_t next = ring_next(r), oldest = ring_get(r->map.head->pos.oldest_seq);
    uint64_t least = next - MIN(next, r->map.geom.frames);

    return CLAMP(oldest, least, next);
}

static bool is_entry(struct ring_reader *r, uint64_t seq)
{
    struct ring_meta meta;

    return ring_meta_get(&r->map, seq, &meta) == RING_OK && meta.entry == 1;
}

int ring_last_key(struct ring_reader *r, uint64_t *ret_seq)
{
    uint64_t hint = ring_get(r->map.head->pos.last_key);

    if (hint == 0 || !is_entry(r, hint)) return RING_E_AGAIN;
    *ret_seq = hint;
    return RING_OK;
}

int ring_oldest_key(struct ring_reader *r, uint64_t *ret_seq)
{
    uint64_t next = ring_next(r);

    for (uint64_t seq = ring_oldest(r); seq < next; seq++) {
        if (!is_entry(r, seq)) continue;
        *ret_seq = seq;
        return RING_OK;
    }
    return RING_E_AGAIN;
}

int ring_tracks(struct ring_reader *r, uint32_t gen, struct track_set *ret)
{
    return ring_tracks_get(&r->map, gen, ret);
}
