#include "common/ring/ring_layout.h"
#include "common/base/crc.h"

static uint64_t pair(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

static void meta_words(const struct ring_meta *m, uint64_t w[8])
{
    w[0] = m->seq;
    w[1] = m->pos;
    w[2] = pair(m->crc, m->len);
    w[3] = (uint64_t)m->dts;
    w[4] = pair((uint32_t)m->cts, m->dur);
    w[5] = (uint64_t)m->wall_us;
    w[6] = (uint64_t)m->arrival_us;
    w[7] = pair(m->gen, (uint32_t)m->flags << 16 | (uint32_t)m->track << 8 | m->entry);
}

void ring_meta_store(struct ring_desc *d, const struct ring_meta *m)
{
    uint64_t w[8];

    meta_words(m, w);
    for (size_t i = 0; i < ARRAY_N(w); i++) ring_set(d->word[i], w[i]);
}

void ring_meta_load(const struct ring_desc *d, struct ring_meta *ret)
{
    uint64_t w[8];

    for (size_t i = 0; i < ARRAY_N(w); i++) w[i] = ring_get(d->word[i]);
    *ret = (struct ring_meta){
        .seq = w[0],
        .pos = w[1],
        .len = (uint32_t)w[2],
        .crc = (uint32_t)(w[2] >> 32),
        .dts = (int64_t)w[3],
        .cts = (int32_t)(uint32_t)(w[4] >> 32),
        .dur = (uint32_t)w[4],
        .wall_us = (int64_t)w[5],
        .arrival_us = (int64_t)w[6],
        .gen = (uint32_t)(w[7] >> 32),
        .flags = (uint16_t)(w[7] >> 16),
        .track = (uint8_t)(w[7] >> 8),
        .entry = (uint8_t)w[7],
    };
}

uint32_t ring_meta_crc(const struct ring_meta *m, struct span data)
{
    uint64_t w[8];

    meta_words(m, w);
    w[2] = m->len;
    return crc32c(crc32c(0, span(w, sizeof(w))), data);
}

bool ring_holds(const struct ring_map *m, const struct ring_meta *meta)
{
    atomic_thread_fence(memory_order_acquire);
    return ring_get(m->head->pos.reserve_seq) - meta->seq <= m->geom.frames &&
        ring_get(m->head->pos.reserve_pos) - meta->pos <= m->geom.data_bytes;
}

static bool meta_ok(const struct ring_map *m, const struct ring_meta *meta)
{
    return meta->len <= m->geom.data_bytes / 4 && meta->track < TRACK_MAX &&
        (meta->pos & (m->geom.data_bytes - 1)) + meta->len <= m->geom.data_bytes;
}

int ring_meta_get(const struct ring_map *m, uint64_t seq, struct ring_meta *ret)
{
    const struct ring_pos *pos = &m->head->pos;
    uint64_t next = atomic_load_explicit(&pos->next_seq, memory_order_acquire);
    struct ring_meta meta;

    if (seq >= next) return RING_E_AGAIN;
    if (next - seq > m->geom.frames || seq < ring_get(pos->oldest_seq)) return RING_E_LOST;
    ring_meta_load(ring_desc_at(m, seq), &meta);
    atomic_thread_fence(memory_order_acquire);
    if (ring_get(pos->reserve_seq) - seq > m->geom.frames) return RING_E_LOST;
    if (meta.seq != seq || !meta_ok(m, &meta)) return RING_E_BAD;
    if (!ring_holds(m, &meta)) return RING_E_LOST;
    *ret = meta;
    return RING_OK;
}

void ring_frame_of(const struct ring_meta *m, struct frame *ret)
{
    *ret = (struct frame){
        .seq = m->seq,
        .dts = m->dts,
        .cts = m->cts,
        .dur = m->dur,
        .wall_us = m->wall_us,
        .arrival_us = m->arrival_us,
        .gen = m->gen,
        .flags = m->flags,
        .track = m->track,
        .data = span(NULL, m->len),
    };
}

/* One try. RING_E_AGAIN: was being written. */
static int tracks_once(const struct ring_tracks *slot, uint32_t gen, struct track_set *ret)
{
    uint64_t words[RING_TRACK_WORDS];
    uint32_t before = atomic_load_explicit(&slot->lock, memory_order_acquire);
    uint32_t n = ring_get(slot->n), crc = ring_get(slot->crc), slot_gen = ring_get(slot->gen);
    struct rd rd;

    if (n > TRACK_SET_WIRE_MAX) return RING_E_BAD;
    for (size_t i = 0; i * 8 < n; i++) words[i] = ring_get(slot->words[i]);
    atomic_thread_fence(memory_order_acquire);
    if ((before & 1) || ring_get(slot->lock) != before) return RING_E_AGAIN;
    if (slot_gen != gen) return RING_E_GEN;
    if (crc32c(slot_gen, span(words, n)) != crc) return RING_E_BAD;
    rd = rd_of(span(words, n));
    if (!track_set_read(&rd, ret) || ret->gen != gen) return RING_E_BAD;
    return RING_OK;
}

int ring_tracks_get(const struct ring_map *m, uint32_t gen, struct track_set *ret)
{
    int err = RING_E_GEN;

    for (int i = 0; i < RING_RETRY_MAX; i++) {
        uint32_t want = gen ? gen : ring_get(m->head->pos.tracks_gen);

        if (want == 0) return RING_E_GEN;
        err = tracks_once(&m->tracks[want & 1], want, ret);
        if (err != RING_E_AGAIN && !(err == RING_E_GEN && gen == 0)) return err;
    }
    return err == RING_E_AGAIN ? RING_E_GEN : err;
}
