/* URLs: what was parsed and written parses to the same; a mask hides the password; joins stay within their
 * space. */
#include "common/wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(const struct url *u)
{
    char mem[URL_MAX * 2];
    struct wr w = wr_of(mem, sizeof(mem));
    struct url again;

    url_write(&w, u);
    if (!wr_ok(&w) || w.n > URL_MAX) return;
    if (url_parse(wr_span(&w), &again) != 0) __builtin_trap();
    if (!span_eq(u->host, again.host) || u->port != again.port || again.has_user) __builtin_trap();
    if (u->path.n > 0 && !span_eq(u->tail, again.tail)) __builtin_trap();
}

static void mask(struct span text, const struct url *u)
{
    char mem[URL_MAX * 4];
    const struct span secret = SPAN_LIT("s3cr3t-pw");

    struct span rest = text;
    size_t times = 0;

    url_masked(text, mem, sizeof(mem));
    for (ssize_t at; (at = span_find_span(rest, secret)) >= 0; times++)
        rest = span_from(rest, (size_t)at + 1);
    if (times == 1 && span_eq(u->password, secret) && strstr(mem, "s3cr3t-pw")) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span text = span(data, n), rest = text, name, value;
    char mem[URL_MAX + 1], small[16];
    struct wr w = wr_of(mem, sizeof(mem));
    struct url u = {0};

    if (url_parse(text, &u) == 0) round_trip(&u);
    mask(text, &u);
    url_masked(text, small, sizeof(small));
    url_tail_of(text, &w);
    w = wr_of(mem, sizeof(mem));
    url_join_control(&w, SPAN_LIT("rtsp://h:1/p?q"), text);
    w = wr_of(mem, sizeof(mem));
    url_decode(text, true, &w);
    while (url_query_next(&rest, &name, &value)) continue;
    url_query_get(text, "token", small, sizeof(small));
    return 0;
}
