#include "httpd/parts.h"
#include "common/base/mem.h"

usec_t parts_target(usec_t frame_us)
{
    usec_t us = CLAMP(frame_us, US_PER_MS, PART_TARGET_MOST_US);

    us *= MAX(PART_MOST_US / us, 1);
    us += us / 12;
    return (us + US_PER_MS - 1) / US_PER_MS * US_PER_MS; /* as it is written: PART-TARGET=0.347 */
}

static size_t open_from(const struct parts *p)
{
    return p->n > 0 ? p->v[p->n - 1].from + p->v[p->n - 1].n : 0;
}

static void close_part(struct parts *p, struct fragment *const *f, size_t from, size_t end)
{
    struct part *part;

    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->v = mem_renew(p->v, p->cap * sizeof(*p->v));
    }
    part = &p->v[p->n++];
    *part = (struct part){.from = from, .n = end - from, .dur_us = f[end - 1]->end_us - f[from]->start_us};
    for (size_t i = from; i < end; i++) part->key |= f[i]->key;
}

bool parts_add(struct parts *p, struct fragment *const *f, size_t i, usec_t target_us)
{
    size_t from = open_from(p), before = p->n;

    if (from < i && f[i]->end_us - f[from]->start_us > target_us) {
        close_part(p, f, from, i);
        from = i;
    }
    if (f[i]->end_us - f[from]->start_us + (f[i]->end_us - f[i]->start_us) > target_us)
        close_part(p, f, from, i + 1);
    return p->n > before;
}

void parts_end(struct parts *p, struct fragment *const *f, size_t n)
{
    size_t from = open_from(p);

    if (from < n) close_part(p, f, from, n);
}

void parts_done(struct parts *p)
{
    mem_free(p->v);
    *p = (struct parts){0};
}
