/* What another node says of its archive, as the courier passes it on: the first byte says which answer, then
 * messages, each behind two bytes of length. Whatever comes, what is taken is in order, each once, and can be
 * shown: segments are read again and joined, rows are maps of the stream that was asked for. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "archive/merge.h"
#include "httpd/away_said.h"

#define UID "cam-1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static usec_t from_start(void *arg, size_t part, usec_t at_us)
{
    const struct merge_part *parts = arg;

    (void)at_us;
    return parts[part].start_us;
}

/* As playlists and films join it with what is here: nothing is outside its segment, nothing is twice. */
static void join(const struct merge_part *parts, size_t n)
{
    struct merge m = {.parts = parts, .n = n, .key = from_start, .arg = (void *)(uintptr_t)parts};

    must(merge_run(&m));
    for (size_t i = 0; i < m.n_w; i++) {
        must(m.w[i].part < n && m.w[i].from_us <= m.w[i].until_us);
        must(m.w[i].from_us >= parts[m.w[i].part].start_us &&
            (i == 0 || m.w[i].from_us >= m.w[i - 1].from_us));
    }
    merge_done(&m);
}

static void check_list(const struct away_list *l)
{
    CLEANUP(mem_freep) struct merge_part *parts = mem_new_n(l->n + 1, sizeof(*parts));
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    size_t n = 0;

    must(l->n <= AWAY_LIST_MAX);
    for (size_t i = 0; i < l->n; i++) {
        must(i == 0 || l->v[i].id > l->v[i - 1].id);
        must(l->v[i].id <= l->known);
        if (!away_item(l, i, UID, info)) continue;
        must(info->id == l->v[i].id && info->end_us > info->start_us);
        parts[n++] = (struct merge_part){info->start_us, info->end_us, info->origin, info->id == l->open};
    }
    join(parts, n);
}

static void check_spans(const struct away_spans *s)
{
    must(s->n <= 2 * AWAY_SPANS_MOST);
    for (size_t i = 0; i < s->n; i++) {
        must(s->v[i].end_us > s->v[i].start_us);
        must(i == 0 || s->v[i].start_us > s->v[i - 1].end_us);
    }
}

static void check_marks(const struct away_marks *m)
{
    must(m->n <= 2 * AWAY_MARKS_MOST);
    for (size_t i = 0; i < m->n; i++) {
        struct unpack *u = NULL;

        must(i == 0 || away_mark_order(&m->v[i - 1], &m->v[i]) < 0);
        must(unpack_new(span_sub(buf_span(&m->rows), m->v[i].at, m->v[i].n), &u) == 0);
        must(packed_kind(unpack_root(u)) == PACKED_MAP);
        must(span_is(packed_str(unpack_root(u), "uid"), m->v[i].uid) && strcmp(m->v[i].uid, UID) == 0);
        unpack_done(u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum message answers[] = {MSG_AWAY_FOUND, MSG_AWAY_SPANS, MSG_AWAY_HAPPENED};
    struct rd r = rd_of(span(data, n));
    struct away_said s = away_said(answers[rd_u8(&r) % ARRAY_N(answers)], UID);
    bool last = false;
    int err = 0;

    while (!last && rd_left(&r) > 2) {
        struct span one = rd_bytes(&r, rd_u16(&r));
        struct unpack *u = NULL;

        if (unpack_new(one, &u) != 0) break;
        last = away_said_take(&s, unpack_root(u), &err);
        must(err <= 0 && (last || err == 0));
        unpack_done(u);
    }
    away_said_settle(&s);
    if (s.list) check_list(s.list);
    if (s.spans) check_spans(s.spans);
    if (s.marks) check_marks(s.marks);
    away_said_done(&s);
    return 0;
}
