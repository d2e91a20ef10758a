#include "tests/support/playlist.h"

uint64_t playlist_tag(struct span text, const char *tag)
{
    struct span line;
    uint64_t v = 0;

    while (span_split(&text, '\n', &line))
        if (span_starts(line, span_of(tag)) && span_u64(span_from(line, strlen(tag)), UINT32_MAX, &v))
            return v;
    return 0;
}

unsigned playlist_count(struct span text, const char *what)
{
    unsigned n = 0;
    ssize_t at;

    while ((at = span_find_span(text, span_of(what))) >= 0) {
        n++;
        text = span_from(text, (size_t)at + strlen(what));
    }
    return n;
}
