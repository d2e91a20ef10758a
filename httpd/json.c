#include "httpd/json.h"
#include "common/base/utf8.h"

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
