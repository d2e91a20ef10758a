/* A growable byte buffer with a limit. Bytes are taken from the front without moving the rest each time.
 * Grown by allocation that may fail: buf_* return false then, and when the limit would be passed. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "common/base/span.h"

struct buf {
    uint8_t *mem;
    size_t cap;
    size_t from; /* first byte in use */
    size_t to;   /* behind the last byte in use */
    size_t limit;
};

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b); /* frees; may be called twice, and on a zeroed one */
static inline struct span buf_span(const struct buf *b)
{
    return span(b->mem ? b->mem + b->from : NULL, b->to - b->from);
}
static inline size_t buf_n(const struct buf *b)
{
    return b->to - b->from;
}

/* Room for n more bytes behind the end: the caller writes there and calls buf_added. NULL: see above. */
uint8_t *buf_room(struct buf *b, size_t n);
static inline void buf_added(struct buf *b, size_t n)
{
    b->to += n;
}
bool buf_put(struct buf *b, struct span s);
bool buf_text(struct buf *b, const char *s);
bool buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool buf_vfmt(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_take(struct buf *b, size_t n); /* drops n bytes at the front, n <= buf_n */
void buf_clear(struct buf *b);          /* empty, memory kept */
/* Gives memory back when the buffer is empty: an idle connection costs nothing. */
void buf_shrink(struct buf *b);

#endif
