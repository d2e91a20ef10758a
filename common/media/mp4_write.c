#include "common/media/mp4.h"
#include "common/media/mp4_head.h"

#define TIMESCALE_MOVIE 1000u
#define INIT_ROOM       1024u /* of the boxes that are there once */
#define TRACK_ROOM      1024u /* of one track, its configuration apart */

/* The one sample of a one-frame MP4; all zero: the samples are in fragments. */
struct single {
    uint32_t size, offset, dur;
};

static void table(struct wr *w, const char *type, const uint32_t *v, size_t n)
{
    size_t at = mp4_full_box(w, type, 0, 0);

    for (size_t i = 0; i < n; i++) wr_u32(w, v[i]);
    mp4_box_end(w, at);
}

static void tables(struct wr *w, const struct track *t, const struct single *one)
{
    size_t at;
    uint32_t has = one->size > 0;

    at = mp4_full_box(w, "stsd", 0, 0);
    wr_u32(w, 1);
    mp4_sample_entry(w, t);
    mp4_box_end(w, at);
    table(w, "stts", (uint32_t[]){has, 1, one->dur}, has ? 3 : 1);
    table(w, "stsc", (uint32_t[]){has, 1, 1, 1}, has ? 4 : 1);
    table(w, "stsz", (uint32_t[]){0, has, one->size}, has ? 3 : 2);
    table(w, "stco", (uint32_t[]){has, one->offset}, has ? 2 : 1);
}

static void trak(struct wr *w, const struct track *t, uint32_t id, const struct single *one)
{
    size_t at = mp4_box(w, "trak");
    struct mp4_media media;

    mp4_tkhd(w, t, id, one->size ? TIMESCALE_MOVIE : 0);
    media = mp4_media_begin(w, t->kind, (struct mp4_length){one->dur, t->clock_hz});
    tables(w, t, one);
    mp4_media_end(w, &media);
    mp4_box_end(w, at);
}

static void mvex(struct wr *w, const struct track_set *s, unsigned mask)
{
    size_t at = mp4_box(w, "mvex");

    for (uint32_t i = 0; i < s->n; i++) {
        if (!(mask & 1u << i)) continue;
        table(w, "trex", (uint32_t[]){i + 1, 1, 0, 0, 0}, 5);
    }
    mp4_box_end(w, at);
}

static size_t init_room(const struct track_set *s)
{
    size_t n = INIT_ROOM;

    for (unsigned i = 0; i < s->n; i++) n += TRACK_ROOM + s->t[i].config_n;
    return n;
}

bool mp4_init_segment(struct buf *to, const struct track_set *s, unsigned mask)
{
    static const struct single none = {0};
    size_t room = init_room(s), at;
    uint8_t *p = buf_room(to, room);
    struct wr w = wr_of(p, room);

    if (!p) return false;
    mask &= mp4_mask(s, MP4_ALL);
    mp4_ftyp(&w);
    at = mp4_box(&w, "moov");
    mp4_mvhd(&w, (struct mp4_length){0, TIMESCALE_MOVIE}, s->n + 1u);
    for (uint32_t i = 0; i < s->n; i++)
        if (mask & 1u << i) trak(&w, &s->t[i], i + 1, &none);
    mvex(&w, s, mask);
    mp4_box_end(&w, at);
    if (!wr_ok(&w)) return false;
    buf_added(to, w.n);
    return true;
}

bool mp4_one_frame(struct buf *to, const struct track_set *s, unsigned track, uint32_t size)
{
    struct single one = {size, 0, 0};
    size_t room = init_room(s), at;
    uint8_t *p = buf_room(to, room);
    struct wr w = wr_of(p, room);

    if (!p || size == 0 || size > UINT32_MAX - 8 || !(mp4_mask(s, MP4_ALL) & 1u << track)) return false;
    one.dur = s->t[track].clock_hz;
    /* The length of the head is known once it was written; the second pass names it. */
    for (int pass = 0; pass < 2; pass++) {
        one.offset = (uint32_t)w.n;
        w.n = 0;
        mp4_ftyp(&w);
        at = mp4_box(&w, "moov");
        mp4_mvhd(&w, (struct mp4_length){TIMESCALE_MOVIE, TIMESCALE_MOVIE}, track + 2);
        trak(&w, &s->t[track], track + 1, &one);
        mp4_box_end(&w, at);
        wr_u32(&w, size + 8);
        wr_text(&w, "mdat");
    }
    if (!wr_ok(&w)) return false;
    buf_added(to, w.n);
    return true;
}
