/* What one storage of this node says to a question of another, in its thread. */
#include "courier/serve_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "courier/look.h"

#define RANGES_STEP  256
#define FIND_STEP    8
#define EVENTS_STEP  16
#define EVENTS_LOOKS 64 /* of INDEX_EVENTS_STEP records: more is another page */
#define LOCKS_STEP   64
#define LOCKS_LOOKS  64                /* as many pages of them */
#define SPAN_BYTES   20                /* as they are packed */
#define OPEN_US      (3600 * US_PER_S) /* what ends before is not asked for in segments that are written now */

static bool room_for(const struct part *p, size_t n)
{
    return buf_n(&p->rows) + n <= SERVE_PAGE_BYTES;
}

static bool put_info(struct part *p, const struct seg_info *info)
{
    uint8_t bytes[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct packer pk = packer_of(&p->rows);

    seg_info_write(&w, info);
    if (!wr_ok(&w)) return true; /* left out */
    if (p->n == p->q->most || !room_for(p, w.n + 8)) return false;
    pack_bin(&pk, wr_span(&w));
    p->n++;
    return true;
}

static bool asked_for(const struct question *q, const struct seg_info *info)
{
    return info->start_us < q->to_us && info->end_us > q->from_us && info->id > q->after;
}

static void put_found(void *arg, const struct seg_info *info)
{
    struct part *p = arg;

    if (asked_for(p->q, info) && !p->more) p->more = !put_info(p, info);
}

static void put_span(void *arg, const struct seg_info *info)
{
    struct part *p = arg;
    struct packer pk = packer_of(&p->rows);

    if (!asked_for(p->q, info) || p->more) return;
    p->more = !room_for(p, SPAN_BYTES);
    if (p->more) return;
    pack_i64(&pk, info->start_us);
    pack_i64(&pk, info->end_us);
    p->n += 2;
}

/* What an index said of a page: of a damaged record the rest is told, and that it is not all. false: nothing
 * was read. */
static bool was_read(struct part *p, int err)
{
    p->failed |= err != INDEX_OK;
    return err == INDEX_OK || err == INDEX_E_DAMAGED;
}

/* What is too old for it is in the index. */
static void look_behind_index(struct part *p, const struct shelf_read *r, struct index *ix,
    void (*put)(void *, const struct seg_info *))
{
    if (p->q->to_us > clock_wall_us() - OPEN_US)
        look_behind(r->shelf->path, ix, p->q->uid, p->q->from_us, put, p);
}

void serve_read_find(struct shelf_read *r, struct index *ix)
{
    struct part *p = CONTAINER(r, struct part, read);
    const struct question *q = p->q;
    struct index_query query = {
        .uid = q->uid, .from_us = q->from_us, .to_us = q->to_us, .after_id = q->after};
    struct seg_info *page = mem_new_n(FIND_STEP, sizeof(*page));
    size_t n = ix ? 1 : 0;

    p->failed = !ix;
    while (n > 0 && !p->more) {
        if (!was_read(p, index_segments(ix, &query, page, FIND_STEP, &n))) break;
        for (size_t i = 0; i < n && !p->more; i++) p->more = !put_info(p, &page[i]);
        if (n > 0) query.after_id = page[n - 1].id;
    }
    if (ix && !p->more) look_behind_index(p, r, ix, put_found);
    mem_free(page);
}

void serve_read_ranges(struct shelf_read *r, struct index *ix)
{
    struct part *p = CONTAINER(r, struct part, read);
    const struct question *q = p->q;
    struct index_query query = {.uid = q->uid, .from_us = q->from_us, .to_us = q->to_us};
    struct index_range page[RANGES_STEP];
    struct packer pk = packer_of(&p->rows);
    size_t n = ix ? RANGES_STEP : 0;

    p->failed = !ix;
    while (n == RANGES_STEP && !p->more) {
        if (!was_read(p, index_ranges(ix, &query, page, RANGES_STEP, &n))) break;
        for (size_t i = 0; i < n && !p->more; i++) {
            p->more = !room_for(p, SPAN_BYTES);
            if (p->more) break;
            pack_i64(&pk, page[i].start_us);
            pack_i64(&pk, page[i].end_us);
            p->n += 2;
        }
        if (n > 0) query.from_us = page[n - 1].end_us;
    }
    if (ix && !p->more) look_behind_index(p, r, ix, put_span);
}

/* --- events and locks --- */

static bool page_is_full(const struct part *p)
{
    return p->n + p->n_locks >= SERVE_EVENTS_MAX || buf_n(&p->rows) + buf_n(&p->locks) >= SERVE_MARKS_BYTES;
}

static void goes_on(struct part *p, char kind, struct span key)
{
    p->more = true;
    p->next.v[0] = (uint8_t)kind;
    p->next.n = 1 + MIN(key.n, sizeof(p->next.v) - 1);
    memcpy(p->next.v + 1, key.p, p->next.n - 1);
}

static void read_events(struct part *p, struct index *ix)
{
    const struct question *q = p->q;
    struct event *page = mem_new_n(EVENTS_STEP, sizeof(*page));
    struct event_query query = {.from_us = q->from_us, .to_us = q->to_us};
    struct index_event_at at = {.n = 0};
    struct packer pk = packer_of(&p->rows);
    size_t n, looks = 0;

    span_copy(span_of(q->uid), query.uid, sizeof(query.uid));
    span_copy(span_of(q->what), query.kind, sizeof(query.kind));
    if (q->at.n > 1) memcpy(at.key, q->at.v + 1, at.n = MIN(q->at.n - 1, sizeof(at.key)));
    while (!at.end && !page_is_full(p) && looks++ < EVENTS_LOOKS) {
        size_t room = MIN(EVENTS_STEP, SERVE_EVENTS_MAX - p->n);

        if (!was_read(p, index_events(ix, &query, &at, page, room, &n))) {
            mem_free(page);
            return;
        }
        for (size_t i = 0; i < n; i++, p->n++) {
            pack_map(&pk, EVENT_KEYS);
            event_pack(&pk, &page[i]);
        }
    }
    if (!at.end) goes_on(p, 'e', span(at.key, at.n));
    mem_free(page);
}

static void pack_lock(struct part *p, const struct index_lock *l)
{
    struct packer pk = packer_of(&p->locks);

    pack_map(&pk, 8);
    pack_kv_text(&pk, "uid", l->uid);
    pack_kv_u64(&pk, "id", l->id);
    pack_kv_i64(&pk, "start_us", l->start_us);
    pack_kv_i64(&pk, "end_us", l->end_us);
    pack_kv_i64(&pk, "version_us", l->version_us);
    pack_kv_i64(&pk, "released_us", l->released_us);
    pack_kv_text(&pk, "by", l->by);
    pack_kv_text(&pk, "note", l->note);
    p->n_locks++;
}

/* The place as a lock that lies there. false: at the begin. */
static bool lock_at(const struct serve_at *at, struct index_lock *ret)
{
    const uint8_t *end = at->n > 1 ? memchr(at->v + 1, 0, at->n - 1) : NULL;
    struct rd r;

    if (at->n == 0 || at->v[0] != 'l' || !end) return false;
    r = rd_of(span_from(span(at->v, at->n), (size_t)(end + 1 - at->v)));
    if (!span_copy(span(at->v + 1, (size_t)(end - at->v - 1)), ret->uid, sizeof(ret->uid))) return false;
    ret->start_us = (usec_t)rd_u64(&r);
    ret->id = rd_u64(&r);
    return rd_ok(&r);
}

static void goes_on_at(struct part *p, const struct index_lock *l)
{
    uint8_t key[SERVE_AT_MAX];
    struct wr w = wr_of(key, sizeof(key));

    wr_bytes(&w, span(l->uid, strlen(l->uid) + 1));
    wr_u64(&w, (uint64_t)l->start_us);
    wr_u64(&w, l->id);
    goes_on(p, 'l', wr_span(&w));
}

static bool is_asked_for(const struct question *q, const struct index_lock *l)
{
    return (!q->uid[0] || strcmp(l->uid, q->uid) == 0) && l->start_us < q->to_us && l->end_us > q->from_us;
}

static void read_locks(struct part *p, struct index *ix)
{
    const struct question *q = p->q;
    struct index_lock *page = mem_new_n(LOCKS_STEP, sizeof(*page)), last = {.id = 0};
    size_t n = LOCKS_STEP, looks = 0;
    bool begun = lock_at(&q->at, &last), over = false;

    if (!begun && q->uid[0]) begun = span_copy(span_of(q->uid), last.uid, sizeof(last.uid));
    while (n == LOCKS_STEP && !over && !p->more) {
        if (!was_read(p, index_locks(ix, begun ? &last : NULL, page, LOCKS_STEP, &n))) break;
        looks++;
        for (size_t i = 0; i < n && !over && !p->more; i++) {
            begun = true;
            over = q->uid[0] && strcmp(page[i].uid, q->uid) > 0;
            if (over) break;
            if (is_asked_for(q, &page[i])) pack_lock(p, &page[i]);
            last = page[i];
            if (page_is_full(p) || (i + 1 == n && looks == LOCKS_LOOKS)) goes_on_at(p, &last);
        }
    }
    mem_free(page);
}

void serve_read_marks(struct shelf_read *r, struct index *ix)
{
    struct part *p = CONTAINER(r, struct part, read);
    const struct serve_at *at = &p->q->at;

    p->failed = !ix;
    if (ix && (at->n == 0 || at->v[0] == 'e')) read_events(p, ix);
    if (ix && !p->more) read_locks(p, ix);
}
