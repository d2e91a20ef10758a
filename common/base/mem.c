#include "common/base/mem.h"
#include "common/base/err.h"

void *mem_new(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);

    must(p != NULL);
    return p;
}

void *mem_new_n(size_t n, size_t bytes)
{
    void *p = calloc(n ? n : 1, bytes ? bytes : 1);

    must(p != NULL);
    return p;
}

void *mem_try(size_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

void *mem_renew(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);

    must(q != NULL);
    return q;
}

void *mem_retry(void *p, size_t bytes)
{
    return realloc(p, bytes ? bytes : 1);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t bytes)
{
    void *q = mem_new(bytes);

    if (bytes > 0) memcpy(q, p, bytes);
    return q;
}

void mem_freep(void *pp)
{
    void **p = pp;

    free(*p);
    *p = NULL;
}
