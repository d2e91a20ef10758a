#include "httpd/away_said.h"
#include "archive/index.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"

#include <errno.h>
#include <stdlib.h>

#define LIST_BYTES_MAX (AWAY_LIST_MAX * SEG_INFO_WIRE_MAX)
#define NODE_MOST      0xffff

/* --- segments --- */

struct away_list *away_list_ref(struct away_list *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void away_list_unref(struct away_list *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    buf_done(&l->bytes);
    mem_free(l->v);
    mem_free(l);
}

static struct away_list *list_new(void)
{
    struct away_list *l = NEW(struct away_list);

    atomic_init(&l->refs, 1);
    buf_init(&l->bytes, LIST_BYTES_MAX);
    l->known = UINT64_MAX;
    return l;
}

static bool list_room(struct away_list *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct away_item *grown;

    if (l->n < l->cap) return true;
    grown = l->n < AWAY_LIST_MAX ? mem_retry(l->v, cap * sizeof(*grown)) : NULL;
    if (!grown) return false;
    l->v = grown;
    l->cap = cap;
    return true;
}

bool away_item(const struct away_list *l, size_t i, const char *uid, struct seg_info *ret)
{
    const struct away_item *x = &l->v[i];

    if (!seg_info_read(span_sub(buf_span(&l->bytes), x->at, x->n), ret)) return false;
    ret->origin = x->origin;
    return strcmp(ret->uid, uid) == 0 && ret->end_us > ret->start_us;
}

/* What one of the node's storages has: behind what others have, put in order once all is there. */
static void take_infos(struct away_list *l, const struct packed *body)
{
    uint16_t node = (uint16_t)MIN(packed_u64(body, "node", 0), NODE_MOST);
    const struct packed *infos = packed_get(body, "infos");
    CLEANUP(mem_freep) struct seg_info *info = mem_new(sizeof(*info));
    uint64_t last = 0;

    for (size_t i = 0; i < packed_n(infos); i++) {
        struct span one = packed_as_str(packed_at(infos, i));
        size_t at = buf_n(&l->bytes);

        if (!seg_info_read(one, info) || info->id <= last) continue;
        if (!list_room(l) || !buf_put(&l->bytes, one)) {
            l->known = MIN(l->known, last);
            l->partial |= last == 0; /* nothing is known to its end: it cannot go on */
            return;
        }
        last = info->id;
        if (info->flags & SEG_OPEN) l->open = info->id;
        l->v[l->n++] = (struct away_item){.id = info->id,
            .at = (uint32_t)at,
            .n = (uint32_t)one.n,
            .origin = seg_origin(info) != 0 ? seg_origin(info) : node};
    }
    if (packed_bool(body, "more", false) && last > 0) l->known = MIN(l->known, last);
}

static int by_id(const void *a, const void *b)
{
    const struct away_item *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Of all storages in one order, each once; as far as every storage is known. */
static void put_in_order(struct away_list *l)
{
    size_t n = 0;

    if (l->n > 1) qsort(l->v, l->n, sizeof(l->v[0]), by_id);
    for (size_t i = 0; i < l->n && l->v[i].id <= l->known; i++)
        if (n == 0 || l->v[i].id != l->v[n - 1].id) l->v[n++] = l->v[i];
    l->n = n;
    l->more = l->known != UINT64_MAX;
}

/* --- ranges --- */

struct away_spans *away_spans_ref(struct away_spans *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void away_spans_unref(struct away_spans *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    mem_free(s->v);
    mem_free(s);
}

static struct away_spans *spans_new(void)
{
    struct away_spans *s = NEW(struct away_spans);

    atomic_init(&s->refs, 1);
    s->known_us = INT64_MAX;
    return s;
}

static bool add_span(struct away_spans *s, usec_t start_us, usec_t end_us)
{
    size_t cap = s->cap ? s->cap * 2 : 64;

    if (!seg_time_ok(start_us) || !seg_time_ok(end_us) || end_us <= start_us) return true;
    if (s->n == s->cap) {
        struct away_span *v = s->n < AWAY_SPANS_MOST ? mem_retry(s->v, cap * sizeof(*v)) : NULL;

        if (!v) return false;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct away_span){start_us, end_us};
    return true;
}

static int take_spans(struct away_spans *s, const struct packed *body)
{
    const struct packed *v = packed_get(body, "spans");

    for (size_t i = 0; i + 1 < packed_n(v); i += 2)
        if (!add_span(s, packed_as_i64(packed_at(v, i), -1), packed_as_i64(packed_at(v, i + 1), -1)))
            return -ENOMEM;
    if (packed_n(v) > 1 && packed_bool(body, "more", false))
        s->known_us = MIN(s->known_us, packed_as_i64(packed_at(v, packed_n(v) / 2 * 2 - 1), 0));
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct away_span *x = a, *y = b;

    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

/* Of all storages and pages: in order, and what overlaps is one. */
static void join_spans(struct away_spans *s)
{
    size_t n = 0;

    if (s->n > 1) qsort(s->v, s->n, sizeof(s->v[0]), by_start);
    for (size_t i = 0; i < s->n; i++) {
        if (n > 0 && s->v[i].start_us <= s->v[n - 1].end_us)
            s->v[n - 1].end_us = MAX(s->v[n - 1].end_us, s->v[i].end_us);
        else
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

/* --- events and locks --- */

void away_marks_free(struct away_marks *m)
{
    if (!m) return;
    buf_done(&m->rows);
    mem_free(m->v);
    mem_free(m);
}

/* Its row stands behind all others; false: there is no room for it. */
static bool mark_begin(struct away_marks *m, const struct away_mark *mark, uint32_t pairs, struct packer *ret)
{
    struct away_mark *grown;
    size_t cap = m->cap ? m->cap * 2 : 64;

    if (m->n == m->cap) {
        grown = m->n < AWAY_MARKS_MOST ? mem_retry(m->v, cap * sizeof(*grown)) : NULL;
        m->partial |= !grown;
        if (!grown) return false;
        m->v = grown;
        m->cap = cap;
    }
    m->v[m->n] = *mark;
    m->v[m->n].at = (uint32_t)buf_n(&m->rows);
    *ret = packer_of(&m->rows);
    pack_map(ret, pairs);
    return true;
}

static void mark_end(struct away_marks *m, const struct packer *p)
{
    struct away_mark *k = &m->v[m->n];

    m->partial |= p->bad;
    if (p->bad) return; /* the rows are full: nothing follows */
    k->n = (uint32_t)(buf_n(&m->rows) - k->at);
    m->n++;
}

static bool is_wanted(const struct away_said *s, const char *uid)
{
    return seg_uid_ok(uid) && (!s->uid[0] || strcmp(uid, s->uid) == 0);
}

static void take_event(struct away_said *s, const struct packed *body, uint64_t node)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct away_mark mark;
    struct packer p;

    if (!event_read(body, e) || !is_wanted(s, e->uid) || !seg_time_ok(e->start_us) ||
        (e->end_us != 0 && (!seg_time_ok(e->end_us) || e->end_us < e->start_us)))
        return;
    mark = (struct away_mark){.id = e->id, .start_us = e->start_us, .rank_us = e->end_us};
    span_copy(span_of(e->uid), mark.uid, sizeof(mark.uid));
    if (!mark_begin(s->marks, &mark, EVENT_ROW_KEYS(e) + 1, &p)) return;
    event_row(&p, e);
    pack_kv_u64(&p, "node", node);
    mark_end(s->marks, &p);
}

static bool lock_read(const struct packed *body, struct index_lock *ret)
{
    *ret = (struct index_lock){.id = packed_u64(body, "id", 0),
        .start_us = packed_i64(body, "start_us", -1),
        .end_us = packed_i64(body, "end_us", -1),
        .version_us = packed_i64(body, "version_us", -1),
        .released_us = packed_i64(body, "released_us", -1)};
    return packed_text(body, "uid", ret->uid, sizeof(ret->uid)) &&
        packed_text(body, "by", ret->by, sizeof(ret->by)) &&
        packed_text(body, "note", ret->note, sizeof(ret->note)) && seg_time_ok(ret->start_us) &&
        seg_time_ok(ret->end_us) && ret->start_us < ret->end_us && ret->version_us >= 0 &&
        ret->released_us >= 0;
}

static void take_lock(struct away_said *s, const struct packed *body, uint64_t node)
{
    struct away_mark mark;
    struct index_lock l;
    struct packer p;
    char id[24];

    if (!lock_read(body, &l) || !is_wanted(s, l.uid)) return;
    mark = (struct away_mark){.id = l.id, .start_us = l.start_us, .rank_us = l.version_us, .lock = true};
    span_copy(span_of(l.uid), mark.uid, sizeof(mark.uid));
    if (!mark_begin(s->marks, &mark, 9, &p)) return;
    snprintf(id, sizeof(id), "%llx", (unsigned long long)l.id);
    pack_kv_text(&p, "id", id);
    pack_kv_text(&p, "uid", l.uid);
    pack_kv_i64(&p, "from_s", l.start_us / US_PER_S);
    pack_kv_i64(&p, "to_s", l.end_us / US_PER_S);
    pack_kv_i64(&p, "since_s", l.version_us / US_PER_S);
    pack_kv_text(&p, "by", l.by);
    pack_kv_text(&p, "note", l.note);
    pack_kv_bool(&p, "released", l.released_us > 0);
    pack_kv_u64(&p, "node", node);
    mark_end(s->marks, &p);
}

static void take_mark(struct away_said *s, const struct packed *body)
{
    uint64_t node = MIN(packed_u64(body, "node", 0), NODE_MOST);

    if (packed_get(body, "event")) take_event(s, packed_get(body, "event"), node);
    if (packed_get(body, "lock")) take_lock(s, packed_get(body, "lock"), node);
}

int away_mark_order(const struct away_mark *a, const struct away_mark *b)
{
    if (a->start_us != b->start_us) return a->start_us < b->start_us ? 1 : -1;
    if (a->id != b->id) return a->id < b->id ? 1 : -1;
    if (a->lock != b->lock) return a->lock ? 1 : -1;
    return (a->rank_us < b->rank_us) - (a->rank_us > b->rank_us);
}

bool away_mark_same(const struct away_mark *a, const struct away_mark *b)
{
    return a->start_us == b->start_us && a->id == b->id && a->lock == b->lock;
}

static int newest_first(const void *a, const void *b)
{
    return away_mark_order(a, b);
}

static void order_marks(struct away_marks *m)
{
    size_t n = 0;

    if (m->n > 1) qsort(m->v, m->n, sizeof(m->v[0]), newest_first);
    for (size_t i = 0; i < m->n; i++)
        if (n == 0 || !away_mark_same(&m->v[n - 1], &m->v[i])) m->v[n++] = m->v[i];
    m->n = n;
}

/* --- an answer --- */

struct away_said away_said(enum message answer, const char *uid)
{
    struct away_said s = {.answer = answer, .uid = uid};

    if (answer == MSG_AWAY_FOUND) s.list = list_new();
    if (answer == MSG_AWAY_SPANS) s.spans = spans_new();
    if (answer != MSG_AWAY_HAPPENED) return s;
    s.marks = NEW(struct away_marks);
    buf_init(&s.marks->rows, AWAY_MARKS_BYTES);
    return s;
}

void away_said_done(struct away_said *s)
{
    away_list_unref(s->list);
    away_spans_unref(s->spans);
    away_marks_free(s->marks);
    s->list = NULL;
    s->spans = NULL;
    s->marks = NULL;
}

/* With the last message: 0, or the node has not answered. What it has said counts though it is not all. */
static int end_of(const struct packed *body, size_t n, bool *ret_partial)
{
    *ret_partial = packed_n(packed_get(body, "missing")) > 0;
    return *ret_partial && n == 0 ? -EHOSTUNREACH : 0;
}

bool away_said_take(struct away_said *s, const struct packed *body, int *ret_err)
{
    bool missing = false;
    size_t n = 0;

    *ret_err = 0;
    if (s->list) take_infos(s->list, body);
    if (s->spans) *ret_err = take_spans(s->spans, body);
    if (s->marks) take_mark(s, body);
    if (*ret_err < 0 || !packed_bool(body, "last", false)) return *ret_err < 0;
    if (s->list) n = s->list->n;
    if (s->spans) n = s->spans->n;
    if (s->marks) n = s->marks->n;
    *ret_err = end_of(body, n, &missing);
    if (s->list) s->list->partial |= missing;
    if (s->spans) s->spans->partial |= missing;
    if (s->marks) s->marks->partial |= missing;
    return true;
}

void away_said_settle(struct away_said *s)
{
    if (s->list) put_in_order(s->list);
    if (s->spans) join_spans(s->spans);
    if (s->marks) order_marks(s->marks);
}
