#include "httpd/api_elsewhere.h"
#include "common/base/mem.h"
#include "common/net/pool.h"
#include "httpd/archive.h"
#include "httpd/caller.h"
#include "httpd/row_pages.h"

#include <errno.h>

#define PAGE_N  32
#define ROW_MAX 1024

struct elsewhere {
    struct lua_call call;
    void (*said)(void *arg, struct master_answer *a);
    struct loop *loop;
    char uid[RING_UID_MAX + 1];
    usec_t from_us, to_us;
    bool segments;
    uint32_t most;
    size_t n, left;
    struct asked_node {
        struct job job;
        struct elsewhere *e;
        struct storage *st;
        struct row_pages rows;
        uint32_t n;
        bool missing;
    } v[STORAGE_NODES];
};

/* --- in a node's pool --- */

static void put_row(struct asked_node *a, struct span row)
{
    a->missing |= !row_pages_put(&a->rows, row);
    a->n++;
}

static void pack_span(struct packer *p, const struct asked_node *a, usec_t from_us, usec_t to_us)
{
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", to_us);
    pack_kv_u64(p, "node", a->st->node);
}

/* Cut to what was asked for. */
static int read_ranges(struct asked_node *a, struct records *r, struct buf *row)
{
    const struct elsewhere *e = a->e;
    CLEANUP(mem_freep) struct index_range *page = mem_try((e->most + 1) * sizeof(*page));
    struct index_query q = {.uid = e->uid, .from_us = e->from_us, .to_us = e->to_us};
    size_t n = 0;
    int err = page ? records_ranges(r, &q, page, e->most + 1, &n) : -ENOMEM;

    for (size_t i = 0; err == 0 && i < MIN(n, e->most); i++) {
        struct packer p = packer_of(row);

        buf_clear(row);
        pack_map(&p, 3);
        pack_span(&p, a, MAX(page[i].start_us, e->from_us), MIN(page[i].end_us, e->to_us));
        put_row(a, buf_span(row));
    }
    a->missing |= n > e->most;
    return err;
}

static void pack_segment(struct packer *p, const struct asked_node *a, const struct seg_info *s)
{
    char id[24];

    snprintf(id, sizeof(id), "%llx", (unsigned long long)s->id);
    pack_map(p, 8);
    pack_span(p, a, s->start_us, s->end_us);
    pack_kv_text(p, "id", id);
    pack_kv_text(p, "path", s->path);
    pack_kv_u64(p, "bytes", s->bytes);
    pack_kv_u64(p, "samples", s->samples);
    pack_kv_u64(p, "flags", s->flags & SEG_FLAGS_OF_FILE);
}

static int read_segments(struct asked_node *a, struct records *r, struct buf *row)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(PAGE_N * sizeof(*page));
    struct index_query q = {.uid = a->e->uid, .from_us = a->e->from_us, .to_us = a->e->to_us};
    size_t n = PAGE_N;
    int err = page ? 0 : -ENOMEM;

    while (err == 0 && n == PAGE_N && a->n < a->e->most) {
        err = records_segments(r, &q, page, PAGE_N, &n);
        for (size_t i = 0; err == 0 && i < n && a->n < a->e->most; i++) {
            struct packer p = packer_of(row);

            buf_clear(row);
            pack_segment(&p, a, &page[i]);
            put_row(a, buf_span(row));
        }
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return err;
}

static void work(struct job *j)
{
    struct asked_node *a = CONTAINER(j, struct asked_node, job);
    struct records r;
    struct buf row;
    int err = records_open(a->st, &r);

    buf_init(&row, ROW_MAX);
    if (err == 0) {
        err = a->e->segments ? read_segments(a, &r, &row) : read_ranges(a, &r, &row);
        a->missing |= r.stale;
        records_close(&r);
    }
    row_pages_end(&a->rows);
    buf_done(&row);
    if (err == 0) return;
    storage_say(a->st, STORAGE_UNREAD, a->e->uid, err);
    a->missing = true;
}

/* --- on the main loop --- */

static void answer(struct elsewhere *e)
{
    struct lua_call *call = mem_dup(&e->call, sizeof(e->call));
    struct row_pages p;

    row_pages_init(&p);
    if (e->n > 0) row_pages_number(&p, "self", e->v[0].st->self);
    for (size_t i = 0; i < e->n; i++) e->v[i].missing |= !row_pages_join(&p, &e->v[i].rows);
    for (size_t i = 0; i < e->n; i++)
        if (e->v[i].missing) row_pages_number(&p, "missing", e->v[i].st->node);
    row_pages_end(&p);
    e->said(call, &p.answer);
    row_pages_done(&p);
}

static void end(struct elsewhere *e)
{
    answer(e);
    for (size_t i = 0; i < e->n; i++) {
        row_pages_done(&e->v[i].rows);
        storage_unref(e->v[i].st);
    }
    mem_free(e);
}

static void done(struct job *j)
{
    struct elsewhere *e = CONTAINER(j, struct asked_node, job)->e;

    if (--e->left == 0) end(e);
}

static void add_nodes(struct elsewhere *e, struct storages *s)
{
    struct storage *st[STORAGE_NODES + 1]; /* and one of this node, which is not asked */
    size_t n = storages_of(s, SPAN_NONE, NULL, 0, st, ARRAY_N(st));

    for (size_t i = 0; i < n; i++) {
        if (st[i]->node == 0) {
            storage_unref(st[i]);
            continue;
        }
        e->v[e->n] =
            (struct asked_node){.job = {.work = work, .done = done, .loop = e->loop}, .e = e, .st = st[i]};
        row_pages_init(&e->v[e->n++].rows);
    }
}

void api_elsewhere(struct server *server, struct loop *loop, const struct lua_call *call,
    const struct packed *args, void (*said)(void *arg, struct master_answer *a))
{
    struct elsewhere *e = NEW(struct elsewhere);

    *e = (struct elsewhere){.call = *call,
        .said = said,
        .loop = loop,
        .from_us = MAX(packed_i64(args, "from_us", 0), 0),
        .to_us = packed_i64(args, "to_us", SEG_TIME_MAX_US),
        .segments = packed_bool(args, "segments", false),
        .most = (uint32_t)CLAMP(packed_i64(args, "limit", ELSEWHERE_ROWS_MOST), 1, ELSEWHERE_ROWS_MOST)};
    if (!packed_text(args, "uid", e->uid, sizeof(e->uid)) || !caller_sees(call->caller, span_of(e->uid))) {
        lua_call_failed(call, "there is no such stream");
        mem_free(e);
        return;
    }
    if (server->storages) add_nodes(e, server->storages);
    e->left = 1;
    for (size_t i = 0; i < e->n; i++) {
        e->v[i].missing = !pool_put(e->v[i].st->pool, &e->v[i].job);
        e->left += !e->v[i].missing;
    }
    if (--e->left == 0) end(e);
}
