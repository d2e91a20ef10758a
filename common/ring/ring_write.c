#include "common/ring/ring_layout.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define NAL_LENGTH_BYTES 4

struct ring_writer {
    struct ring_map map;
    _Atomic uint64_t next; /* ours; the memory only tells others */
    _Atomic uint64_t oldest;
    uint64_t pos;       /* where the next frame begins, unless it would wrap */
    uint32_t gen;       /* of the tracks described last */
    uint8_t entry_mask; /* tracks whose key frames a player may start at */
    struct track_set tracks;
};

static uint64_t align_up(uint64_t v)
{
    return (v + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

static void learn_tracks(struct ring_writer *w, const struct track_set *s)
{
    bool video = track_find(s, TRACK_VIDEO) >= 0;

    w->tracks = *s;
    w->entry_mask = 0;
    for (unsigned i = 0; i < s->n && i < TRACK_MAX; i++)
        if (!video || s->t[i].kind == TRACK_VIDEO) w->entry_mask |= (uint8_t)(1u << i);
}

/* Is frame seq there, whole and undamaged? */
static bool frame_whole(const struct ring_map *m, uint64_t seq, struct ring_meta *ret)
{
    return ring_meta_get(m, seq, ret) == RING_OK &&
        ring_meta_crc(ret, span(ring_data_at(m, ret->pos), ret->len)) == ret->crc;
}

/* What a dead worker left, from the newest frame back to the first that is not whole, is kept. */
static void resume_frames(struct ring_writer *w)
{
    struct ring_pos *pos = &w->map.head->pos;
    uint64_t next = MAX(ring_get(pos->next_seq), RING_FIRST_SEQ), oldest = next, last_key = 0;
    struct ring_meta meta;

    w->pos = align_up(ring_get(pos->reserve_pos));
    while (oldest > RING_FIRST_SEQ && frame_whole(&w->map, oldest - 1, &meta)) {
        if (oldest == next) w->pos = align_up(meta.pos + meta.len);
        if (meta.entry && last_key == 0) last_key = meta.seq;
        oldest--;
    }
    w->next = next;
    w->oldest = oldest;
    ring_set(pos->last_key, last_key);
    ring_set(pos->oldest_seq, oldest);
    ring_set(pos->next_seq, next);
    if (ring_get(pos->reserve_seq) < next) ring_set(pos->reserve_seq, next);
}

/* Locks that a dead worker held are let go: what they guard may be half written, and is checked by its CRC or
 * is written anew soon. */
static void resume_locks(struct ring_map *m)
{
    for (unsigned i = 0; i < 2; i++)
        if (ring_get(m->tracks[i].lock) & 1) atomic_fetch_add(&m->tracks[i].lock, 1);
    if (ring_get(m->head->status.text_seq) & 1) atomic_fetch_add(&m->head->status.text_seq, 1);
}

int ring_writer_open(int fd, struct ring_writer **ret)
{
    struct ring_map map;
    struct ring_writer *w;
    struct track_set *tracks;
    int err = ring_map(fd, true, &map);

    if (err != 0) return err;
    w = NEW(struct ring_writer);
    w->map = map;
    resume_locks(&w->map);
    resume_frames(w);
    w->gen = ring_get(map.head->pos.tracks_gen);
    tracks = NEW(struct track_set);
    if (ring_tracks_get(&w->map, w->gen, tracks) == RING_OK) learn_tracks(w, tracks);
    mem_free(tracks);
    *ret = w;
    return 0;
}

void ring_writer_close(struct ring_writer *w)
{
    if (!w) return;
    ring_unmap(&w->map);
    mem_free(w);
}

/* Bytes up to `end` and one more descriptor are ours to overwrite: readers see that before any of it changes.
 */
static void reserve(struct ring_writer *w, uint64_t seq, uint64_t end)
{
    struct ring_pos *pos = &w->map.head->pos;
    uint64_t oldest = w->oldest;
    struct ring_meta meta;

    if (end < ring_get(pos->reserve_pos)) end = ring_get(pos->reserve_pos);
    while (oldest < seq) {
        ring_meta_load(ring_desc_at(&w->map, oldest), &meta);
        if (seq - oldest < w->map.geom.frames && end - meta.pos <= w->map.geom.data_bytes) break;
        oldest++;
    }
    atomic_store_explicit(&w->oldest, oldest, memory_order_release);
    ring_set(pos->oldest_seq, oldest);
    ring_set(pos->reserve_pos, end);
    ring_set(pos->reserve_seq, seq + 1);
    atomic_thread_fence(memory_order_release);
}

static void publish(struct ring_writer *w, const struct ring_meta *meta)
{
    struct ring_pos *pos = &w->map.head->pos;

    ring_meta_store(ring_desc_at(&w->map, meta->seq), meta);
    if (meta->entry) ring_set(pos->last_key, meta->seq);
    atomic_store_explicit(&w->next, meta->seq + 1, memory_order_release);
    atomic_store_explicit(&pos->next_seq, meta->seq + 1, memory_order_release);
}

/* Where n bytes go without wrapping. */
static uint64_t place(const struct ring_writer *w, size_t n)
{
    uint64_t mask = w->map.geom.data_bytes - 1;

    return (w->pos & mask) + n > w->map.geom.data_bytes ? (w->pos | mask) + 1 : w->pos;
}

static uint8_t *append(uint8_t *dst, struct span s)
{
    ring_copy(dst, s.p, s.n);
    return dst + s.n;
}

static void gather(uint8_t *dst, const struct piece *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct piece *p = &pieces[i];

        if (p->nal_n > 0) {
            uint8_t length[NAL_LENGTH_BYTES];
            struct wr wr = wr_of(length, sizeof(length));

            wr_u32(&wr, p->nal_n);
            dst = append(dst, wr_span(&wr));
        }
        dst = append(dst, span(p->head, p->head_n));
        dst = append(dst, p->s);
    }
}

/* SIZE_MAX: longer than `most`. */
static size_t gathered_size(const struct piece *pieces, size_t n, size_t most)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        size_t add = pieces[i].head_n + (pieces[i].nal_n > 0 ? NAL_LENGTH_BYTES : 0u);

        if (pieces[i].s.n > most || sum + add + pieces[i].s.n > most) return SIZE_MAX;
        sum += add + pieces[i].s.n;
    }
    return sum;
}

int ring_put(
    struct ring_writer *w, const struct frame *f, const struct piece *pieces, size_t n, uint64_t *ret_seq)
{
    size_t bytes = gathered_size(pieces, n, w->map.geom.data_bytes / 4);
    struct ring_meta meta;
    uint8_t *at;

    must(f->track < TRACK_MAX);
    if (bytes == SIZE_MAX) return RING_E_LARGE;
    meta = (struct ring_meta){
        .seq = w->next,
        .pos = place(w, bytes),
        .len = (uint32_t)bytes,
        .dts = f->dts,
        .cts = f->cts,
        .dur = f->dur,
        .wall_us = f->wall_us,
        .arrival_us = f->arrival_us,
        .gen = w->gen,
        .flags = f->flags,
        .track = f->track,
        .entry = (f->flags & FRAME_KEY) && (w->entry_mask >> f->track & 1),
    };
    w->pos = align_up(meta.pos + bytes);
    reserve(w, meta.seq, w->pos);
    at = ring_data_at(&w->map, meta.pos);
    gather(at, pieces, n);
    meta.crc = ring_meta_crc(&meta, span(at, bytes));
    publish(w, &meta);
    *ret_seq = meta.seq;
    return RING_OK;
}

static void store_tracks(struct ring_writer *w, const struct track_set *s)
{
    struct ring_tracks *slot = &w->map.tracks[s->gen & 1];
    uint64_t *words = mem_new(RING_TRACK_WORDS * sizeof(*words));
    struct wr wr = wr_of(words, TRACK_SET_WIRE_MAX);

    track_set_write(&wr, s);
    must(wr_ok(&wr));
    ring_set(slot->lock, ring_get(slot->lock) + 1);
    atomic_thread_fence(memory_order_release);
    ring_set(slot->gen, s->gen);
    ring_set(slot->n, (uint32_t)wr.n);
    ring_set(slot->crc, crc32c(s->gen, wr_span(&wr)));
    for (size_t i = 0; i * 8 < wr.n; i++) ring_set(slot->words[i], words[i]);
    atomic_store_explicit(&slot->lock, ring_get(slot->lock) + 1, memory_order_release);
    mem_free(words);
    atomic_store_explicit(&w->map.head->pos.tracks_gen, s->gen, memory_order_release);
}

/* What lists of streams show of them. */
static void show_tracks(struct ring_status *st, const struct track_set *s)
{
    int video = track_find(s, TRACK_VIDEO), audio = track_find(s, TRACK_AUDIO);

    ring_set(st->video, video < 0 ? CODEC_NONE : s->t[video].codec);
    ring_set(st->audio, audio < 0 ? CODEC_NONE : s->t[audio].codec);
    ring_set(st->width, video < 0 ? 0 : s->t[video].width);
    ring_set(st->height, video < 0 ? 0 : s->t[video].height);
}

int ring_set_tracks(struct ring_writer *w, struct track_set *s)
{
    if (w->gen != 0 && w->tracks.n > 0 && track_set_same(&w->tracks, s)) {
        s->gen = w->gen;
        return RING_OK;
    }
    s->gen = w->gen + 1 ? w->gen + 1 : 1; /* 0 stands for none */
    store_tracks(w, s);
    w->gen = s->gen;
    learn_tracks(w, s);
    show_tracks(&w->map.head->status, s);
    return RING_OK;
}

struct ring_status *ring_writer_status(struct ring_writer *w)
{
    return &w->map.head->status;
}

void ring_writer_settings(struct ring_writer *w, uint64_t hash)
{
    ring_set(w->map.head->settings_hash, hash);
}

void ring_status_text(struct ring_status *s, char *field, size_t cap, const char *text)
{
    size_t i;

    ring_set(s->text_seq, ring_get(s->text_seq) + 1);
    atomic_thread_fence(memory_order_release);
    for (i = 0; i + 1 < cap && text[i] != '\0'; i++) __atomic_store_n(field + i, text[i], __ATOMIC_RELAXED);
    __atomic_store_n(field + i, '\0', __ATOMIC_RELAXED);
    atomic_store_explicit(&s->text_seq, ring_get(s->text_seq) + 1, memory_order_release);
}

static void copy_status(const struct ring_status *from, struct ring_status *to)
{
    const uint64_t *src = (const uint64_t *)(const void *)from;
    uint64_t *dst = (uint64_t *)(void *)to;

    for (size_t i = 0; i < sizeof(*from) / sizeof(*src); i++)
        __atomic_store_n(dst + i, __atomic_load_n(src + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}
_Static_assert(sizeof(struct ring_status) % sizeof(uint64_t) == 0, "copied in words");

/* The two last descriptions with their numbers. */
static void move_tracks(const struct ring_writer *from, struct ring_writer *to)
{
    struct track_set *s = NEW(struct track_set);

    for (uint32_t gen = from->gen > 1 ? from->gen - 1 : 1; gen <= from->gen; gen++) {
        if (ring_tracks_get(&from->map, gen, s) != RING_OK) continue;
        store_tracks(to, s);
        learn_tracks(to, s);
    }
    to->gen = from->gen;
    mem_free(s);
}

void ring_writer_move(struct ring_writer *from, struct ring_writer *to)
{
    uint64_t next = from->next;
    struct ring_pos *pos = &to->map.head->pos;
    struct ring_meta meta;

    move_tracks(from, to);
    copy_status(&from->map.head->status, &to->map.head->status);
    to->oldest = to->next = MAX(from->oldest, next - MIN(next, to->map.geom.frames));
    ring_set(pos->oldest_seq, to->oldest);
    for (uint64_t seq = to->oldest; seq < next; seq++) {
        const uint8_t *src;

        must(ring_meta_get(&from->map, seq, &meta) == RING_OK);
        src = ring_data_at(&from->map, meta.pos);
        meta.pos = place(to, meta.len);
        to->pos = align_up(meta.pos + meta.len);
        reserve(to, seq, to->pos);
        ring_copy(ring_data_at(&to->map, meta.pos), src, meta.len);
        meta.crc = ring_meta_crc(&meta, span(ring_data_at(&to->map, meta.pos), meta.len));
        publish(to, &meta);
    }
    to->next = next;
    atomic_store_explicit(&pos->next_seq, next, memory_order_release);
}

struct ring_geom ring_writer_geom(const struct ring_writer *w)
{
    return w->map.geom;
}

int ring_view(const struct ring_writer *w, uint64_t seq, struct frame *ret)
{
    struct ring_meta meta;
    int err = ring_meta_get(&w->map, seq, &meta);

    if (err != RING_OK) return err == RING_E_BAD ? RING_E_LOST : err;
    ring_frame_of(&meta, ret);
    ret->data = span(ring_data_at(&w->map, meta.pos), meta.len);
    return RING_OK;
}

bool ring_view_holds(const struct ring_writer *w, uint64_t seq)
{
    atomic_thread_fence(memory_order_acquire);
    return seq >= atomic_load_explicit(&w->oldest, memory_order_relaxed);
}

int ring_writer_tracks(const struct ring_writer *w, uint32_t gen, struct track_set *ret)
{
    return ring_tracks_get(&w->map, gen, ret);
}

uint64_t ring_writer_next(const struct ring_writer *w)
{
    return atomic_load_explicit(&w->next, memory_order_acquire);
}

uint64_t ring_writer_oldest(const struct ring_writer *w)
{
    return atomic_load_explicit(&w->oldest, memory_order_acquire);
}
