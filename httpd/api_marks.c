#include "httpd/api_marks.h"
#include "common/base/mem.h"
#include "common/net/pool.h"
#include "httpd/archive.h"
#include "httpd/caller.h"
#include "httpd/row_pages.h"

#include <stdlib.h>

struct marks {
    struct lua_call call;
    void (*said)(void *arg, struct master_answer *a);
    struct camera_list cameras; /* of whoever asks */
    char uid[RING_UID_MAX + 1], kind[EVENT_KIND_MAX];
    usec_t from_us, to_us;
    bool locks; /* else events */
    size_t limit, n, left;
    struct asked_node {
        struct job job;
        struct marks *m;
        struct storage *st;
        struct away_marks *got;
        bool missing;
    } v[STORAGE_NODES];
};

/* --- in a node's pool --- */

static void work(struct job *j)
{
    struct asked_node *a = CONTAINER(j, struct asked_node, job);
    const struct away_ask q = {
        .uid = a->m->uid, .from_us = a->m->from_us, .to_us = a->m->to_us, .kind = a->m->kind};
    int err = shelf_marks(a->st->shelf, &q, &a->got);

    a->missing = err != 0 || a->got->partial;
    if (err != 0) storage_say(a->st, STORAGE_UNREAD, a->m->uid, err);
}

/* --- on the main loop --- */

struct pick {
    struct asked_node *from;
    const struct away_mark *mark;
};

static int newest_first(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;

    return away_mark_order(x->mark, y->mark);
}

/* Those of all nodes, in order; an event that two of them have once. */
static size_t pick_all(struct marks *m, struct pick **ret)
{
    struct pick *v;
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < m->n; i++) n += m->v[i].got ? m->v[i].got->n : 0;
    v = *ret = mem_new_n(n + 1, sizeof(*v));
    n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct away_marks *got = m->v[i].got;

        for (size_t k = 0; got && k < got->n; k++)
            if (camera_list_has(&m->cameras, span_of(got->v[k].uid)))
                v[n++] = (struct pick){&m->v[i], &got->v[k]};
    }
    if (n > 1) qsort(v, n, sizeof(*v), newest_first);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[i].mark->lock || !away_mark_same(v[kept - 1].mark, v[i].mark)) v[kept++] = v[i];
    return kept;
}

/* Older events than were asked for are not missing; locks that are left out are. */
static void put_all(const struct marks *m, const struct pick *v, size_t n, struct row_pages *p)
{
    size_t put = 0;

    for (size_t i = 0; i < n; i++) {
        const struct away_mark *mark = v[i].mark;

        if (mark->lock != m->locks || (!m->locks && put == m->limit)) continue;
        if (put == m->limit ||
            !row_pages_put(p, span_sub(buf_span(&v[i].from->got->rows), mark->at, mark->n)))
            v[i].from->missing = true;
        else
            put++;
    }
}

static void answer(struct marks *m)
{
    struct lua_call *call = mem_dup(&m->call, sizeof(m->call));
    struct row_pages p;
    struct pick *v;
    size_t n = pick_all(m, &v);

    row_pages_init(&p);
    if (m->n > 0) row_pages_number(&p, "self", m->v[0].st->self);
    put_all(m, v, n, &p);
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].missing) row_pages_number(&p, "missing", m->v[i].st->node);
    row_pages_end(&p);
    m->said(call, &p.answer);
    row_pages_done(&p);
    mem_free(v);
}

static void end(struct marks *m)
{
    answer(m);
    for (size_t i = 0; i < m->n; i++) {
        away_marks_free(m->v[i].got);
        storage_unref(m->v[i].st);
    }
    mem_free(m);
}

static void done(struct job *j)
{
    struct marks *m = CONTAINER(j, struct asked_node, job)->m;

    if (--m->left == 0) end(m);
}

static void add_nodes(struct marks *m, struct loop *loop, struct storages *s)
{
    struct storage *st[STORAGE_NODES + 1]; /* and one of this node, which is not asked */
    size_t n = storages_of(s, SPAN_NONE, NULL, 0, st, ARRAY_N(st));

    for (size_t i = 0; i < n; i++) {
        if (st[i]->node == 0) {
            storage_unref(st[i]);
            continue;
        }
        m->v[m->n++] =
            (struct asked_node){.job = {.work = work, .done = done, .loop = loop}, .m = m, .st = st[i]};
    }
}

void api_marks(struct server *server, struct loop *loop, const struct lua_call *call,
    const struct packed *args, void (*said)(void *arg, struct master_answer *a))
{
    struct span uid = packed_str(args, "uid"), kind = packed_str(args, "kind");
    struct marks *m;

    if ((uid.n > 0 && !caller_sees(call->caller, uid)) || uid.n > RING_UID_MAX || kind.n >= EVENT_KIND_MAX) {
        lua_call_failed(call, "there is no such stream");
        return;
    }
    m = NEW(struct marks);
    *m = (struct marks){.call = *call,
        .said = said,
        .from_us = MAX(packed_i64(args, "from_us", 0), 0),
        .to_us = packed_i64(args, "to_us", INT64_MAX),
        .locks = packed_bool(args, "locks", false),
        .limit = (size_t)CLAMP(packed_i64(args, "limit", MARKS_ROWS_MOST), 0, MARKS_ROWS_MOST)};
    if (call->caller) m->cameras = call->caller->cameras;
    span_copy(uid, m->uid, sizeof(m->uid));
    span_copy(kind, m->kind, sizeof(m->kind));
    if (server->storages) add_nodes(m, loop, server->storages);
    m->left = 1;
    for (size_t i = 0; i < m->n; i++) {
        m->v[i].missing = !pool_put(m->v[i].st->pool, &m->v[i].job);
        m->left += !m->v[i].missing;
    }
    if (--m->left == 0) end(m);
}
