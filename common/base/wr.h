/* Sticky writer into memory of the caller's that knows its capacity. What does not fit is not written, and
 * the writer turns bad, for good: write on, check wr_ok() once. Numbers are big-endian unless named le. */
#ifndef BASE_WR_H
#define BASE_WR_H

#include <stdarg.h>

#include "common/base/span.h"

struct wr {
    uint8_t *p;
    size_t cap;
    size_t n;
    bool bad;
};

static inline struct wr wr_of(void *p, size_t cap)
{
    return (struct wr){p, cap, 0, false};
}
static inline bool wr_ok(const struct wr *w)
{
    return !w->bad;
}
static inline size_t wr_left(const struct wr *w)
{
    return w->bad ? 0 : w->cap - w->n;
}
static inline struct span wr_span(const struct wr *w)
{
    return span(w->p, w->bad ? 0 : w->n);
}

/* n bytes to be filled in by the caller, or NULL. */
uint8_t *wr_reserve(struct wr *w, size_t n);
void wr_bytes(struct wr *w, struct span s);
void wr_text(struct wr *w, const char *s);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u24(struct wr *w, uint32_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
/* As rd.h reads them: 1 to 10 bytes. */
void wr_varint(struct wr *w, uint64_t v);
void wr_zigzag(struct wr *w, int64_t v);
void wr_fmt(struct wr *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void wr_vfmt(struct wr *w, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Overwrites four bytes written before, as a box length behind its box. */
void wr_patch_u32(struct wr *w, size_t at, uint32_t v);
/* Terminates with NUL (not counted) and returns the text; "" if bad or without room. */
const char *wr_cstr(struct wr *w);

#endif
