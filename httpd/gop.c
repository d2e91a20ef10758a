#include "httpd/gop.h"
#include "common/base/mem.h"

void gop_drop(struct gop *g)
{
    for (size_t i = 0; i < g->n; i++) {
        fragment_old(g->f[i]);
        fragment_unref(g->f[i]);
    }
    g->n = 0;
    g->bytes = 0;
    g->over = false;
}

void gop_add(struct gop *g, struct fragment *f)
{
    if (f->key) gop_drop(g);
    if (g->n == 0 && !f->key) return;
    if (g->n == GOP_FRAGMENTS_MAX || g->bytes + f->c->n > GOP_BYTES_MAX) {
        gop_drop(g);
        g->over = true;
        return;
    }
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->f = mem_renew(g->f, g->cap * sizeof(struct fragment *));
    }
    g->f[g->n++] = fragment_ref(f);
    g->bytes += f->c->n;
}

void gop_done(struct gop *g)
{
    gop_drop(g);
    mem_free(g->f);
    *g = (struct gop){0};
}
