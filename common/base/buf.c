#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define FIRST_CAP 256

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_done(struct buf *b)
{
    mem_free(b->mem);
    *b = (struct buf){.limit = b->limit};
}

uint8_t *buf_room(struct buf *b, size_t n)
{
    size_t used = buf_n(b), cap = b->cap ? b->cap : FIRST_CAP;
    uint8_t *mem;

    if (n > b->limit || used > b->limit - n) return NULL;
    if (b->cap - b->to >= n && b->mem) return b->mem + b->to;
    if (b->mem && b->from > 0 && b->cap - used >= n) {
        memmove(b->mem, b->mem + b->from, used);
        b->from = 0;
        b->to = used;
        return b->mem + b->to;
    }
    while (cap < used + n) cap *= 2;
    mem = mem_retry(NULL, cap);
    if (!mem) return NULL;
    if (b->mem) memcpy(mem, b->mem + b->from, used);
    mem_free(b->mem);
    b->mem = mem;
    b->cap = cap;
    b->from = 0;
    b->to = used;
    return b->mem + b->to;
}

bool buf_put(struct buf *b, struct span s)
{
    uint8_t *at = buf_room(b, s.n);

    if (!at) return false;
    if (s.n > 0) memcpy(at, s.p, s.n);
    buf_added(b, s.n);
    return true;
}

bool buf_text(struct buf *b, const char *s)
{
    return buf_put(b, span_of(s));
}

bool buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    uint8_t *at;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) return false;
    at = buf_room(b, (size_t)n + 1);
    if (!at) return false;
    vsnprintf((char *)at, (size_t)n + 1, fmt, ap);
    buf_added(b, (size_t)n);
    return true;
}

bool buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    bool ok;

    va_start(ap, fmt);
    ok = buf_vfmt(b, fmt, ap);
    va_end(ap);
    return ok;
}

void buf_take(struct buf *b, size_t n)
{
    must(n <= buf_n(b));
    b->from += n;
    if (b->from == b->to) b->from = b->to = 0;
}

void buf_clear(struct buf *b)
{
    b->from = b->to = 0;
}

void buf_shrink(struct buf *b)
{
    if (buf_n(b) == 0) buf_done(b);
}
