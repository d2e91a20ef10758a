#include "master/lines.h"
#include "common/base/mem.h"

void lines_add(struct lines *l, struct span line)
{
    char **slot = &l->kept[l->n % LINES_KEPT];

    mem_free(*slot);
    *slot = span_dup(span_sub(line, 0, LINES_LONG));
    l->n++;
}

const char *lines_at(const struct lines *l, size_t i)
{
    size_t kept = MIN(l->n, LINES_KEPT);

    return i < kept ? l->kept[(l->n - kept + i) % LINES_KEPT] : NULL;
}

void lines_done(struct lines *l)
{
    for (size_t i = 0; i < LINES_KEPT; i++) mem_free(l->kept[i]);
    *l = (struct lines){.n = 0};
}
