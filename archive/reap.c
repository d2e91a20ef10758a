#include "archive/reap.h"
#include "common/base/mem.h"

#define PAGE          8                    /* segments that are read at a time */
#define PAGES_STEP    16                   /* of a stream, where nothing may go */
#define STREAMS_STEP  16                   /* streams a step */
#define RATE_FRESH_US (15 * 60 * US_PER_S) /* a stream whose newest footage is older does not record here */

enum { LOOK_ON = 100 }; /* beside INDEX_* */

void reap_begin(struct reap *r, const struct reap_setup *s)
{
    *r = (struct reap){.s = *s, .needed = retention_needed(&s->room)};
    r->page = mem_new_n(PAGE, sizeof(*r->page));
}

bool reap_event_keeps(
    struct index *ix, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us)
{
    bool protects;

    if (!p || p->event_duration_us == 0 || s->end_us < now_us - p->event_duration_us) return false;
    return index_event_protects(ix, uid, s->start_us, s->end_us, &protects) != INDEX_OK || protects;
}

void reap_end(struct reap *r)
{
    mem_free(r->heap);
    mem_free(r->late);
    mem_free(r->page);
    *r = (struct reap){0};
}

/* --- the oldest of each stream, the oldest of all on top --- */

static bool before(const struct reap_oldest *a, const struct reap_oldest *b)
{
    return a->start_us != b->start_us ? a->start_us < b->start_us : strcmp(a->uid, b->uid) < 0;
}

static void swap(struct reap_oldest *a, struct reap_oldest *b)
{
    struct reap_oldest t = *a;

    *a = *b;
    *b = t;
}

static void heap_put(struct reap *r, const char *uid, const struct reap_oldest *what)
{
    struct reap_oldest *o;
    size_t i = r->n_heap;

    if (i == r->cap_heap) {
        r->cap_heap = MAX(r->cap_heap * 2, 64);
        r->heap = mem_renew(r->heap, r->cap_heap * sizeof(*r->heap));
    }
    o = &r->heap[r->n_heap++];
    *o = *what;
    span_copy(span_of(uid), o->uid, sizeof(o->uid));
    for (; i > 0 && before(&r->heap[i], &r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&r->heap[i], &r->heap[(i - 1) / 2]);
}

static struct reap_oldest heap_take(struct reap *r)
{
    struct reap_oldest top = r->heap[0];
    size_t i = 0;

    r->heap[0] = r->heap[--r->n_heap];
    for (;;) {
        size_t least = i;

        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < r->n_heap; k++)
            if (before(&r->heap[k], &r->heap[least])) least = k;
        if (least == i) return top;
        swap(&r->heap[i], &r->heap[least]);
        i = least;
    }
}

/* --- one stream --- */

static const struct keep_policy *policy(const struct reap *r, const char *uid)
{
    return map_get(r->s.policies, span_of(uid));
}

/* May this one go at all? ret_until: when a lock says no, where it ends; else the segment's own begin: the
 * next one may begin before its end. */
static bool free_to_go(struct reap *r, const char *uid, const struct seg_info *s, usec_t *ret_until)
{
    *ret_until = s->start_us;
    if (locks_hold(r->s.locks, uid, s->start_us, s->end_us, ret_until)) return false;
    return !r->s.protects || !r->s.protects(r->s.protects_arg, uid, policy(r, uid), s, r->s.now_us);
}

static void take(struct reap *r, const char *uid, const struct seg_info *s, enum retention_why why)
{
    struct reap_item *item = &r->items[r->n++];

    *item = (struct reap_item){
        .ref.id = s->id, .why = why, .bytes = s->bytes, .start_us = s->start_us, .end_us = s->end_us};
    span_copy(span_of(uid), item->ref.uid, sizeof(item->ref.uid));
    r->needed -= MIN(r->needed, s->bytes);
    r->reason_bytes[why] += s->bytes;
}

/* Behind a segment that may not go: to the end of the lock that holds it, which may be weeks away. */
static uint64_t cursor_behind(const struct seg_info *s, usec_t until_us)
{
    uint64_t id = (uint64_t)(CLAMP(until_us, 0, SEG_TIME_MAX_US) / US_PER_MS) << 8;

    return MAX(s->id, id > 0 ? id - 1 : 0);
}

/* The next of uid behind *cursor that may go. INDEX_E_NONE: there is none; LOOK_ON: not found yet. */
static int next_free(struct reap *r, const char *uid, uint64_t *cursor, struct seg_info *ret)
{
    for (unsigned pages = 0; pages < PAGES_STEP; pages++) {
        struct index_query q = {.uid = uid, .to_us = INT64_MAX, .after_id = *cursor};
        size_t n;
        int err = index_segments(r->s.ix, &q, r->page, PAGE, &n);

        if (err < 0) return err;
        if (n == 0) return INDEX_E_NONE; /* a damaged one in between is left to whoever mends */
        for (size_t i = 0; i < n; i++) {
            const struct seg_info *s = &r->page[i];
            usec_t until_us;

            if (s->id <= *cursor) continue;
            if (free_to_go(r, uid, s, &until_us)) {
                *ret = *s;
                return INDEX_OK;
            }
            *cursor = cursor_behind(s, until_us);
        }
    }
    return LOOK_ON;
}

static uint64_t rate_of(struct reap *r, const char *uid)
{
    struct seg_info *last = r->page;
    usec_t span_us;

    if (index_last(r->s.ix, uid, last) != INDEX_OK) return 0;
    span_us = last->end_us - last->start_us;
    if (span_us <= 0 || r->s.now_us - last->end_us > MAX(RATE_FRESH_US, 2 * span_us)) return 0;
    return (uint64_t)((double)last->bytes * US_PER_S / (double)span_us);
}

static void count(struct reap *r, const struct index_total *t)
{
    const struct keep_policy *p = policy(r, t->uid);
    struct retention_stream st = {.rate = rate_of(r, t->uid), .duration_us = p ? p->duration_us : 0};

    if (index_first(r->s.ix, t->uid, r->page) == INDEX_OK) st.oldest_us = r->page->start_us;
    retention_sum_add(&r->sum, &st, t->bytes, r->s.now_us);
}

/* What goes of the stream by its own policy, as far as there is room for it; the first that stays goes to the
 * heap. true in *ret_more: it is not at its end. */
static int one_stream(struct reap *r, const struct index_total *t, bool *ret_more)
{
    const struct keep_policy *p = policy(r, t->uid);
    uint64_t capacity = retention_capacity(p, r->s.room.total);
    struct seg_info *s = NEW(struct seg_info);
    int err = INDEX_OK;

    if (strcmp(r->inside, t->uid) != 0) {
        r->cursor = 0;
        r->has = t->bytes;
        count(r, t);
        memcpy(r->inside, t->uid, sizeof(r->inside));
    }
    while (r->n < REAP_BATCH && (err = next_free(r, t->uid, &r->cursor, s)) == INDEX_OK) {
        enum retention_why why = retention_due(p, r->s.now_us, s->end_us, r->has, capacity);

        if (why == RETENTION_KEPT) {
            heap_put(r, t->uid, &(struct reap_oldest){.id = s->id, .start_us = s->start_us});
            break;
        }
        take(r, t->uid, s, why);
        r->cursor = s->id;
        r->has -= MIN(r->has, s->bytes);
    }
    *ret_more = r->n == REAP_BATCH || err == LOOK_ON;
    mem_free(s);
    return err;
}

static int streams_step(struct reap *r)
{
    struct index_total page[STREAMS_STEP];
    bool more = false;
    size_t n;
    int err = index_totals(r->s.ix, r->after, page, STREAMS_STEP, &n);

    if (err < 0) return err;
    for (size_t i = 0; i < n; i++) {
        err = one_stream(r, &page[i], &more);
        if (err < 0) return err;
        if (more) return r->n == REAP_BATCH ? REAP_FULL : REAP_MORE;
        memcpy(r->after, page[i].uid, sizeof(r->after));
    }
    if (n == 0) r->floor = true;
    return REAP_MORE;
}

/* --- all of them, for the floor --- */

static bool is_late(const struct reap *r, const char *uid, const struct seg_info *s)
{
    const struct keep_policy *p = policy(r, uid);

    return !r->last_round && p && p->late_us > 0 && s->end_us > p->late_us;
}

/* All that follows in the stream is late too. */
static void put_late(struct reap *r, const struct reap_oldest *o)
{
    if (r->n_late % 64 == 0) r->late = mem_renew(r->late, (r->n_late + 64) * sizeof(*r->late));
    r->late[r->n_late++] = *o;
}

static void begin_last_round(struct reap *r)
{
    r->last_round = true;
    for (size_t i = 0; i < r->n_late; i++) heap_put(r, r->late[i].uid, &r->late[i]);
    r->n_late = 0;
}

/* The oldest of all goes, and the one behind it takes its place. */
static int oldest(struct reap *r, struct seg_info *s)
{
    struct reap_oldest o = heap_take(r);
    uint64_t cursor = o.id;
    int err = o.behind ? INDEX_E_NONE : index_get(r->s.ix, o.uid, o.id, s);

    if (err < 0) return err;
    if (err == INDEX_OK && is_late(r, o.uid, s)) {
        put_late(r, &o);
        return INDEX_OK;
    }
    if (err == INDEX_OK) take(r, o.uid, s, RETENTION_FLOOR);
    err = next_free(r, o.uid, &cursor, s);
    if (err == INDEX_OK)
        heap_put(r, o.uid, &(struct reap_oldest){.id = s->id, .start_us = s->start_us});
    else if (err == LOOK_ON)
        heap_put(r, o.uid,
            &(struct reap_oldest){
                .id = cursor, .start_us = (usec_t)(cursor >> 8) * US_PER_MS, .behind = true});
    return err < 0 ? err : INDEX_OK;
}

static int floor_step(struct reap *r)
{
    struct seg_info *s = NEW(struct seg_info);
    int err = INDEX_OK;

    if (r->n_heap == 0 && r->n_late > 0) begin_last_round(r);
    for (int i = 0; !err && i < STREAMS_STEP && r->needed > 0 && r->n_heap > 0 && r->n < REAP_BATCH; i++)
        err = oldest(r, s);
    mem_free(s);
    if (err < 0) return err;
    if (r->needed == 0 || (r->n_heap == 0 && r->n_late == 0)) return REAP_DONE;
    return r->n == REAP_BATCH ? REAP_FULL : REAP_MORE;
}

int reap_step(struct reap *r)
{
    return r->floor ? floor_step(r) : streams_step(r);
}
