#include "archive/segrow.h"
#include "common/base/crc.h"

#define FORM       1
#define FORM_PLAIN 0x4d /* first byte of what seg_info_write writes */
#define CRC_BYTES  4

static uint32_t crc_of(const char *uid, uint64_t id, struct span fields)
{
    uint8_t mem[9];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_u8(&w, 0);
    wr_u64(&w, id);
    return crc32c(crc32c(crc32c(0, span_of(uid)), wr_span(&w)), fields);
}

static usec_t id_us(uint64_t id)
{
    return (usec_t)(id >> 8) * US_PER_MS;
}

static void keys_write(struct wr *w, const struct seg_info *s)
{
    uint16_t n = (uint16_t)MIN(s->n_keys, SEG_KEYS_MAX);
    struct seg_key last = {0};
    int64_t ms = 0, samples = 0;

    wr_varint(w, n);
    for (size_t i = 0; i < n; i++) {
        const struct seg_key *k = &s->keys[i];
        int64_t d_ms = (int64_t)k->at_ms - last.at_ms, d_samples = (int64_t)k->sample - last.sample;

        wr_zigzag(w, d_ms - ms);
        wr_zigzag(w, d_samples - samples);
        ms = d_ms;
        samples = d_samples;
        last = *k;
    }
}

void segrow_write(struct wr *w, const struct seg_info *s)
{
    size_t from = w->n;
    uint8_t tracks = 0;

    wr_u8(w, FORM);
    wr_zigzag(w, s->start_us - id_us(s->id));
    wr_varint(w, (uint64_t)(s->end_us - s->start_us));
    wr_varint(w, s->bytes);
    wr_varint(w, s->bytes - s->table_at);
    wr_varint(w, s->samples);
    wr_varint(w, s->flags);
    wr_u64(w, s->tracks_hash);
    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (s->base_dts[i]) tracks |= (uint8_t)(1u << i);
    wr_u8(w, tracks);
    for (size_t i = 0; i < TRACK_MAX; i++)
        if (s->base_dts[i]) wr_zigzag(w, s->base_dts[i]);
    wr_varint(w, s->damaged);
    wr_varint(w, s->repaired);
    wr_u8(w, (uint8_t)s->clock);
    wr_zigzag(w, s->clock_offset_us);
    wr_u32(w, s->crc);
    keys_write(w, s);
    if (wr_ok(w)) wr_u32(w, crc_of(s->uid, s->id, span_from(wr_span(w), from)));
}

static uint32_t read_u32(struct rd *r)
{
    uint64_t v = rd_varint(r);

    if (v > UINT32_MAX) rd_fail(r);
    return (uint32_t)v;
}

/* *at and *step go on by what is read: within 32 bits, or the reader turns bad. */
static uint32_t read_step(struct rd *r, int64_t *at, int64_t *step)
{
    int64_t change = rd_zigzag(r);

    if (change > 2 * (int64_t)UINT32_MAX || change < -2 * (int64_t)UINT32_MAX) rd_fail(r);
    if (!rd_ok(r)) return 0;
    *step += change;
    *at += *step;
    if (*at < 0 || *at > UINT32_MAX) rd_fail(r);
    return (uint32_t)*at;
}

static void keys_read(struct rd *r, struct seg_info *s)
{
    int64_t ms = 0, ms_step = 0, sample = 0, sample_step = 0;
    uint64_t n = rd_varint(r);

    if (n > SEG_KEYS_MAX) rd_fail(r);
    for (; rd_ok(r) && n > 0; n--) {
        s->keys[s->n_keys].at_ms = read_step(r, &ms, &ms_step);
        s->keys[s->n_keys++].sample = read_step(r, &sample, &sample_step);
    }
}

/* Numbers that would overflow when they are put together are refused first. */
static void times_read(struct rd *r, struct seg_info *s)
{
    int64_t after = rd_zigzag(r);
    uint64_t length = rd_varint(r), behind;

    if (after > SEG_TIME_MAX_US || after < -SEG_TIME_MAX_US || length > SEG_TIME_MAX_US) rd_fail(r);
    s->bytes = rd_varint(r);
    behind = rd_varint(r);
    if (behind > s->bytes) rd_fail(r);
    if (!rd_ok(r)) return;
    s->start_us = id_us(s->id) + after;
    s->end_us = s->start_us + (usec_t)length;
    s->table_at = s->bytes - behind;
}

static void fields_read(struct rd *r, struct seg_info *s)
{
    uint8_t tracks;

    times_read(r, s);
    s->samples = read_u32(r);
    s->flags = read_u32(r);
    s->tracks_hash = rd_u64(r);
    tracks = rd_u8(r);
    if (tracks >> TRACK_MAX) rd_fail(r);
    for (size_t i = 0; i < TRACK_MAX; i++)
        if (tracks >> i & 1) s->base_dts[i] = rd_zigzag(r);
    s->damaged = read_u32(r);
    s->repaired = read_u32(r);
    s->clock = rd_u8(r) == SEG_CLOCK_CAMERA ? SEG_CLOCK_CAMERA : SEG_CLOCK_SERVER;
    s->clock_offset_us = rd_zigzag(r);
    s->crc = rd_u32(r);
    keys_read(r, s);
}

bool segrow_read(struct span in, const char *uid, uint64_t id, struct seg_info *ret)
{
    struct rd r, crc;
    struct span fields;

    if (in.n <= CRC_BYTES || in.n > SEGROW_MAX) return false;
    if (in.p[0] == FORM_PLAIN) return seg_info_read(in, ret) && ret->id == id && strcmp(ret->uid, uid) == 0;
    fields = span_sub(in, 0, in.n - CRC_BYTES);
    crc = rd_of(span_from(in, fields.n));
    if (rd_u32(&crc) != crc_of(uid, id, fields) || !seg_id_ok(id)) return false;
    memset(ret, 0, sizeof(*ret));
    if (!span_copy(span_of(uid), ret->uid, sizeof(ret->uid))) return false;
    ret->id = id;
    r = rd_of(fields);
    if (rd_u8(&r) != FORM) return false;
    fields_read(&r, ret);
    return rd_ok(&r) && rd_left(&r) == 0 && seg_info_settle(ret);
}
