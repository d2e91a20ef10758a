#include "httpd/archive_plan.h"
#include "archive/index.h"
#include "httpd/hls.h"
#include "common/base/mem.h"

#define URI_MAX       96
#define STRETCHES_MAX 200000

void plan_done(struct plan *p)
{
    mem_free(p->v);
    *p = (struct plan){0};
}

static bool grow(void **v, size_t n, size_t *cap, size_t most, size_t bytes)
{
    size_t to = *cap ? *cap * 2 : 64;
    void *mem;

    if (n < *cap) return true;
    if (n >= most) return false;
    mem = mem_retry(*v, to * bytes);
    if (!mem) return false;
    *v = mem;
    *cap = to;
    return true;
}

static bool push(struct plan *p, const struct piece_of *piece)
{
    void *v = p->v;
    bool ok = grow(&v, p->n, &p->cap, PLAN_PIECES_MAX, sizeof(*p->v));

    p->v = v;
    if (ok) p->v[p->n++] = *piece;
    return ok;
}

static void count_bytes(struct plan *p, const struct seg_info *s)
{
    usec_t us = s->end_us - s->start_us;

    if (us < US_PER_S) return;
    p->bytes += s->bytes;
    p->bytes_us += us;
    p->peak = MAX(p->peak, (uint32_t)MIN(s->bytes * 8 * 1000 / (uint64_t)(us / 1000), UINT32_MAX));
}

/* at_ms of key i; behind the last: the segment's end. */
static usec_t key_us(const struct seg_info *s, unsigned i)
{
    if (i == 0) return s->start_us;
    return i < s->n_keys ? s->start_us + (usec_t)s->keys[i].at_ms * US_PER_MS : s->end_us;
}

bool plan_add(struct plan *p, const struct seg_info *s, uint8_t storage, usec_t from_us, usec_t to_us)
{
    unsigned n = MAX(s->n_keys, 1u);

    count_bytes(p, s);
    for (unsigned i = 0; i < n; i++) {
        usec_t start_us = key_us(s, i), end_us = key_us(s, i + 1);
        struct piece_of piece = {
            .start_us = start_us,
            .dur_us = end_us - start_us,
            .id = s->id,
            .tracks_hash = s->tracks_hash,
            .from = i == 0 ? 0 : s->keys[i].sample,
            .to = i + 1 < s->n_keys ? s->keys[i + 1].sample : s->samples,
            .storage = storage,
            .first = i == 0,
            .discont = i == 0 && (s->flags & SEG_DISCONT),
            .inside = i == 0 && (s->flags & SEG_CONTINUES),
        };

        if (piece.dur_us <= 0 || start_us >= to_us || end_us <= from_us) continue;
        if (!push(p, &piece)) return false;
    }
    return true;
}

bool plan_take(struct plan *to, struct plan *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!push(to, &from->v[i])) return false;
    to->bytes += from->bytes;
    to->bytes_us += from->bytes_us;
    to->peak = MAX(to->peak, from->peak);
    plan_done(from);
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct piece_of *x = a, *y = b;

    if (x->start_us != y->start_us) return x->start_us < y->start_us ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void plan_sort(struct plan *p)
{
    size_t n = 0;

    if (p->n == 0) return;
    qsort(p->v, p->n, sizeof(p->v[0]), by_time);
    for (size_t i = 0; i < p->n; i++)
        if (n == 0 || p->v[i].id != p->v[n - 1].id || p->v[i].from != p->v[n - 1].from) p->v[n++] = p->v[i];
    p->n = n;
}

/* Does a player have to start anew between these two? */
static bool joined_at(const struct piece_of *a, const struct piece_of *b)
{
    usec_t gap_us = b->start_us - (a->start_us + a->dur_us);

    if (b->discont || a->tracks_hash != b->tracks_hash) return true;
    return gap_us > INDEX_JOIN_US;
}

/* Up to the next one where they follow each other, since the last frame of a file may be shown a little
 * longer. */
static usec_t shown_us(const struct piece_of *x, const struct piece_of *next)
{
    if (!next || joined_at(x, next) || next->start_us <= x->start_us) return x->dur_us;
    return next->start_us - x->start_us;
}

void plan_write(const struct plan *p, struct text *to)
{
    struct hls_head head = {.target_s = 1, .vod = true, .independent = true};
    char uri[URI_MAX];

    for (size_t i = 0; p->v && i < p->n; i++) {
        usec_t us = shown_us(&p->v[i], i + 1 < p->n ? &p->v[i + 1] : NULL);

        head.target_s = MAX(head.target_s, hls_rounded_s(us));
        head.independent &= !p->v[i].inside;
    }
    hls_begin(to, &head);
    for (size_t i = 0; p->v && i < p->n; i++) {
        const struct piece_of *x = &p->v[i], *before = i > 0 ? x - 1 : NULL;
        struct hls_segment line = {.uri = uri, .dur_us = shown_us(x, i + 1 < p->n ? x + 1 : NULL)};
        bool discont = before && joined_at(before, x);

        if (discont) text_put(to, "#EXT-X-DISCONTINUITY\n");
        if (!before || before->tracks_hash != x->tracks_hash) {
            snprintf(
                uri, sizeof(uri), "dvr-init-%s-%llx.mp4", p->tags[x->storage], (unsigned long long)x->id);
            hls_map(to, uri);
        }
        if (!before || discont || x->first) line.wall_us = x->start_us;
        snprintf(uri, sizeof(uri), "dvr-%s-%llx-%x-%x.m4s", p->tags[x->storage], (unsigned long long)x->id,
            x->from, x->to);
        hls_segment(to, &line);
    }
    hls_end(to);
}

void stretches_done(struct stretches *s)
{
    mem_free(s->v);
    *s = (struct stretches){0};
}

bool stretches_add(struct stretches *s, usec_t from_us, usec_t to_us)
{
    void *v = s->v;
    bool ok = grow(&v, s->n, &s->cap, STRETCHES_MAX, sizeof(*s->v));

    s->v = v;
    if (ok) s->v[s->n++] = (struct stretch){from_us, to_us};
    return ok;
}

static int by_from(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

void stretches_join(struct stretches *s, usec_t join_us, usec_t from_us, usec_t to_us)
{
    size_t n = 0;

    if (s->n == 0) return;
    qsort(s->v, s->n, sizeof(s->v[0]), by_from);
    for (size_t i = 0; i < s->n; i++) {
        struct stretch x = {MAX(s->v[i].from_us, from_us), MIN(s->v[i].to_us, to_us)};

        if (x.to_us <= x.from_us) continue;
        if (n > 0 && x.from_us - s->v[n - 1].to_us <= join_us)
            s->v[n - 1].to_us = MAX(s->v[n - 1].to_us, x.to_us);
        else
            s->v[n++] = x;
    }
    s->n = n;
}
