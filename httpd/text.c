#include "httpd/text.h"

void text_init(struct text *t, size_t limit)
{
    buf_init(&t->b, limit);
    t->bad = false;
}

void text_done(struct text *t)
{
    buf_done(&t->b);
}

void text_bytes(struct text *t, struct span s)
{
    if (!t->bad && !buf_put(&t->b, s)) t->bad = true;
}

void text_put(struct text *t, const char *s)
{
    text_bytes(t, span_of(s));
}

#define DIGITS_MAX 20 /* of 64 bits, decimal */

void text_dec(struct text *t, uint64_t v, unsigned digits)
{
    uint8_t mem[DIGITS_MAX];
    size_t at = sizeof(mem), most = sizeof(mem) - MIN(digits, DIGITS_MAX);

    for (; at > 0 && (v > 0 || at > most); v /= 10) mem[--at] = (uint8_t)('0' + v % 10);
    text_bytes(t, span(mem + at, sizeof(mem) - at));
}

void text_hex(struct text *t, uint64_t v)
{
    uint8_t mem[DIGITS_MAX];
    size_t at = sizeof(mem);

    do mem[--at] = (uint8_t) "0123456789abcdef"[v & 15];
    while ((v >>= 4) > 0);
    text_bytes(t, span(mem + at, sizeof(mem) - at));
}

void text_fmt(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (!t->bad && !buf_vfmt(&t->b, fmt, ap)) t->bad = true;
    va_end(ap);
}
