#include "httpd/archive_plan.h"
#include "archive/index.h"
#include "common/base/mem.h"

#define RUNS_OPEN 8 /* ends of runs that a segment may go on */

void plan_done(struct plan *p)
{
    mem_free(p->v);
    mem_free(p->s);
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

bool plan_put(struct plan *p, const struct piece_of *piece)
{
    void *v = p->v;
    bool ok = grow(&v, p->n, &p->cap, PLAN_PIECES_MAX, sizeof(*p->v));

    p->v = v;
    if (ok) p->v[p->n++] = *piece;
    return ok;
}

bool plan_put_segment(struct plan *p, const struct plan_segment *s)
{
    void *v = p->s;
    bool ok = grow(&v, p->n_s, &p->cap_s, PLAN_SEGMENTS_MAX, sizeof(*p->s));

    p->s = v;
    if (ok) p->s[p->n_s++] = *s;
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

/* Leaves what may be seen of a piece. false: nothing may. */
static bool see(struct piece_of *x, const struct plan_span *span)
{
    const struct sight *s = &span->sight;
    usec_t end_us = x->start_us + x->dur_us;

    if (x->start_us < s->from_us && span->entry_us < end_us && span->entry > x->from && span->entry < x->to) {
        x->from = span->entry;
        x->start_us = span->entry_us;
        x->dur_us = end_us - span->entry_us;
        x->inside = false;
    }
    if (x->start_us < s->from_us || (s->to_us > 0 && x->start_us >= s->to_us)) return false;
    if (s->to_us == 0 || end_us <= s->to_us) return true;
    x->until_us = s->to_us;
    x->dur_us = s->to_us - x->start_us;
    return true;
}

bool plan_add(struct plan *p, const struct seg_info *s, const struct plan_span *span)
{
    unsigned n = MAX(s->n_keys, 1u) - (span->open ? 1 : 0);
    struct plan_segment seg = {.id = s->id,
        .tracks_hash = s->tracks_hash,
        .start_us = s->start_us,
        .end_us = s->end_us,
        .first = p->n,
        .samples = s->samples,
        .storage = span->storage,
        .node = s->origin,
        .writes = span->writes,
        .discont = (s->flags & SEG_DISCONT) != 0};

    count_bytes(p, s);
    for (unsigned i = 0; i < n; i++) {
        usec_t start_us = key_us(s, i), end_us = key_us(s, i + 1);
        struct piece_of piece = {
            .start_us = start_us,
            .dur_us = end_us - start_us,
            .from = i == 0 ? 0 : s->keys[i].sample,
            .to = i + 1 < s->n_keys ? s->keys[i + 1].sample : s->samples,
            .inside = i == 0 && (s->flags & SEG_CONTINUES),
        };

        if (piece.dur_us <= 0 || piece.to <= piece.from || start_us >= span->to_us || end_us <= span->from_us)
            continue;
        if (!see(&piece, span)) continue;
        if (!plan_put(p, &piece)) return false;
    }
    seg.n = p->n - seg.first;
    return seg.n == 0 || plan_put_segment(p, &seg);
}

bool plan_take(struct plan *to, struct plan *from)
{
    for (size_t i = 0; i < from->n_s; i++) {
        struct plan_segment seg = from->s[i];

        seg.first = to->n;
        for (size_t k = 0; k < seg.n; k++)
            if (!plan_put(to, &from->v[from->s[i].first + k])) return false;
        if (!plan_put_segment(to, &seg)) return false;
    }
    to->bytes += from->bytes;
    to->bytes_us += from->bytes_us;
    to->peak = MAX(to->peak, from->peak);
    plan_done(from);
    return true;
}

/* --- order --- */

static int by_start(const void *a, const void *b)
{
    const struct plan_segment *x = a, *y = b;

    if (x->start_us != y->start_us) return x->start_us < y->start_us ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    if (x->samples != y->samples) return x->samples > y->samples ? -1 : 1; /* the longer first */
    return (x->storage > y->storage) - (x->storage < y->storage);
}

static int by_run(const void *a, const void *b)
{
    const struct plan_segment *x = a, *y = b;

    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    return by_start(a, b);
}

void plan_drop_twins(struct plan *p)
{
    size_t n = 0;

    if (p->n_s == 0) return;
    qsort(p->s, p->n_s, sizeof(p->s[0]), by_start);

    for (size_t i = 0; i < p->n_s; i++)
        if (n == 0 || p->s[i].id != p->s[n - 1].id || p->s[i].start_us != p->s[n - 1].start_us)
            p->s[n++] = p->s[i];
    p->n_s = n;
}

/* Numbers the runs in the order of their starts. A segment goes on the run whose end it begins at; one that
 * says that footage is missing before it does so only where no time is covered twice. */
static void find_runs(struct plan *p)
{
    struct {
        usec_t end_us;
        uint32_t run;
    } open[RUNS_OPEN] = {0};
    uint32_t runs = 0;

    for (size_t i = 0; i < p->n_s; i++) {
        struct plan_segment *s = &p->s[i];
        unsigned best = RUNS_OPEN, oldest = 0;

        for (unsigned k = 0; k < MIN(runs, RUNS_OPEN); k++) {
            usec_t apart = llabs(s->start_us - open[k].end_us);

            if (apart <= INDEX_JOIN_US &&
                (best == RUNS_OPEN || apart < llabs(s->start_us - open[best].end_us)))
                best = k;
            if (open[k].end_us < open[oldest].end_us) oldest = k;
        }
        if (best == RUNS_OPEN) {
            best = runs < RUNS_OPEN ? runs : oldest;
            open[best].run = runs++;
        }
        open[best].end_us = s->end_us;
        s->run = open[best].run;
    }
}

static bool joined_at(const struct plan_segment *a, const struct plan_segment *b)
{
    return b->discont || a->run != b->run || a->tracks_hash != b->tracks_hash || a->node != b->node;
}

/* The last frame of a file may be shown a little longer, up to the next. */
static void close_seams(struct plan *p)
{
    for (size_t i = 0; i + 1 < p->n; i++) {
        struct piece_of *x = &p->v[i], *next = x + 1;

        if (!next->discont && next->start_us > x->start_us) x->dur_us = next->start_us - x->start_us;
    }
}

bool plan_sort(struct plan *p)
{
    struct piece_of *v = p->n > 0 ? mem_try(p->n * sizeof(*v)) : NULL;
    size_t n = 0;

    if (p->n == 0) return true;
    if (!v) return false;
    plan_drop_twins(p);
    find_runs(p);
    qsort(p->s, p->n_s, sizeof(p->s[0]), by_run);
    for (size_t i = 0; i < p->n_s; i++) {
        struct plan_segment *s = &p->s[i];

        memcpy(v + n, p->v + s->first, s->n * sizeof(*v));
        s->first = n;
        for (size_t k = 0; k < s->n; k++) v[n++].seg = (uint32_t)i;
        v[s->first].discont = i > 0 && joined_at(s - 1, s);
    }
    mem_free(p->v);
    p->v = v;
    p->cap = p->n;
    p->n = n;
    close_seams(p);
    return true;
}

/* --- gaps --- */

static usec_t gap_before(const struct plan *p, size_t i)
{
    if (i == 0 || !p->v[i].discont) return 0;
    return MAX(p->v[i].start_us - (p->v[i - 1].start_us + p->v[i - 1].dur_us), 0);
}

static size_t entries_of(usec_t gap_us)
{
    return gap_us < US_PER_S ? 0 : (size_t)((gap_us + PLAN_GAP_US - 1) / PLAN_GAP_US);
}

bool plan_fill_gaps(struct plan *p)
{
    struct piece_of *v;
    size_t more = 0, at = 0;

    for (size_t i = 0; i < p->n; i++) more += entries_of(gap_before(p, i));
    if (more == 0) return true;
    if (p->n + more > PLAN_PIECES_MAX) return false;
    v = mem_try((p->n + more) * sizeof(*v));
    if (!v) return false;
    for (size_t i = 0; i < p->n; i++) {
        usec_t left_us = gap_before(p, i), from_us = p->v[i].start_us - left_us;

        for (size_t k = entries_of(left_us); k > 0; k--) {
            usec_t us = MIN(left_us, PLAN_GAP_US);

            v[at++] = (struct piece_of){.start_us = from_us, .dur_us = us, .seg = p->v[i].seg, .gap = true};
            from_us += us;
            left_us -= us;
        }
        if (i > 0 && p->v[i].seg != p->v[i - 1].seg) p->s[p->v[i].seg].first = at;
        v[at++] = p->v[i];
    }
    mem_free(p->v);
    p->v = v;
    p->n = p->cap = at;
    return true;
}

void plan_settle(struct plan *p, usec_t since_us)
{
    for (size_t i = 1; i < p->n; i++) {
        const struct plan_segment *a = &p->s[p->v[i - 1].seg], *b = &p->s[p->v[i].seg];

        if (a == b || a->run == b->run || b->discont || b->start_us < since_us) continue;
        p->n = i;
        return;
    }
}
