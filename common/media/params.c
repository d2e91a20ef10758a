#include "common/media/params.h"
#include "common/base/mem.h"

#define FIRST_CAP 4

void params_done(struct params *s)
{
    for (unsigned i = 0; i < s->n; i++) mem_free(s->v[i].p);
    mem_free(s->v);
    *s = (struct params){0};
}

struct param *params_find(const struct params *s, uint8_t kind, uint16_t id)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->v[i].kind == kind && s->v[i].id == id) return &s->v[i];
    return NULL;
}

/* A place for one more: a new one, or that of a set that no picture has used. */
static struct param *place(struct params *s)
{
    if (s->n == PARAMS_MAX) {
        for (unsigned i = 0; i < s->n; i++) {
            if (s->v[i].used) continue;
            mem_free(s->v[i].p);
            s->v[i] = (struct param){0};
            return &s->v[i];
        }
        return NULL;
    }
    if (s->n == s->cap) {
        uint16_t cap = (uint16_t)MIN(s->cap ? s->cap * 2 : FIRST_CAP, PARAMS_MAX);

        s->v = mem_renew(s->v, cap * sizeof *s->v);
        s->cap = cap;
    }
    s->v[s->n] = (struct param){0};
    return &s->v[s->n++];
}

int params_put(struct params *s, const struct param *what, struct span nal)
{
    struct param *to = params_find(s, what->kind, what->id);
    bool known = to != NULL, same;

    if (nal.n == 0 || nal.n > PARAMS_SET_MAX) return PARAMS_FULL;
    if (known && span_eq(param_span(to), nal)) return PARAMS_OK;
    if (!known && !(to = place(s))) return PARAMS_FULL;
    same = known && to->core == what->core && to->parent == what->parent;
    mem_free(to->p);
    to->p = mem_dup(nal.p, nal.n);
    to->n = (uint16_t)nal.n;
    to->kind = what->kind;
    to->id = what->id;
    to->parent = what->parent;
    to->parent_kind = what->parent_kind;
    to->core = what->core;
    to->rev = ++s->rev;
    if (same) return PARAMS_OK;
    to->in_config = false;
    return known ? PARAMS_CHANGED : PARAMS_NEW;
}

void params_use(struct params *s, struct param *p)
{
    p->used = true;
    s->any_used = true;
}

bool params_picked(const struct params *s, const struct param *p, enum params_pick pick)
{
    const struct param *parent;

    if (pick == PARAMS_USED || p->used) return p->used;
    if (!s->any_used) return true;
    parent = p->parent_kind ? params_find(s, p->parent_kind, p->parent) : NULL;
    return parent && parent->used;
}

unsigned params_count(const struct params *s, uint8_t kind, enum params_pick pick)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) n += s->v[i].kind == kind && params_picked(s, &s->v[i], pick);
    return n;
}

const struct param *params_next(const struct params *s, uint8_t kind, enum params_pick pick, int after)
{
    const struct param *best = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        const struct param *p = &s->v[i];

        if (p->kind != kind || p->id <= after || !params_picked(s, p, pick)) continue;
        if (!best || p->id < best->id) best = p;
    }
    return best;
}
