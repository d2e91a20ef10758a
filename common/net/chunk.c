#include "common/net/chunk.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define CHUNK_MAX (SIZE_MAX / 2)

struct chunk *chunk_new(size_t n)
{
    struct chunk *c;

    if (n > CHUNK_MAX) return NULL;
    c = mem_retry(NULL, sizeof(*c) + n);
    if (!c) return NULL;
    c->refs = 1;
    c->n = n;
    return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
    must(c->refs > 0 && c->refs < UINT32_MAX);
    c->refs++;
    return c;
}

void chunk_unref(struct chunk *c)
{
    if (!c) return;
    must(c->refs > 0);
    if (--c->refs == 0) mem_free(c);
}
