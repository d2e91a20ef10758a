#include "common/base/wr.h"
#include "common/base/err.h"

uint8_t *wr_reserve(struct wr *w, size_t n)
{
    uint8_t *at;

    if (w->bad || n > w->cap - w->n) {
        w->bad = true;
        return NULL;
    }
    at = w->p + w->n;
    w->n += n;
    return at;
}

void wr_bytes(struct wr *w, struct span s)
{
    uint8_t *at = wr_reserve(w, s.n);

    if (at && s.n > 0) memcpy(at, s.p, s.n);
}

void wr_text(struct wr *w, const char *s)
{
    wr_bytes(w, span_of(s));
}

static void be(struct wr *w, uint64_t v, size_t n)
{
    uint8_t *at = wr_reserve(w, n);

    for (size_t i = 0; at && i < n; i++) at[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void wr_u8(struct wr *w, uint8_t v)
{
    be(w, v, 1);
}
void wr_u16(struct wr *w, uint16_t v)
{
    be(w, v, 2);
}
void wr_u24(struct wr *w, uint32_t v)
{
    be(w, v, 3);
}
void wr_u32(struct wr *w, uint32_t v)
{
    be(w, v, 4);
}
void wr_u64(struct wr *w, uint64_t v)
{
    be(w, v, 8);
}

void wr_varint(struct wr *w, uint64_t v)
{
    while (v > 0x7f) {
        wr_u8(w, (uint8_t)(0x80 | (v & 0x7f)));
        v >>= 7;
    }
    wr_u8(w, (uint8_t)v);
}

void wr_zigzag(struct wr *w, int64_t v)
{
    wr_varint(w, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void wr_vfmt(struct wr *w, const char *fmt, va_list ap)
{
    size_t left = wr_left(w);
    int n;

    if (left == 0) {
        w->bad = true;
        return;
    }
    n = vsnprintf((char *)w->p + w->n, left, fmt, ap);
    if (n < 0 || (size_t)n >= left)
        w->bad = true;
    else
        w->n += (size_t)n;
}

void wr_fmt(struct wr *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    wr_vfmt(w, fmt, ap);
    va_end(ap);
}

void wr_patch_u32(struct wr *w, size_t at, uint32_t v)
{
    if (w->bad) return;
    must(at + 4 <= w->n);
    for (size_t i = 0; i < 4; i++) w->p[at + i] = (uint8_t)(v >> 8 * (3 - i));
}

const char *wr_cstr(struct wr *w)
{
    if (w->bad || w->n >= w->cap) return "";
    w->p[w->n] = 0;
    return (const char *)w->p;
}
