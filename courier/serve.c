#include "courier/serve_impl.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "courier/look.h"

#include <errno.h>
#include <unistd.h>

/* --- questions that all storages answer --- */

void serve_say_end(struct trunk *t, uint64_t id, int err)
{
    struct packer *p = trunk_begin(t, WIRE_END, id, 1);

    pack_kv_u64(p, "err", (uint64_t)err);
    trunk_send(t);
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

static void say_marks(const struct part *p)
{
    say_maps(p, WIRE_EVENT, &p->rows, p->n);
    say_maps(p, WIRE_LOCK, &p->locks, p->n_locks);
}

static const struct kind kinds[] = {
    {WIRE_FIND, serve_read_find, say_found, SERVE_PAGE_BYTES + 64, false},
    {WIRE_RANGES, serve_read_ranges, say_spans, SERVE_PAGE_BYTES + 64, false},
    {WIRE_EVENTS, serve_read_marks, say_marks, SERVE_MARKS_BYTES + (128u << 10), true},
};

static const struct kind *kind_of(enum wire_type type)
{
    for (size_t i = 0; i < ARRAY_N(kinds); i++)
        if (kinds[i].type == type) return &kinds[i];
    return NULL;
}

static void question_over(struct question *q)
{
    struct packer *p = q->trunk ? trunk_begin(q->trunk, WIRE_END, q->id, q->more ? 2 : 1) : NULL;

    if (p) pack_kv_u64(p, "err", q->failed ? EAGAIN : 0);
    if (p && q->more) pack_kv_bin(p, "at", span(q->next.v, q->next.n));
    if (p) trunk_send(q->trunk);
    list_remove(&q->link);
    mem_free(q);
}

static int by_place(const struct serve_at *a, const struct serve_at *b)
{
    int way = memcmp(a->v, b->v, MIN(a->n, b->n));

    return way ? way : (a->n > b->n) - (a->n < b->n);
}

/* Another page begins where the first of the storages has stopped: others may say something twice. */
static void note_next(struct question *q, const struct part *p)
{
    if (p->next.n == 0) return;
    if (!q->more || by_place(&p->next, &q->next) < 0) q->next = p->next;
    q->more = true;
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
    note_next(q, p);
    part_free(p);
    if (--q->left == 0) question_over(q);
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
    buf_init(&p->locks, q->kind->bytes_max);
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
    struct span at = packed_str(f->body, "at"), what = packed_str(f->body, "kind");
    struct question *q;
    char uid[40];

    if (!packed_text(f->body, "uid", uid, sizeof(uid)) || !(seg_uid_ok(uid) || (k->of_all && !uid[0])) ||
        at.n > SERVE_AT_MAX || what.n >= EVENT_KIND_MAX) {
        serve_say_end(t, f->id, EINVAL);
        return;
    }
    if (of_trunk(s, t) >= SERVE_QUESTIONS_MAX || trunk_flooded(t)) {
        serve_say_end(t, f->id, EBUSY);
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
    span_copy(what, q->what, sizeof(q->what));
    if (at.n > 0) memcpy(q->at.v, at.p, q->at.n = at.n);
    if (q->most == 0) q->most = SERVE_FIND_MOST;
    list_push(&s->questions, &q->link);
    q->left = 1;
    for (size_t i = 0; i < s->shelves->n; i++) ask_shelf(q, s->shelves->v[i]);
    if (--q->left == 0) question_over(q);
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
    size_t n; /* of chunk: that are to be read, then those that were; room grows while a thread reads */
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
    ssize_t got;

    (void)ix;
    do got = pread(f->fd, f->chunk, f->n, (off_t)f->at);
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
        f->n = (size_t)MIN(MIN(f->bytes - f->at, f->room), sizeof(f->chunk));
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
