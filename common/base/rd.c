#include "common/base/rd.h"

struct span rd_bytes(struct rd *r, size_t n)
{
    struct span got;

    if (r->bad || n > r->s.n - r->at) {
        r->bad = true;
        return SPAN_NONE;
    }
    got = span_sub(r->s, r->at, n);
    r->at += n;
    return got;
}

struct span rd_rest(struct rd *r)
{
    return rd_bytes(r, rd_left(r));
}

static uint64_t be(struct rd *r, size_t n)
{
    struct span s = rd_bytes(r, n);
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) v = v << 8 | s.p[i];
    return v;
}

uint8_t rd_u8(struct rd *r)
{
    return (uint8_t)be(r, 1);
}
uint16_t rd_u16(struct rd *r)
{
    return (uint16_t)be(r, 2);
}
uint32_t rd_u24(struct rd *r)
{
    return (uint32_t)be(r, 3);
}
uint32_t rd_u32(struct rd *r)
{
    return (uint32_t)be(r, 4);
}
uint64_t rd_u64(struct rd *r)
{
    return be(r, 8);
}

uint64_t rd_varint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = rd_u8(r);

        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return v;
    }
    rd_fail(r);
    return 0;
}

int64_t rd_zigzag(struct rd *r)
{
    uint64_t v = rd_varint(r);

    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

void rd_skip(struct rd *r, size_t n)
{
    rd_bytes(r, n);
}

struct span rd_peek(const struct rd *r, size_t n)
{
    return rd_left(r) < n ? SPAN_NONE : span_sub(r->s, r->at, n);
}
