#include "httpd/json.h"

/* Length of the UTF-8 character at the front (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF); 0:
 * none. */
static size_t utf8_len(struct span s)
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

void json_text(struct text *to, struct span s)
{
    text_put(to, "\"");
    while (s.n > 0) {
        uint8_t c = s.p[0];
        size_t n = utf8_len(s);

        if (n == 0) {
            text_put(to, "\\ufffd");
            n = 1;
        } else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&') {
            text_fmt(to, "\\u%04x", c);
        } else {
            text_bytes(to, span_sub(s, 0, n));
        }
        s = span_from(s, n);
    }
    text_put(to, "\"");
}
