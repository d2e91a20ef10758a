/* What is missing of a stream: what this node has, out of its indexes and of the segment that is being
 * written; what another one has; the difference; and of that the segments, with events and locks of the
 * time. */
#include "courier/fill_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "courier/look.h"
#include "courier/serve.h"

#include <errno.h>

#define PATIENCE_US (10 * US_PER_S)
#define STEP        256 /* ranges read at a time */
#define PAGES_MAX   64  /* of one node's spans */
#define MARKS_PAGES 256 /* of the events and locks of one gap */

struct fill_round {
    struct fill *fill;
    char uid[40];
    usec_t from_us, now_us;
    unsigned left; /* storages that have not answered */
    struct fill_spans ours, theirs;
    uint16_t nodes[NODES_MAX]; /* to be asked */
    size_t n_nodes, node;
    struct index_range gaps[FILL_GAPS_MAX];
    size_t n_gaps, gap;
    uint64_t after;           /* segments of this gap: behind this one */
    uint8_t at[SERVE_AT_MAX]; /* its events and locks: where the next page begins */
    size_t at_n, marks_pages;
    uint64_t cut;    /* every storage of the node has said them up to this one; UINT64_MAX: all, */
    usec_t cut_us;   /* and what spans it has up to there; INT64_MAX: all */
    usec_t spans_us; /* asked for from there */
    unsigned pages;  /* of spans */
    bool unsure;     /* the node has not said all that it has */
    bool missing, stopped;
    struct call call;
};
/* What one storage of this node has. */
struct part {
    struct shelf_read read;
    struct fill_round *r;
    char uid[40];
    usec_t from_us;
    bool failed;
    struct fill_spans spans;
};

static void ask_node(struct fill_round *r);
static void ask_gap(struct fill_round *r);

/* --- the end --- */

static void round_free(struct fill_round *r)
{
    call_drop(&r->call);
    fill_spans_done(&r->ours);
    fill_spans_done(&r->theirs);
    mem_free(r);
}

static void round_over(struct fill_round *r, bool whole)
{
    struct fill *f = r->fill;
    struct fill_stream *s = map_get(&f->streams, span_of(r->uid));

    if (s) s->due_us = loop_now_us(f->loop) + (r->missing || !whole ? FILL_SOON_US : FILL_SELDOM_US);
    f->round = NULL;
    round_free(r);
    fill_copy_next(f);
}

/* Reads under way end first. */
void fill_round_stop(struct fill *f)
{
    struct fill_round *r = f->round;

    if (!r) return;
    f->round = NULL;
    r->stopped = true;
    call_drop(&r->call);
    if (r->left == 0) round_free(r);
}

/* --- the segments of a gap --- */

static void take_infos(struct fill_round *r, const struct wire_frame *f)
{
    const struct packed *infos = packed_get(f->body, "infos");
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    struct fill_want w = {.node = r->nodes[r->node]};
    uint64_t last = r->after;

    span_copy(span_of(r->uid), w.uid, sizeof(w.uid));
    if (!packed_text(f->body, "storage", w.storage, sizeof(w.storage))) return;
    for (size_t i = 0; i < packed_n(infos); i++) {
        struct span bytes = packed_as_str(packed_at(infos, i));

        if (!seg_info_read(bytes, info) || strcmp(info->uid, r->uid) != 0) continue;
        last = MAX(last, info->id);
        if (info->flags & SEG_OPEN || !fill_wanted(&r->gaps[r->gap], info->start_us, info->end_us)) continue;
        w.segment = info->id;
        w.bytes = info->bytes;
        w.start_us = info->start_us;
        fill_add_want(r->fill, &w, bytes);
    }
    if (packed_bool(f->body, "more", false)) r->cut = MIN(r->cut, last);
}

static void next_gap(struct fill_round *r)
{
    r->gap++;
    r->after = 0;
    r->at_n = r->marks_pages = 0;
    fill_copy_next(r->fill);
    ask_gap(r);
}

static void pass_on(struct fill_round *r, enum message type, const struct packed *body)
{
    struct packer *p;
    const struct packed *v;
    struct span key;

    if (!r->fill->keeper) return;
    p = channel_begin(r->fill->keeper, type, (uint32_t)packed_n(body));
    for (size_t i = 0; packed_pair(body, i, &key, &v); i++) {
        pack_str(p, key);
        pack_value(p, v);
    }
    channel_end(r->fill->keeper, NULL, 0);
}

static void not_all(struct fill_round *r, const struct wire_frame *end)
{
    bool failed = packed_u64(end->body, "err", 0) != 0;

    r->unsure |= failed;
    r->missing |= failed; /* it is asked again soon */
}

static bool is_of(const struct fill_round *r, const struct packed *body)
{
    return span_is(packed_str(body, "uid"), r->uid);
}

/* false: it is not there. */
static bool ask(struct fill_round *r, enum wire_type type, usec_t from_us, usec_t to_us,
    void (*fn)(struct call *c, const struct wire_frame *f, int err))
{
    struct peer *peer = nodes_find(r->fill->nodes, r->nodes[r->node]);
    struct packer *p;

    r->call = (struct call){.fn = fn, .arg = r};
    p = peer ? call_begin(peer, &r->call, type, 6, PATIENCE_US) : NULL;
    if (!p) {
        r->call.peer = NULL;
        return false;
    }
    pack_kv_text(p, "uid", r->uid);
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", to_us);
    pack_kv_u64(p, "after", r->after);
    pack_kv_u64(p, "most", 1024);
    pack_kv_bin(p, "at", span(r->at, r->at_n));
    call_send(&r->call);
    return true;
}

static void on_events(struct call *c, const struct wire_frame *f, int err);

static bool ask_events(struct fill_round *r)
{
    return ask(r, WIRE_EVENTS, r->gaps[r->gap].start_us, r->gaps[r->gap].end_us, on_events);
}

/* The next page of them, or the next gap. */
static void events_end(struct fill_round *r, const struct wire_frame *end)
{
    struct span at = packed_str(end->body, "at");
    bool more = at.n > 0 && at.n <= sizeof(r->at) && ++r->marks_pages < MARKS_PAGES;

    not_all(r, end);
    if (more) memcpy(r->at, at.p, r->at_n = at.n);
    if (!more)
        next_gap(r);
    else if (!ask_events(r))
        round_over(r, false);
}

static void on_events(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;

    (void)err;
    if (f && f->type == WIRE_EVENT && is_of(r, f->body)) pass_on(r, MSG_FILL_EVENT, f->body);
    if (f && f->type == WIRE_LOCK && is_of(r, f->body)) pass_on(r, MSG_FILL_LOCK, f->body);
    if (f && f->type == WIRE_END) events_end(r, f);
    if (!f) round_over(r, false);
}

static void on_found(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;

    (void)err;
    if (f && f->type == WIRE_FOUND) take_infos(r, f);
    if (f && f->type != WIRE_END) return;
    if (f) not_all(r, f);
    if (f && r->cut > r->after && r->cut != UINT64_MAX) {
        r->after = r->cut;
        ask_gap(r);
        return;
    }
    if (!f || !ask_events(r)) round_over(r, false);
}

static void next_node(struct fill_round *r)
{
    r->node++;
    ask_node(r);
}

/* The first node of a stream says how far what is there is here too: what is newer that node lets go last. */
static void on_known(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;

    (void)err;
    if (!f || f->type == WIRE_END) next_node(r);
}

/* Of a node that has not said all nothing is said: what it was told before still holds. */
static void say_known(struct fill_round *r)
{
    struct peer *peer = nodes_find(r->fill->nodes, r->nodes[r->node]);
    usec_t until_us;
    struct packer *p;

    if (r->unsure) {
        next_node(r);
        return;
    }
    until_us = r->theirs.n > 0 ? MIN(r->now_us, r->theirs.v[r->theirs.n - 1].end_us) : r->from_us;
    if (r->n_gaps > 0) until_us = r->gaps[r->n_gaps - 1].start_us;
    if (r->n_gaps == FILL_GAPS_MAX) until_us = r->theirs.v[0].start_us; /* there may be older ones */
    r->call = (struct call){.fn = on_known, .arg = r};
    p = peer ? call_begin(peer, &r->call, WIRE_KNOWN, 2, PATIENCE_US) : NULL;
    if (!p) {
        r->call.peer = NULL;
        round_over(r, false);
        return;
    }
    pack_kv_text(p, "uid", r->uid);
    pack_kv_i64(p, "until_us", until_us);
    call_send(&r->call);
}

static void ask_gap(struct fill_round *r)
{
    const struct index_range *gap = &r->gaps[r->gap];

    r->cut = UINT64_MAX;
    if (r->gap == r->n_gaps)
        say_known(r);
    else if (!ask(r, WIRE_FIND, gap->start_us, gap->end_us, on_found))
        round_over(r, false);
}

/* --- what the other has --- */

static void take_spans(struct fill_round *r, const struct packed *body)
{
    const struct packed *spans = packed_get(body, "spans");
    usec_t end_us = 0;

    for (size_t i = 0; i + 1 < packed_n(spans); i += 2) {
        end_us = MAX(end_us, packed_as_i64(packed_at(spans, i + 1), 0));
        fill_spans_add(&r->theirs, MAX(packed_as_i64(packed_at(spans, i), 0), r->from_us),
            MIN(packed_as_i64(packed_at(spans, i + 1), 0), r->now_us));
    }
    if (packed_bool(body, "more", false)) r->cut_us = MIN(r->cut_us, end_us);
}

static void on_spans(struct call *c, const struct wire_frame *f, int err);

static bool ask_spans(struct fill_round *r, usec_t from_us)
{
    r->spans_us = from_us;
    r->cut_us = INT64_MAX;
    return ask(r, WIRE_RANGES, from_us, r->now_us, on_spans);
}

static void on_spans(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;
    (void)err;
    if (f && f->type == WIRE_SPANS) take_spans(r, f->body);
    if (f && f->type != WIRE_END) return;
    if (!f) {
        round_over(r, false);
        return;
    }
    not_all(r, f);
    fill_spans_settle(&r->theirs);
    if (r->cut_us > r->spans_us && r->cut_us < r->now_us && ++r->pages < PAGES_MAX) {
        if (!ask_spans(r, r->cut_us)) round_over(r, false);
        return;
    }
    r->unsure |= r->cut_us < r->now_us;
    r->n_gaps = fill_gaps(&r->ours, &r->theirs, r->gaps, FILL_GAPS_MAX);
    r->missing |= r->n_gaps > 0;
    r->gap = 0;
    r->after = 0;
    ask_gap(r);
}

static void ask_node(struct fill_round *r)
{
    fill_spans_done(&r->theirs);
    r->n_gaps = 0;
    r->after = 0;
    r->pages = 0;
    r->unsure = false;
    while (r->node < r->n_nodes && !ask_spans(r, r->from_us)) r->node++;
    if (r->node == r->n_nodes) round_over(r, true);
}

/* --- what this node has --- */

static void work_ours(struct shelf_read *read, struct index *ix)
{
    struct part *p = CONTAINER(read, struct part, read);
    struct index_query q = {.uid = p->uid, .from_us = p->from_us, .to_us = INT64_MAX};
    struct index_range page[STEP];
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    size_t n = STEP;

    p->failed = !ix;
    while (ix && n == STEP) {
        if (index_ranges(ix, &q, page, STEP, &n) < 0) {
            p->failed = true;
            return;
        }
        for (size_t i = 0; i < n; i++) fill_spans_add(&p->spans, page[i].start_us, page[i].end_us);
        if (n > 0) q.from_us = page[n - 1].end_us;
    }
    if (!ix) return;
    n = index_last(ix, p->uid, info) == INDEX_OK;
    if (look_open(read->shelf->path, p->uid, n ? info->id : 0, info))
        fill_spans_add(&p->spans, info->start_us, info->flags & SEG_OPEN ? clock_wall_us() : info->end_us);
}

/* A storage that cannot be read may have what seems to be missing: nothing is fetched before it can. */
static void done_ours(struct shelf_read *read)
{
    struct part *p = CONTAINER(read, struct part, read);
    struct fill_round *r = p->r;

    for (size_t i = 0; i < p->spans.n; i++)
        fill_spans_add(&r->ours, p->spans.v[i].start_us, p->spans.v[i].end_us);
    r->missing |= p->failed;
    fill_spans_done(&p->spans);
    mem_free(p);
    if (--r->left > 0) return;
    if (r->stopped) {
        round_free(r);
    } else if (r->missing) {
        round_over(r, false);
    } else {
        fill_spans_settle(&r->ours);
        ask_node(r);
    }
}

static void read_shelf(struct fill_round *r, struct shelf *shelf)
{
    struct part *p = NEW(struct part);

    p->r = r;
    p->from_us = r->from_us;
    memcpy(p->uid, r->uid, sizeof(p->uid));
    p->read.work = work_ours;
    p->read.done = done_ours;
    if (shelf_read(shelf, &p->read)) {
        r->left++;
    } else {
        r->missing = true;
        mem_free(p);
    }
}

void fill_round_begin(struct fill *f, struct fill_stream *s)
{
    struct fill_round *r = NEW(struct fill_round);

    r->fill = f;
    r->now_us = clock_wall_us();
    r->from_us = s->duration_us > 0 ? MAX(r->now_us - s->duration_us, 0) : 0;
    memcpy(r->uid, s->uid, sizeof(r->uid));
    for (size_t i = 0; i < f->nodes->n; i++)
        if (f->nodes->v[i]->there && !fill_held(f, f->nodes->v[i]->node))
            r->nodes[r->n_nodes++] = f->nodes->v[i]->node;
    f->round = r;
    s->due_us = loop_now_us(f->loop) + FILL_SELDOM_US;
    for (size_t i = 0; i < f->shelves->n; i++) read_shelf(r, f->shelves->v[i]);
    if (r->left == 0) round_over(r, false);
}
