#include "common/net/chunk.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <pthread.h>

#define CHUNK_MAX (SIZE_MAX / 2)

static struct {
    pthread_mutex_t lock;
    struct chunk *v[CHUNK_KEPT];
    size_t n;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

struct chunk *chunk_block(void)
{
    struct chunk *c = NULL;

    pthread_mutex_lock(&kept.lock);
    if (kept.n > 0) c = kept.v[--kept.n];
    pthread_mutex_unlock(&kept.lock);
    if (!c) return chunk_new(CHUNK_BLOCK);
    c->refs = 1;
    return c;
}

static bool keep(struct chunk *c)
{
    bool is;

    pthread_mutex_lock(&kept.lock);
    is = kept.n < CHUNK_KEPT;
    if (is) kept.v[kept.n++] = c;
    pthread_mutex_unlock(&kept.lock);
    return is;
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
    if (--c->refs > 0 || (c->n == CHUNK_BLOCK && keep(c))) return;
    mem_free(c);
}
