/* Text that grows up to a limit, and turns bad for good where it does not fit: write on, look once at
 * text_ok(). */
#ifndef HTTPD_TEXT_H
#define HTTPD_TEXT_H

#include "common/base/buf.h"

struct text {
    struct buf b;
    bool bad;
};

void text_init(struct text *t, size_t limit);
void text_done(struct text *t);
static inline bool text_ok(const struct text *t)
{
    return !t->bad;
}
static inline struct span text_span(const struct text *t)
{
    return buf_span(&t->b);
}
void text_put(struct text *t, const char *s);
void text_bytes(struct text *t, struct span s);
/* At least `digits` of them. */
void text_dec(struct text *t, uint64_t v, unsigned digits);
void text_hex(struct text *t, uint64_t v);
void text_fmt(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
