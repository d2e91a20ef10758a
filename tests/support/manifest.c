#include "tests/support/manifest.h"
#include "tests/support/corpora.h"

#define COLUMNS 16

bool manifest_load(const char *dir, struct buf *into)
{
    char path[512];

    snprintf(path, sizeof path, "%s/MANIFEST.tsv", dir);
    return corpora_read(path, into);
}

static size_t columns(struct span line, struct span *ret)
{
    size_t n = 0;

    while (n < COLUMNS && span_split(&line, '\t', &ret[n])) n++;
    return n;
}

/* "h264 High 320x240 25/1 pkts=30 b=2" */
static void read_probe(struct span text, struct manifest_probe *ret)
{
    struct span word, w;
    uint64_t a, b;

    while (span_split(&text, ' ', &word)) {
        struct span rest = word;

        if (span_istarts(word, "pkts=") && span_u64(span_from(word, 5), 1000000, &a))
            ret->packets = (unsigned)a;
        if (span_istarts(word, "b=") && span_u64(span_from(word, 2), 16, &a)) ret->reorder = (unsigned)a;
        if (span_split(&rest, 'x', &w) && span_u64(w, 65535, &a) && span_u64(rest, 65535, &b)) {
            ret->width = (unsigned)a;
            ret->height = (unsigned)b;
        }
    }
}

bool manifest_find(const struct buf *manifest, const char *name, struct manifest_probe *ret)
{
    struct span rest = buf_span(manifest), line, col[COLUMNS];
    size_t probe = COLUMNS, n;

    *ret = (struct manifest_probe){0};
    if (!span_split(&rest, '\n', &line)) return false;
    n = columns(line, col);
    for (size_t i = 0; i < n; i++)
        if (span_is(col[i], "probe")) probe = i;
    while (span_split(&rest, '\n', &line)) {
        n = columns(line, col);
        if (n <= probe || !span_is(col[0], name)) continue;
        read_probe(col[probe], ret);
        return ret->width > 0;
    }
    return false;
}
