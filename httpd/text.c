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

void text_fmt(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (!t->bad && !buf_vfmt(&t->b, fmt, ap)) t->bad = true;
    va_end(ap);
}
