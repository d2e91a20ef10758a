#include "httpd/json.h"
#include "common/wire/json.h"

void json_text(struct text *to, struct span s)
{
    char mem[UTF8_SHOWN_MAX];

    text_put(to, "\"");
    while (s.n > 0) {
        struct span c = json_shown(&s, mem);

        if (c.n == 1 && (c.p[0] == '<' || c.p[0] == '>' || c.p[0] == '&'))
            text_fmt(to, "\\u%04x", c.p[0]);
        else
            text_bytes(to, c);
    }
    text_put(to, "\"");
}
