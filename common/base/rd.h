/* Sticky, bounds-checked reader over a span. Past the end every read gives 0 (or an empty span) and the
 * reader turns bad, for good: parse on, check rd_ok() once. Numbers are big-endian unless named le. */
#ifndef BASE_RD_H
#define BASE_RD_H

#include "common/base/span.h"

struct rd {
    struct span s;
    size_t at;
    bool bad;
};

static inline struct rd rd_of(struct span s)
{
    return (struct rd){s, 0, false};
}
static inline bool rd_ok(const struct rd *r)
{
    return !r->bad;
}
static inline size_t rd_left(const struct rd *r)
{
    return r->bad ? 0 : r->s.n - r->at;
}
static inline void rd_fail(struct rd *r)
{
    r->bad = true;
}

struct span rd_bytes(struct rd *r, size_t n);
struct span rd_rest(struct rd *r); /* everything left */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u24(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* Seven bits a byte, low ones first, 0x80: more. zigzag: 0, -1, 1, -2 ... as 0, 1, 2, 3 ... */
uint64_t rd_varint(struct rd *r);
int64_t rd_zigzag(struct rd *r);
void rd_skip(struct rd *r, size_t n);
/* The next n bytes without taking them; empty if there are fewer, and the reader stays good. */
struct span rd_peek(const struct rd *r, size_t n);

#endif
