/* How a ring lies in its memfd. Private to common/ring.
 *
 *   0                 ring_head: what never changes, positions, status
 *   RING_TRACKS_AT    two ring_tracks slots, a generation of track descriptions lies in slot gen & 1
 *   RING_DESC_AT      `frames` descriptors of 64 bytes, frame seq lies in slot seq & (frames - 1)
 *   behind them       `data_bytes` of frame data
 *
 * Byte positions and frame numbers are 64 bits and only rise; the place in the ring is the position modulo
 * its size. A frame never wraps: what does not fit before the end begins at the next round. The writer first
 * raises reserve_pos and reserve_seq, then overwrites, then publishes by next_seq. A reader copies, then
 * looks whether the reservation has reached what it copied: whatever is more than one ring behind it is lost.
 * This is a seqlock, with its two fences (H.-J. Boehm, "Can seqlocks get along with programming language
 * memory models?", 2012). */
#ifndef RING_RING_LAYOUT_H
#define RING_RING_LAYOUT_H

#include <stdalign.h>

#include "common/ring/ring.h"

#define RING_MAGIC      UINT64_C(0x0a676e6972736d00) /* "\0msring\n" */
#define RING_LAYOUT     3
#define RING_FRAMES_MIN 512u
#define RING_FRAMES_MAX 65536u
#define RING_ALIGN      8u
#define RING_FIRST_SEQ  1u /* 0 stands for none */
#define RING_RETRY_MAX  8  /* rounds of a seqlock */
#define RING_PAGE       4096u

struct ring_pos {
    _Atomic uint64_t next_seq;    /* frames below are published */
    _Atomic uint64_t oldest_seq;  /* hint: frames below are overwritten */
    _Atomic uint64_t reserve_seq; /* descriptors of frames below may be written now */
    _Atomic uint64_t reserve_pos; /* so may be the bytes below */
    _Atomic uint64_t last_key;    /* hint: newest frame that a player may start at, 0: none */
    _Atomic uint32_t tracks_gen;  /* newest track description, 0: none yet */
};

struct ring_head {
    uint64_t magic;
    uint32_t layout;
    uint32_t generation;
    _Atomic uint64_t settings_hash; /* of the settings that the writer works by */
    struct ring_geom geom;
    int64_t created_us;
    char uid[RING_UID_MAX + 4];
    alignas(64) struct ring_pos pos;
    alignas(64) struct ring_status status;
};
_Static_assert(sizeof(struct ring_head) <= RING_PAGE, "the status is mapped alone, as one page");

#define RING_TRACK_WORDS ((TRACK_SET_WIRE_MAX + 7) / 8)
struct ring_tracks {
    _Atomic uint32_t lock; /* odd while being written */
    _Atomic uint32_t gen;
    _Atomic uint32_t n; /* bytes */
    _Atomic uint32_t crc;
    _Atomic uint64_t words[RING_TRACK_WORDS];
};

#define RING_TRACKS_AT RING_PAGE
#define RING_DESC_AT                                                                                         \
    ((RING_TRACKS_AT + 2 * sizeof(struct ring_tracks) + RING_PAGE - 1) / RING_PAGE * RING_PAGE)

struct ring_desc {
    _Atomic uint64_t word[8];
};
_Static_assert(sizeof(struct ring_desc) == 64, "one cache line");

/* A descriptor, copied out. */
struct ring_meta {
    uint64_t seq, pos;
    uint32_t len, crc;
    int64_t dts;
    int32_t cts;
    uint32_t dur;
    int64_t wall_us, arrival_us;
    uint32_t gen;
    uint16_t flags;
    uint8_t track;
    uint8_t entry; /* 1: a player may start here */
};

/* A mapped ring with its geometry as it was checked at the mapping: never read it from the memory again. */
struct ring_map {
    struct ring_head *head; /* first byte of the mapping */
    struct ring_tracks *tracks;
    struct ring_desc *desc;
    uint8_t *data;
    size_t bytes;
    struct ring_geom geom;
};

/* A memfd that nobody can cut, grow or, beside its holders, open. 0 or -errno. */
int ring_sealed_memory(const char *name, size_t bytes, int *ret_fd);
/* Its size, of at least one page. 0, -errno, RING_E_BAD: not sealed. */
int ring_sealed_size(int fd, size_t *ret_bytes);

size_t ring_bytes(struct ring_geom g);
bool ring_geom_ok(struct ring_geom g);
/* Size, seals, magic and geometry are checked. 0, -errno, RING_E_BAD. */
int ring_map(int fd, bool writable, struct ring_map *ret);
void ring_unmap(struct ring_map *m);

void ring_meta_store(struct ring_desc *d, const struct ring_meta *m);
void ring_meta_load(const struct ring_desc *d, struct ring_meta *ret);
uint32_t ring_meta_crc(const struct ring_meta *m, struct span data); /* over everything but crc itself */
/* RING_OK, RING_E_AGAIN, RING_E_LOST, RING_E_BAD; ret is valid, and was whole, when RING_OK. */
int ring_meta_get(const struct ring_map *m, uint64_t seq, struct ring_meta *ret);
bool ring_holds(const struct ring_map *m, const struct ring_meta *meta); /* until now, what was read before */
int ring_tracks_get(const struct ring_map *m, uint32_t gen, struct track_set *ret);
void ring_frame_of(const struct ring_meta *m, struct frame *ret); /* data apart */

static inline struct ring_desc *ring_desc_at(const struct ring_map *m, uint64_t seq)
{
    return &m->desc[seq & (m->geom.frames - 1)];
}
static inline uint8_t *ring_data_at(const struct ring_map *m, uint64_t pos)
{
    return m->data + (pos & (m->geom.data_bytes - 1));
}

#define ring_get(field)    atomic_load_explicit(&(field), memory_order_relaxed)
#define ring_set(field, v) atomic_store_explicit(&(field), (v), memory_order_relaxed)

/* Frame bytes may be overwritten while they are copied: the reader finds out afterwards. The thread sanitizer
 * is shown a copy that is atomic byte by byte. */
static inline void ring_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
#ifdef __SANITIZE_THREAD__
    for (size_t i = 0; i < n; i++)
        __atomic_store_n(dst + i, __atomic_load_n(src + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
#else
    if (n > 0) memcpy(dst, src, n);
#endif
}

#endif
