#include "common/base/utf8.h"

size_t utf8_len(struct span s)
{
    uint8_t a = s.p[0], b = s.n > 1 ? s.p[1] : 0;
    size_t n = a < 0x80 ? 1 : a < 0xc2 ? 0 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : a < 0xf5 ? 4 : 0;

    if (n > s.n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80) return 0;
    if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) ||
        (a == 0xf4 && b > 0x8f))
        return 0;
    return n;
}

/* Of a character of up to three bytes; all that is escaped is one. */
static unsigned code_of(struct span c)
{
    if (c.n == 1) return c.p[0];
    if (c.n == 2) return (c.p[0] & 0x1fu) << 6 | (c.p[1] & 0x3fu);
    return (c.p[0] & 0x0fu) << 12 | (c.p[1] & 0x3fu) << 6 | (c.p[2] & 0x3fu);
}

/* The Unicode standard: 23.1 control codes, 23.2 U+2028 and U+2029, UAX #9 2 directional formatting. */
static bool steers(unsigned code)
{
    static const struct {
        unsigned first, last;
    } ranges[] = {
        {0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};

    for (size_t i = 0; i < ARRAY_N(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

struct span utf8_shown(struct span *s, char buf[static UTF8_SHOWN_MAX])
{
    size_t n = s->n > 0 ? utf8_len(*s) : 0;
    struct span c = span_sub(*s, 0, n);
    unsigned code = n == 0 ? 0xfffd : n < 4 ? code_of(c) : 0x10000;

    if (s->n == 0) return SPAN_NONE;
    *s = span_from(*s, MAX(n, 1));
    if (n > 0 && !steers(code)) return c;
    snprintf(buf, UTF8_SHOWN_MAX, "\\u%04x", code & 0xffff);
    return span_of(buf);
}

void utf8_show(struct wr *w, struct span s)
{
    char buf[UTF8_SHOWN_MAX];

    while (s.n > 0) {
        struct span c = utf8_shown(&s, buf);

        if (wr_left(w) <= c.n) return;
        wr_bytes(w, c);
    }
}

void utf8_print(struct span s, FILE *to)
{
    char buf[UTF8_SHOWN_MAX];

    while (s.n > 0) {
        struct span c = utf8_shown(&s, buf);

        fwrite(c.p, 1, c.n, to);
    }
}
