#include "archive/segtable.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#define FLAGS     0x1fu
#define NEW_DUR   0x20u
#define NEW_CTS   0x40u
#define NEW_TRACK 0x80u
#define DTS_MAX   (INT64_MAX / 4)
#define ITEM_MAX  (1 + 10 + 10 + 1 + 10 + 10 + 10) /* bytes of a track change and a sample */

struct segtable_at segtable_start(void)
{
    return (struct segtable_at){.track = -1};
}

static void write_one(struct wr *w, struct segtable_at *at, const struct mp4_sample *s)
{
    uint8_t track = s->track;
    bool dur, cts;

    if (at->track != track || at->offset != s->offset || at->t[track].dts != s->dts) {
        wr_u8(w, (uint8_t)(NEW_TRACK | track));
        wr_varint(w, s->offset - at->offset);
        wr_zigzag(w, s->dts - at->t[track].dts);
    }
    dur = s->dur != at->t[track].dur;
    cts = s->cts != at->t[track].cts;
    wr_u8(w, (uint8_t)((s->flags & FLAGS) | (dur ? NEW_DUR : 0) | (cts ? NEW_CTS : 0)));
    wr_varint(w, s->size);
    if (dur) wr_varint(w, s->dur);
    if (cts) wr_zigzag(w, s->cts);
    at->track = track;
    at->offset = s->offset + s->size;
    at->t[track].dts = s->dts + s->dur;
    at->t[track].dur = s->dur;
    at->t[track].cts = s->cts;
    at->n++;
}

bool segtable_write(struct buf *to, struct segtable_at *at, const struct mp4_sample *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t mem[ITEM_MAX];
        struct wr w = wr_of(mem, sizeof(mem));

        write_one(&w, at, &s[i]);
        if (!wr_ok(&w) || !buf_put(to, wr_span(&w))) return false;
    }
    return true;
}

static bool read_one(struct rd *r, struct segtable_at *at, uint64_t bytes, struct mp4_sample *ret)
{
    uint8_t b = rd_u8(r);
    uint64_t size, dur;
    int64_t cts;

    if (b & NEW_TRACK) {
        uint64_t skip = rd_varint(r);
        int64_t jump = rd_zigzag(r);

        at->track = b & ~NEW_TRACK;
        if (at->track >= TRACK_MAX || skip > bytes - at->offset) return false;
        at->offset += skip;
        if (jump < -DTS_MAX || jump > DTS_MAX) return false;
        at->t[at->track].dts += jump;
        if (at->t[at->track].dts < 0 || at->t[at->track].dts > DTS_MAX) return false;
        b = rd_u8(r);
    }
    if (at->track < 0 || b & NEW_TRACK) return false;
    size = rd_varint(r);
    dur = b & NEW_DUR ? rd_varint(r) : at->t[at->track].dur;
    cts = b & NEW_CTS ? rd_zigzag(r) : at->t[at->track].cts;
    if (!rd_ok(r) || size > UINT32_MAX || size > bytes - at->offset || dur > UINT32_MAX) return false;
    if (cts < INT32_MIN || cts > INT32_MAX || at->t[at->track].dts > DTS_MAX) return false;
    *ret = (struct mp4_sample){at->offset, (uint32_t)size, at->t[at->track].dts, (int32_t)cts, (uint32_t)dur,
        b & FLAGS, (uint8_t)at->track};
    at->offset += size;
    at->t[at->track].dts += (int64_t)dur;
    at->t[at->track].dur = (uint32_t)dur;
    at->t[at->track].cts = (int32_t)cts;
    return true;
}

bool segtable_read(struct span in, uint64_t bytes, struct mp4_sample *out, size_t n)
{
    struct segtable_at at = segtable_start();
    struct rd r = rd_of(in);

    for (size_t i = 0; i < n; i++)
        if (!read_one(&r, &at, bytes, &out[i])) return false;
    return rd_ok(&r) && rd_left(&r) == 0;
}
