#include "courier/serve.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"
#include "courier/look.h"

#include <errno.h>
#include <unistd.h>

#define RANGES_STEP 256
#define FIND_STEP   8
#define EVENTS_STEP 16
#define LOCKS_STEP  64
#define SPAN_BYTES  20                /* as they are packed */
#define OPEN_US     (3600 * US_PER_S) /* what ends before is not asked for in segments that are written now */

/* --- questions that all storages answer --- */

struct part;
struct kind {
    enum wire_type type;
    void (*work)(struct shelf_read *r, struct index *ix);
    void (*say)(const struct part *p);
    size_t bytes_max; /* of rows */
};

struct question {
    struct list link;
    struct serve *serve;
    struct trunk *trunk; /* NULL: nobody waits for the answer */
    uint64_t id;
    const struct kind *kind;
    char uid[40];
    usec_t from_us, to_us;
    uint64_t after;
    size_t most;
    unsigned left; /* storages that have not answered */
    bool failed;   /* one of them cannot be read, or not all of it */
};
/* One storage's answer. */
struct part {
    struct shelf_read read;
    struct question *q;
    struct buf rows; /* packed values, n of them */
    uint32_t n, n_locks;
    struct buf locks;
    bool more, failed;
};

void serve_say_end(struct trunk *t, uint64_t id, int err)
{
    struct packer *p = trunk_begin(t, WIRE_END, id, 1);

    pack_kv_u64(p, "err", (uint64_t)err);
    trunk_send(t);
}

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

static void work_find(struct shelf_read *r, struct index *ix)
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

static void work_ranges(struct shelf_read *r, struct index *ix)
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

static void look_for_locks(struct part *p, struct index *ix)
{
    const struct question *q = p->q;
    struct index_lock *page = mem_new_n(LOCKS_STEP, sizeof(*page)), last = {0};
    struct packer pk = packer_of(&p->locks);
    size_t n = LOCKS_STEP;

    while (n == LOCKS_STEP && p->n_locks < SERVE_EVENTS_MAX) {
        if (!was_read(p, index_locks(ix, last.uid[0] ? &last : NULL, page, LOCKS_STEP, &n))) break;
        for (size_t i = 0; i < n && p->n_locks < SERVE_EVENTS_MAX; i++) {
            const struct index_lock *l = &page[i];

            if (strcmp(l->uid, q->uid) != 0 || l->start_us >= q->to_us || l->end_us <= q->from_us) continue;
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
        if (n > 0) last = page[n - 1];
    }
    mem_free(page);
}

static void work_events(struct shelf_read *r, struct index *ix)
{
    struct part *p = CONTAINER(r, struct part, read);
    struct event *page = mem_new_n(EVENTS_STEP, sizeof(*page));
    struct event_query query = {.from_us = p->q->from_us, .to_us = p->q->to_us};
    struct index_event_at at = {0};
    struct packer pk = packer_of(&p->rows);
    size_t n;

    span_copy(span_of(p->q->uid), query.uid, sizeof(query.uid));
    p->failed = !ix;
    while (ix && !at.end && p->n < SERVE_EVENTS_MAX) {
        if (!was_read(p, index_events(ix, &query, &at, page, EVENTS_STEP, &n))) break;
        for (size_t i = 0; i < n && p->n < SERVE_EVENTS_MAX; i++) {
            pack_map(&pk, EVENT_KEYS);
            event_pack(&pk, &page[i]);
            p->n++;
        }
    }
    if (ix) look_for_locks(p, ix);
    mem_free(page);
}

/* --- answers, on the loop --- */

static struct packer *rows_begin(const struct part *p, enum wire_type type, const char *key, uint32_t pairs)
{
    struct packer *m = trunk_begin(p->q->trunk, type, p->q->id, pairs);

    pack_kv_text(m, "storage", p->read.shelf->name);
    pack_key(m, key);
    pack_array(m, p->n);
    m->bad = m->bad || !buf_put(m->to, buf_span(&p->rows));
    return m;
}

static void say_found(const struct part *p)
{
    struct packer *m = rows_begin(p, WIRE_FOUND, "infos", 3);

    pack_kv_bool(m, "more", p->more);
    trunk_send(p->q->trunk);
}

static void say_spans(const struct part *p)
{
    struct packer *m = rows_begin(p, WIRE_SPANS, "spans", 3);

    pack_kv_bool(m, "more", p->more);
    trunk_send(p->q->trunk);
}

/* Each a frame: they are read back one by one from what the thread has packed. */
static void say_maps(const struct part *p, enum wire_type type, const struct buf *rows, uint32_t n)
{
    struct packer all;
    struct unpack *u;
    struct buf b;

    buf_init(&b, buf_n(rows) + 16);
    all = packer_of(&b);
    pack_array(&all, n);
    if (buf_put(&b, buf_span(rows)) && unpack_new(buf_span(&b), &u) == 0) {
        for (uint32_t i = 0; i < n; i++) {
            const struct packed *map = packed_at(unpack_root(u), i);
            struct packer *m = trunk_begin(p->q->trunk, type, p->q->id, (uint32_t)packed_n(map));
            const struct packed *v;
            struct span key;

            for (size_t k = 0; packed_pair(map, k, &key, &v); k++) {
                pack_str(m, key);
                pack_value(m, v);
            }
            trunk_send(p->q->trunk);
        }
        unpack_done(u);
    }
    buf_done(&b);
}

static void say_events(const struct part *p)
{
    say_maps(p, WIRE_EVENT, &p->rows, p->n);
    say_maps(p, WIRE_LOCK, &p->locks, p->n_locks);
}

static const struct kind kinds[] = {
    {WIRE_FIND, work_find, say_found, SERVE_PAGE_BYTES + 64},
    {WIRE_RANGES, work_ranges, say_spans, SERVE_PAGE_BYTES + 64},
    {WIRE_EVENTS, work_events, say_events, 4u << 20},
};

static const struct kind *kind_of(enum wire_type type)
{
    for (size_t i = 0; i < ARRAY_N(kinds); i++)
        if (kinds[i].type == type) return &kinds[i];
    return NULL;
}

static void question_over(struct question *q, int err)
{
    if (q->trunk) serve_say_end(q->trunk, q->id, err);
    list_remove(&q->link);
    mem_free(q);
}

static void part_free(struct part *p)
{
    buf_done(&p->rows);
    buf_done(&p->locks);
    mem_free(p);
}

static void part_done(struct shelf_read *r)
{
    struct part *p = CONTAINER(r, struct part, read);
    struct question *q = p->q;

    if (q->trunk) q->kind->say(p);
    q->failed |= p->failed;
    part_free(p);
    if (--q->left == 0) question_over(q, q->failed ? EAGAIN : 0);
}

static unsigned of_trunk(const struct serve *s, const struct trunk *t)
{
    unsigned n = 0;

    LIST_EACH(&s->questions, link) n += LIST_ITEM(link, struct question, link)->trunk == t;
    return n;
}

static void ask_shelf(struct question *q, struct shelf *shelf)
{
    struct part *p = NEW(struct part);

    p->q = q;
    buf_init(&p->rows, q->kind->bytes_max);
    buf_init(&p->locks, 1u << 20);
    p->read.work = q->kind->work;
    p->read.done = part_done;
    if (shelf_read(shelf, &p->read)) {
        q->left++;
    } else {
        q->failed = true;
        part_free(p);
    }
}

static void ask_all(struct serve *s, struct trunk *t, const struct wire_frame *f, const struct kind *k)
{
    struct question *q;
    char uid[40];

    if (!packed_text(f->body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid) ||
        of_trunk(s, t) >= SERVE_QUESTIONS_MAX) {
        serve_say_end(t, f->id, of_trunk(s, t) >= SERVE_QUESTIONS_MAX ? EBUSY : EINVAL);
        return;
    }
    q = NEW(struct question);
    *q = (struct question){.serve = s,
        .trunk = t,
        .id = f->id,
        .kind = k,
        .from_us = packed_i64(f->body, "from_us", 0),
        .to_us = packed_i64(f->body, "to_us", INT64_MAX),
        .after = packed_u64(f->body, "after", 0),
        .most = (size_t)MIN(packed_u64(f->body, "most", SERVE_FIND_MOST), 1024)};
    memcpy(q->uid, uid, sizeof(uid));
    if (q->most == 0) q->most = SERVE_FIND_MOST;
    list_push(&s->questions, &q->link);
    q->left = 1;
    for (size_t i = 0; i < s->shelves->n; i++) ask_shelf(q, s->shelves->v[i]);
    if (--q->left == 0) question_over(q, q->failed ? EAGAIN : 0);
}

/* --- segments --- */

struct flow {
    struct list link;
    struct serve *serve;
    struct trunk *trunk; /* NULL: nobody wants it any more */
    uint64_t id, segment, at, bytes, room;
    char uid[40];
    struct shelf *shelf;
    size_t others; /* any storage: those that are still to be asked */
    struct shelf_read read;
    int fd, err;
    bool reading, opened, whole;
    size_t n; /* of chunk */
    uint8_t chunk[WIRE_CHUNK_MAX];
};

static void flow_free(struct flow *f)
{
    list_remove(&f->link);
    fd_close(&f->fd);
    shelf_unref(f->shelf);
    mem_free(f);
}

static void work_open(struct shelf_read *r, struct index *ix)
{
    struct flow *f = CONTAINER(r, struct flow, read);

    struct look_file found = {.fd = -1};

    f->err = -look_file(r->shelf->path, ix, f->uid, f->segment, &found);
    f->fd = found.fd;
    f->bytes = found.bytes;
    f->whole = found.whole;
}

static void work_chunk(struct shelf_read *r, struct index *ix)
{
    struct flow *f = CONTAINER(r, struct flow, read);
    size_t want = (size_t)MIN(MIN(f->bytes - f->at, f->room), sizeof(f->chunk));
    ssize_t got;

    (void)ix;
    do got = pread(f->fd, f->chunk, want, (off_t)f->at);
    while (got < 0 && errno == EINTR);
    f->err = got < 0 ? errno : got == 0 ? EBADMSG : 0;
    f->n = got > 0 ? (size_t)got : 0;
}

static void flow_over(struct flow *f)
{
    struct packer *p = trunk_begin(f->trunk, WIRE_END, f->id, 3);

    pack_kv_u64(p, "err", (uint64_t)f->err);
    pack_kv_u64(p, "bytes", f->bytes);
    pack_kv_bool(p, "whole", f->whole);
    trunk_send(f->trunk);
    flow_free(f);
}

static void flow_done(struct shelf_read *r);

static void flow_go(struct flow *f)
{
    if (f->reading) return;
    if (!f->trunk) {
        flow_free(f);
    } else if (f->err != 0 || (f->opened && f->at == f->bytes)) {
        flow_over(f);
    } else if (!f->opened || (f->room > 0 && !trunk_full(f->trunk))) {
        f->read.work = f->opened ? work_chunk : work_open;
        f->read.done = flow_done;
        f->reading = shelf_read(f->shelf, &f->read);
        if (f->reading) return;
        f->err = EBUSY;
        flow_over(f);
    }
}

/* Whichever storage has it. false: none is left. */
static bool look_elsewhere(struct flow *f)
{
    const struct shelves *s = f->serve->shelves;

    f->others = MIN(f->others, s->n);
    if (f->others == 0) return false;
    shelf_unref(f->shelf);
    f->shelf = shelf_ref(s->v[--f->others]);
    f->err = 0;
    return true;
}

/* Behind the others: they have their turn. */
static void flow_done(struct shelf_read *r)
{
    struct flow *f = CONTAINER(r, struct flow, read);
    struct packer *p;

    f->reading = false;
    if (!f->opened && f->err == ENOENT && look_elsewhere(f)) {
        flow_go(f);
        return;
    }
    if (f->trunk && f->opened && f->err == 0) {
        p = trunk_begin(f->trunk, WIRE_CHUNK, f->id, 1);
        pack_kv_bin(p, "bytes", span(f->chunk, f->n));
        trunk_send(f->trunk);
        f->at += f->n;
        f->room -= f->n;
        list_remove(&f->link);
        list_push(&f->serve->flows, &f->link);
    }
    f->opened = f->opened || f->err == 0;
    flow_go(f);
}

static void fetch(struct serve *s, struct trunk *t, const struct wire_frame *w)
{
    struct span storage = packed_str(w->body, "storage");
    bool any = storage.n == 0 && s->shelves->n > 0;
    struct shelf *shelf = any ? s->shelves->v[s->shelves->n - 1] : shelves_find(s->shelves, storage);
    struct flow *f;
    char uid[40];
    unsigned n = 0;

    LIST_EACH(&s->flows, link) n += LIST_ITEM(link, struct flow, link)->trunk == t;
    if (!shelf || !packed_text(w->body, "uid", uid, sizeof(uid)) || !seg_uid_ok(uid) ||
        n >= SERVE_FLOWS_MAX) {
        serve_say_end(t, w->id, n >= SERVE_FLOWS_MAX ? EBUSY : ENOENT);
        return;
    }
    f = NEW(struct flow);
    f->serve = s;
    f->trunk = t;
    f->id = w->id;
    f->segment = packed_u64(w->body, "segment", 0);
    f->room = MIN(packed_u64(w->body, "room", 0), SERVE_ROOM_MAX);
    memcpy(f->uid, uid, sizeof(uid));
    f->shelf = shelf_ref(shelf);
    f->others = any ? s->shelves->n - 1 : 0;
    f->fd = -1;
    list_push(&s->flows, &f->link);
    flow_go(f);
}

static struct flow *flow_of(const struct serve *s, const struct trunk *t, uint64_t id)
{
    LIST_EACH(&s->flows, link)
    {
        struct flow *f = LIST_ITEM(link, struct flow, link);

        if (f->trunk == t && f->id == id) return f;
    }
    return NULL;
}

static void more(struct serve *s, const struct trunk *t, const struct wire_frame *w)
{
    struct flow *f = flow_of(s, t, w->id);

    if (!f) return;
    f->room = MIN(f->room + MIN(packed_u64(w->body, "bytes", 0), SERVE_ROOM_MAX), SERVE_ROOM_MAX);
    flow_go(f);
}

static void cancel(struct serve *s, const struct trunk *t, const struct wire_frame *w)
{
    struct flow *f = flow_of(s, t, w->id);

    LIST_EACH(&s->questions, link)
    {
        struct question *q = LIST_ITEM(link, struct question, link);

        if (q->trunk == t && q->id == w->id) q->trunk = NULL;
    }
    if (!f) return;
    f->trunk = NULL;
    flow_go(f);
}

/* --- from outside --- */

void serve_init(struct serve *s, struct loop *l, struct shelves *shelves)
{
    *s = (struct serve){.loop = l, .shelves = shelves};
    list_init(&s->questions);
    list_init(&s->flows);
}

bool serve_ask(struct serve *s, struct trunk *t, const struct wire_frame *f)
{
    const struct kind *k = kind_of(f->type);

    if (k)
        ask_all(s, t, f, k);
    else if (f->type == WIRE_FETCH)
        fetch(s, t, f);
    else if (f->type == WIRE_MORE)
        more(s, t, f);
    else if (f->type == WIRE_CANCEL)
        cancel(s, t, f);
    else
        return false;
    return true;
}

void serve_room(struct serve *s, const struct trunk *t)
{
    LIST_EACH(&s->flows, link)
    {
        struct flow *f = LIST_ITEM(link, struct flow, link);

        if (f->trunk == t) flow_go(f);
    }
}

void serve_end(struct serve *s, const struct trunk *t)
{
    LIST_EACH(&s->questions, link)
    {
        struct question *q = LIST_ITEM(link, struct question, link);

        if (q->trunk == t) q->trunk = NULL;
    }
    LIST_EACH(&s->flows, link)
    {
        struct flow *f = LIST_ITEM(link, struct flow, link);

        if (f->trunk != t) continue;
        f->trunk = NULL;
        flow_go(f);
    }
}
