#include "common/base/secret.h"
#include "common/base/mem.h"

struct secret secret_of(struct span s)
{
    if (s.n == 0) return (struct secret){0};
    return (struct secret){mem_dup(s.p, s.n), s.n};
}

void secret_done(struct secret *s)
{
    if (s->hidden) explicit_bzero(s->hidden, s->n);
    mem_free(s->hidden);
    *s = (struct secret){0};
}

struct span secret_reveal(const struct secret *s)
{
    return span(s->hidden, s->n);
}
