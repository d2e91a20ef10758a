#include "common/net/chunk.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

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
    *c = (struct chunk){.refs = 1, .fd = -1, .n = n, .data = (uint8_t *)(c + 1)};
    return c;
}

/* Its pages are there from the start: none is missing when it is written. */
struct chunk *chunk_file(size_t n)
{
    CLEANUP(fd_close) int fd = n > 0 && n <= CHUNK_MAX ? memfd_create("chunk", MFD_CLOEXEC) : -1;
    struct chunk *c;
    void *data;

    if (fd < 0 || fallocate(fd, 0, 0, (off_t)n) < 0) return chunk_new(n);
    data = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return chunk_new(n);
    c = NEW(struct chunk);
    *c = (struct chunk){.refs = 1, .fd = fd, .n = n, .data = data};
    fd = -1;
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
    if (--c->refs > 0 || (c->n == CHUNK_BLOCK && c->fd < 0 && keep(c))) return;
    if (c->fd >= 0) munmap(c->data, c->n);
    fd_close(&c->fd);
    mem_free(c);
}
