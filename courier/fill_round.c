/* What is missing of a stream: what this node has, out of its indexes and of the segment that is being
 * written; what another one has; the difference; and of that the segments, with events and locks of the
 * time. */
#include "courier/fill_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "courier/look.h"
#include "courier/serve.h"

#include <errno.h>

#define PATIENCE_US  (10 * US_PER_S)
#define STEP         256        /* ranges read at a time */
#define PAGES_MAX    64         /* of one node's spans, */
#define EVENTS_MAX   4096       /* and of a gap's events */
#define KEEPER_QUEUE (1u << 20) /* bytes that it has not taken: no more events are asked for */

struct fill_round {
    struct fill *fill;
    char uid[40];
    usec_t now_us;
    usec_t kept_us;  /* what ended before is fetched only where a lock or an event keeps it; */
    usec_t event_us; /* an event, what ended behind this */
    unsigned left;   /* storages that have not answered */
    struct fill_spans ours, theirs;
    uint16_t nodes[NODES_MAX]; /* to be asked */
    size_t n_nodes, node;
    struct index_range gaps[FILL_GAPS_MAX];
    size_t n_gaps, gap;
    struct fill_spans held;   /* what is kept of this gap, where it is so old */
    uint8_t at[SERVE_AT_MAX]; /* events and locks of this gap: where the next page begins */
    size_t at_n;
    unsigned event_pages;
    usec_t rest_us;  /* not 0: events go on then */
    uint64_t after;  /* segments of this gap: behind this one */
    uint64_t cut;    /* every storage of the node has said them up to this one; UINT64_MAX: all, */
    usec_t cut_us;   /* and what spans it has up to there; INT64_MAX: all */
    usec_t spans_us; /* asked for from there */
    unsigned pages;  /* of spans */
    usec_t until_us; /* the oldest of the node's that is missing here; or the end of what it has */
    size_t wants;    /* that were found in these gaps, and may come */
    bool unsure;     /* the node has not said all that it has */
    bool missing, stopped;
    bool blind; /* not all of this node's own storages could be read */
    struct call call;
};
/* What one storage of this node has. */
struct part {
    struct shelf_read read;
    struct fill_round *r;
    char uid[40];
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
    fill_spans_done(&r->held);
    mem_free(r);
}

static void round_over(struct fill_round *r)
{
    struct fill *f = r->fill;
    struct fill_stream *s = map_get(&f->streams, span_of(r->uid));

    if (s)
        s->due_us = loop_now_us(f->loop) +
            (r->blind            ? FILL_AT_ONCE_US
                    : r->missing ? FILL_SOON_US
                                 : FILL_SELDOM_US);
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

static void next_node(struct fill_round *r)
{
    r->node++;
    ask_node(r);
}

/* The others may have what this one does not say now. */
static void node_failed(struct fill_round *r)
{
    r->missing = true;
    next_node(r);
}

/* --- the segments of a gap --- */

static bool is_held(const struct fill_round *r, usec_t start_us, usec_t end_us)
{
    bool is = false;

    for (size_t i = 0; i < r->held.n && !is; i++)
        is = r->held.v[i].start_us < end_us && r->held.v[i].end_us > start_us;
    return is;
}

static struct fill_stream *stream_of(const struct fill_round *r)
{
    return map_get(&r->fill->streams, span_of(r->uid));
}

/* Where this one is, or may be remembered. */
static struct fill_late *late_of(struct fill_stream *s, uint16_t node, uint64_t segment)
{
    struct fill_late *best = s->lates;

    for (size_t i = 0; i < FILL_LATES_MAX; i++) {
        struct fill_late *l = &s->lates[i];

        if (l->node == node && l->segment == segment) return l;
        if (best->node != 0 && (l->node == 0 || l->until_us < best->until_us)) best = l;
    }
    return best;
}

/* One that is still written, or was. */
static void note_late(struct fill_round *r, const struct seg_info *info)
{
    struct fill_stream *s = stream_of(r);
    const struct index_range *gap = &r->gaps[r->gap];
    bool open = info->flags & SEG_OPEN;
    struct index_range missing = {
        MAX(gap->start_us, info->start_us), open ? gap->end_us : MIN(gap->end_us, info->end_us)};
    struct fill_late *l = s ? late_of(s, r->nodes[r->node], info->id) : NULL;
    bool known = l && l->node == r->nodes[r->node] && l->segment == info->id;

    if (!l || (!known && !open)) return;
    if (known) missing.start_us = MIN(missing.start_us, l->missing.start_us);
    if (known) missing.end_us = MAX(missing.end_us, l->missing.end_us);
    *l = (struct fill_late){
        r->nodes[r->node], info->id, missing, true, loop_now_us(r->fill->loop) + FILL_LATE_US};
}

static bool is_in(const struct index_range *r, const struct index_range *gap)
{
    return r->start_us >= gap->start_us && r->end_us <= gap->end_us;
}

/* Of this gap the node has said all that may be wanted: what is not among it is not to come. */
static void settle_lates(struct fill_round *r)
{
    struct fill_stream *s = stream_of(r);

    for (size_t i = 0; s && i < FILL_LATES_MAX; i++) {
        struct fill_late *l = &s->lates[i];

        if (l->node == r->nodes[r->node] && !l->seen && is_in(&l->missing, &r->gaps[r->gap])) l->node = 0;
    }
}

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
        if (!fill_wanted(&r->gaps[r->gap], info->start_us, info->end_us)) continue;
        if (info->end_us < r->kept_us && !is_held(r, info->start_us, info->end_us)) continue;
        note_late(r, info);
        if (info->flags & SEG_OPEN) continue;
        w.segment = info->id;
        w.bytes = info->bytes;
        w.start_us = info->start_us;
        w.end_us = info->end_us;
        r->wants += fill_add_want(r->fill, &w, bytes);
    }
    if (packed_bool(f->body, "more", false)) r->cut = MIN(r->cut, last);
}

static void next_gap(struct fill_round *r)
{
    r->gap++;
    fill_copy_next(r->fill);
    ask_gap(r);
}

static void not_all(struct fill_round *r, const struct wire_frame *end)
{
    bool failed = packed_u64(end->body, "err", 0) != 0;

    r->unsure |= failed;
    r->missing |= failed; /* it is asked again soon */
}

/* The pairs of the question are then the caller's to pack; call_send. NULL: the node is not there. */
static struct packer *ask(struct fill_round *r, enum wire_type type, uint32_t pairs,
    void (*fn)(struct call *c, const struct wire_frame *f, int err))
{
    struct peer *peer = nodes_find(r->fill->nodes, r->nodes[r->node]);
    struct packer *p;

    r->call = (struct call){.fn = fn, .arg = r};
    p = peer ? call_begin(peer, &r->call, type, pairs + 1, PATIENCE_US) : NULL;
    if (!p)
        r->call.peer = NULL;
    else
        pack_kv_text(p, "uid", r->uid);
    return p;
}

static void on_found(struct call *c, const struct wire_frame *f, int err);

static void find_segments(struct fill_round *r)
{
    struct packer *p = ask(r, WIRE_FIND, 4, on_found);

    if (!p) {
        node_failed(r);
        return;
    }
    r->cut = UINT64_MAX;
    pack_kv_i64(p, "from_us", r->gaps[r->gap].start_us);
    pack_kv_i64(p, "to_us", r->gaps[r->gap].end_us);
    pack_kv_u64(p, "after", r->after);
    pack_kv_u64(p, "most", 1024);
    call_send(&r->call);
}

static void on_found(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;

    (void)err;
    if (f && f->type == WIRE_FOUND) take_infos(r, f);
    if (f && f->type != WIRE_END) return;
    if (!f) {
        node_failed(r);
        return;
    }
    not_all(r, f);
    if (r->cut > r->after && r->cut != UINT64_MAX) {
        r->after = r->cut;
        find_segments(r);
    } else {
        if (r->cut == UINT64_MAX && !r->unsure && r->theirs.n > 0) settle_lates(r);
        next_gap(r);
    }
}

/* --- its events and locks: they are here before the first segment, so that nothing is deleted that they
 * keep, and none is forgotten when somebody dies in between --- */

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

static void hold_event(struct fill_round *r, const struct packed *body)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);

    if (event_read(body, e))
        fill_spans_add(&r->held, MAX(e->start_us - e->before_us, r->event_us), event_footage_end_us(e));
}

static void take_kept(struct fill_round *r, const struct wire_frame *f)
{
    bool old = r->gaps[r->gap].start_us < r->kept_us;

    if (!span_is(packed_str(f->body, "uid"), r->uid)) return;
    if (f->type == WIRE_EVENT) {
        pass_on(r, MSG_FILL_EVENT, f->body);
        if (old) hold_event(r, f->body);
    } else if (f->type == WIRE_LOCK) {
        pass_on(r, MSG_FILL_LOCK, f->body);
        if (old && packed_i64(f->body, "released_us", 0) == 0)
            fill_spans_add(&r->held, packed_i64(f->body, "start_us", 0), packed_i64(f->body, "end_us", 0));
    }
}

static void events_over(struct fill_round *r)
{
    const struct index_range *gap = &r->gaps[r->gap];

    if (gap->end_us < r->kept_us && r->held.n == 0) {
        settle_lates(r);
        next_gap(r);
        return;
    }
    r->missing = true;
    r->until_us = MIN(r->until_us, r->held.n > 0 ? gap->start_us : MAX(gap->start_us, r->kept_us));
    find_segments(r);
}

static void on_events(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;
    struct span at = f ? packed_str(f->body, "at") : SPAN_NONE;

    (void)err;
    if (f && f->type != WIRE_END) {
        take_kept(r, f);
        return;
    }
    if (!f || at.n > sizeof(r->at) || ++r->event_pages > EVENTS_MAX) {
        node_failed(r);
        return;
    }
    not_all(r, f);
    if (at.n == 0) {
        events_over(r);
        return;
    }
    memcpy(r->at, at.p, r->at_n = at.n);
    r->rest_us = loop_now_us(r->fill->loop) + FILL_EVENTS_US;
}

static void ask_events(struct fill_round *r)
{
    struct packer *p = ask(r, WIRE_EVENTS, 3, on_events);

    if (!p) {
        node_failed(r);
        return;
    }
    pack_kv_i64(p, "from_us", r->gaps[r->gap].start_us);
    pack_kv_i64(p, "to_us", r->gaps[r->gap].end_us);
    pack_kv_bin(p, "at", span(r->at, r->at_n));
    call_send(&r->call);
}

void fill_round_pace(struct fill *f)
{
    struct fill_round *r = f->round;

    if (!r || r->rest_us == 0 || loop_now_us(f->loop) < r->rest_us) return;
    if (f->keeper && channel_queued(f->keeper) > KEEPER_QUEUE) return;
    r->rest_us = 0;
    ask_events(r);
}

/* --- what is said to it --- */

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
    struct packer *p;
    usec_t until_us;

    if (r->unsure) {
        next_node(r);
        return;
    }
    /* there may be older ones: */
    until_us = r->n_gaps == FILL_GAPS_MAX ? r->theirs.v[0].start_us : r->until_us;
    p = ask(r, WIRE_KNOWN, 1, on_known);
    if (!p) {
        node_failed(r);
        return;
    }
    pack_kv_i64(p, "until_us", until_us);
    call_send(&r->call);
}

/* The next gaps, of what is older than those before, whose segments nobody could want: all were refused, or
 * are held. */
static bool older_gaps(struct fill_round *r)
{
    if (r->n_gaps < FILL_GAPS_MAX || r->wants > 0) return false;
    fill_spans_cut(&r->theirs, r->gaps[r->n_gaps - 1].start_us);
    r->n_gaps = fill_gaps(&r->ours, &r->theirs, r->gaps, FILL_GAPS_MAX);
    r->gap = 0;
    return r->n_gaps > 0;
}

static void ask_gap(struct fill_round *r)
{
    struct fill_stream *s = stream_of(r);

    for (size_t i = 0; s && i < FILL_LATES_MAX; i++) s->lates[i].seen = false;
    fill_spans_done(&r->held);
    r->after = 0;
    r->at_n = 0;
    r->event_pages = 0;
    if (r->gap < r->n_gaps || older_gaps(r))
        ask_events(r);
    else
        say_known(r);
}

/* --- what the other has --- */

static void take_spans(struct fill_round *r, const struct packed *body)
{
    const struct packed *spans = packed_get(body, "spans");
    usec_t end_us = 0;

    for (size_t i = 0; i + 1 < packed_n(spans); i += 2) {
        end_us = MAX(end_us, packed_as_i64(packed_at(spans, i + 1), 0));
        fill_spans_add(&r->theirs, MAX(packed_as_i64(packed_at(spans, i), 0), 0),
            MIN(packed_as_i64(packed_at(spans, i + 1), 0), r->now_us));
    }
    if (packed_bool(body, "more", false)) r->cut_us = MIN(r->cut_us, end_us);
}

static void on_spans(struct call *c, const struct wire_frame *f, int err);

static void add_late(struct fill_round *r, struct fill_late *l)
{
    if (loop_now_us(r->fill->loop) >= l->until_us) l->node = 0;
    for (size_t i = 0; i < r->n_gaps && l->node != 0; i++)
        if (is_in(&l->missing, &r->gaps[i])) return;
    if (l->node == 0 || r->n_gaps == FILL_GAPS_MAX) return;
    memmove(r->gaps + 1, r->gaps, r->n_gaps++ * sizeof(r->gaps[0]));
    r->gaps[0] = l->missing;
}

/* What is missing of segments that were still written, and is in none of the gaps: it goes first. */
static void add_lates(struct fill_round *r)
{
    struct fill_stream *s = stream_of(r);

    for (size_t i = 0; s && i < FILL_LATES_MAX; i++)
        if (s->lates[i].node == r->nodes[r->node]) add_late(r, &s->lates[i]);
}

static bool ask_spans(struct fill_round *r, usec_t from_us)
{
    struct packer *p = ask(r, WIRE_RANGES, 2, on_spans);

    if (!p) return false;
    r->spans_us = from_us;
    r->cut_us = INT64_MAX;
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", r->now_us);
    call_send(&r->call);
    return true;
}

static void on_spans(struct call *c, const struct wire_frame *f, int err)
{
    struct fill_round *r = c->arg;

    (void)err;
    if (f && f->type == WIRE_SPANS) take_spans(r, f->body);
    if (f && f->type != WIRE_END) return;
    if (!f) {
        node_failed(r);
        return;
    }
    not_all(r, f);
    fill_spans_settle(&r->theirs);
    if (r->cut_us > r->spans_us && r->cut_us < r->now_us && ++r->pages < PAGES_MAX) {
        if (!ask_spans(r, r->cut_us)) node_failed(r);
        return;
    }
    r->unsure |= r->cut_us < r->now_us;
    if (r->theirs.n > 0) r->until_us = MIN(r->now_us, r->theirs.v[r->theirs.n - 1].end_us);
    r->n_gaps = fill_gaps(&r->ours, &r->theirs, r->gaps, FILL_GAPS_MAX);
    add_lates(r);
    r->gap = 0;
    ask_gap(r);
}

static void ask_node(struct fill_round *r)
{
    fill_spans_done(&r->theirs);
    r->n_gaps = 0;
    r->pages = 0;
    r->wants = 0;
    r->until_us = 0;
    r->unsure = false;
    while (r->node < r->n_nodes && !ask_spans(r, 0)) {
        r->missing = true;
        r->node++;
    }
    if (r->node == r->n_nodes) round_over(r);
}

/* --- what this node has --- */

static void work_ours(struct shelf_read *read, struct index *ix)
{
    struct part *p = CONTAINER(read, struct part, read);
    struct index_query q = {.uid = p->uid, .to_us = INT64_MAX};
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
    r->blind |= p->failed;
    fill_spans_done(&p->spans);
    mem_free(p);
    if (--r->left > 0) return;
    if (r->stopped) {
        round_free(r);
    } else if (r->blind) {
        round_over(r);
    } else {
        fill_spans_settle(&r->ours);
        ask_node(r);
    }
}

static void read_shelf(struct fill_round *r, struct shelf *shelf)
{
    struct part *p = NEW(struct part);

    p->r = r;
    memcpy(p->uid, r->uid, sizeof(p->uid));
    p->read.work = work_ours;
    p->read.done = done_ours;
    if (shelf_read(shelf, &p->read)) {
        r->left++;
    } else {
        r->blind = true;
        mem_free(p);
    }
}

void fill_round_begin(struct fill *f, struct fill_stream *s)
{
    struct fill_round *r = NEW(struct fill_round);

    r->fill = f;
    r->now_us = clock_wall_us();
    r->kept_us = s->duration_us > 0 ? MAX(r->now_us - s->duration_us, 0) : 0;
    r->event_us = s->event_duration_us > 0 ? MAX(r->now_us - s->event_duration_us, 0) : INT64_MAX;
    memcpy(r->uid, s->uid, sizeof(r->uid));
    for (size_t i = 0; i < f->nodes->n; i++)
        if (f->nodes->v[i]->there) r->nodes[r->n_nodes++] = f->nodes->v[i]->node;
    f->round = r;
    s->due_us = loop_now_us(f->loop) + FILL_SELDOM_US;
    for (size_t i = 0; i < f->shelves->n; i++) read_shelf(r, f->shelves->v[i]);
    if (r->left > 0) return;
    r->blind = true;
    round_over(r);
}
