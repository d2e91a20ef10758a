#include "worker/gather.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#define FIRST_PIECES 16
#define FIRST_OWN    4096
#define KEEP_PIECES  512
#define KEEP_OWN     (32u << 10)

void gather_init(struct gather *g, size_t limit)
{
    *g = (struct gather){.limit = limit};
}

void gather_done(struct gather *g)
{
    mem_free(g->v);
    mem_free(g->own);
    gather_init(g, g->limit);
}

void gather_clear(struct gather *g)
{
    if (!g->hold && (g->cap > KEEP_PIECES || g->own_cap > KEEP_OWN)) {
        gather_done(g);
        return;
    }
    g->n = g->own_n = 0;
    g->bytes = 0;
    g->in_nal = false;
    if (!g->hold) g->own_used = 0;
}

static struct piece *add(struct gather *g, size_t bytes)
{
    if (bytes > g->limit - g->bytes || g->n == GATHER_PIECES_MAX) return NULL;
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : FIRST_PIECES;
        struct piece *v = mem_retry(g->v, cap * sizeof *v);

        if (!v) return NULL;
        g->v = v;
        g->cap = cap;
    }
    g->bytes += bytes;
    g->v[g->n] = (struct piece){0};
    return &g->v[g->n++];
}

bool gather_nal(struct gather *g, const uint8_t *head, uint8_t head_n, struct span s)
{
    struct piece *p = add(g, s.n + head_n);

    if (!p) return false;
    must(head_n <= sizeof p->head);
    g->nal = g->n - 1;
    g->in_nal = true;
    p->s = s;
    p->nal_n = (uint32_t)(s.n + head_n);
    p->head_n = head_n;
    for (uint8_t i = 0; i < head_n; i++) p->head[i] = head[i];
    return true;
}

bool gather_more(struct gather *g, struct span s)
{
    struct piece *p = add(g, s.n);

    if (!p) return false;
    p->s = s;
    if (g->in_nal) g->v[g->nal].nal_n += (uint32_t)s.n;
    return true;
}

static bool in_own(const struct gather *g, struct span s)
{
    return s.n > 0 && g->own && (uintptr_t)s.p >= (uintptr_t)g->own &&
        (uintptr_t)s.p < (uintptr_t)g->own + g->own_cap;
}

/* Room for n more bytes of own memory; the pieces that lie there follow it. The old memory is *ret_old, to be
 * freed when nothing is copied from it any more. */
static bool grow(struct gather *g, size_t n, uint8_t **ret_old)
{
    size_t cap = g->own_cap ? g->own_cap : FIRST_OWN;
    uint8_t *own;

    *ret_old = NULL;
    if (n > g->limit || g->own_used > g->limit - n) return false;
    if (g->own_used + n <= g->own_cap) return true;
    while (cap < g->own_used + n) cap *= 2;
    own = mem_try(cap);
    if (!own) return false;
    if (g->own_used > 0) memcpy(own, g->own, g->own_used);
    for (uint32_t i = 0; i < g->n; i++)
        if (in_own(g, g->v[i].s)) g->v[i].s.p = own + (g->v[i].s.p - g->own);
    *ret_old = g->own;
    g->own = own;
    g->own_cap = cap;
    return true;
}

static void own_put(struct gather *g, struct span s)
{
    if (s.n > 0) memcpy(g->own + g->own_used, s.p, s.n);
    g->own_used += s.n;
}

bool gather_detach(struct gather *g)
{
    size_t need = 0;
    uint8_t *old;

    for (uint32_t i = g->own_n; i < g->n; i++) need += in_own(g, g->v[i].s) ? 0 : g->v[i].s.n;
    if (!grow(g, need, &old)) return false;
    for (uint32_t i = g->own_n; i < g->n; i++) {
        struct span *s = &g->v[i].s;
        size_t at = g->own_used;

        if (in_own(g, *s)) continue;
        own_put(g, *s);
        *s = s->n > 0 ? span(g->own + at, s->n) : SPAN_NONE;
    }
    g->own_n = g->n;
    mem_free(old);
    return true;
}

bool gather_join(struct gather *g, uint32_t at, struct span *ret)
{
    size_t need = 0, from;
    uint8_t *old;

    for (uint32_t i = at; i < g->n; i++) need += g->v[i].s.n + g->v[i].head_n;
    if (!grow(g, need, &old)) return false;
    from = g->own_used;
    for (uint32_t i = at; i < g->n; i++) {
        own_put(g, span(g->v[i].head, g->v[i].head_n));
        own_put(g, g->v[i].s);
    }
    mem_free(old);
    *ret = span(g->own + from, need);
    return true;
}

void gather_cut(struct gather *g, uint32_t at)
{
    while (g->n > at) {
        const struct piece *p = &g->v[--g->n];

        g->bytes -= p->s.n + p->head_n;
    }
    g->own_n = MIN(g->own_n, g->n);
    g->in_nal = g->in_nal && g->nal < g->n;
}

void gather_drop_front(struct gather *g, uint32_t n)
{
    n = MIN(n, g->n);
    if (n == g->n) {
        gather_clear(g);
        return;
    }
    for (uint32_t i = 0; i < n; i++) g->bytes -= g->v[i].s.n + g->v[i].head_n;
    memmove(g->v, g->v + n, (g->n - n) * sizeof *g->v);
    g->n -= n;
    g->own_n -= MIN(g->own_n, n);
    g->in_nal = g->in_nal && g->nal >= n;
    g->nal -= MIN(g->nal, n);
}
