#include "archive/work_ask.h"
#include "archive/work.h"
#include "common/base/mem.h"

#define LIST_PAGE 32 /* streams a step */

static void send_page(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    struct work *w = arg;

    w->ops->on_rows(w->arg, id, n, rows);
}

static void finish(struct work *w, struct answer *a)
{
    answer_flush(a);
    list_remove(&a->link);
    w->ops->on_answer(w->arg, a->ask.id, a->code, a->text);
    answer_done(a);
    mem_free(a);
}

void work_ask_begin(struct work *w, const struct ask *q)
{
    struct answer *a = NEW(struct answer);

    answer_init(a, q, send_page, w);
    list_push(&w->asks, &a->link);
}

bool work_ask_step(struct work *w)
{
    struct answer *a;
    bool more = false;

    if (list_empty(&w->asks)) return false;
    a = LIST_ITEM(w->asks.next, struct answer, link);
    if (!w->indexer.ix) {
        answer_fail(a, CTL_FAILED, "storage %s: its index is not open: %s", w->conf->name,
            storage_state_name(w->storage.state));
    } else if (a->rows >= ASK_ROWS_MAX) {
        answer_fail(
            a, a->code, "storage %s: more than %d rows, the rest is left out", w->conf->name, ASK_ROWS_MAX);
    } else {
        more = a->ask.command->step(w, a);
    }
    if (more) {
        list_remove(&a->link);
        list_push(&w->asks, &a->link);
    } else {
        finish(w, a);
    }
    return true;
}

void work_ask_end(struct work *w)
{
    while (!list_empty(&w->asks)) {
        struct answer *a = LIST_ITEM(w->asks.next, struct answer, link);

        answer_fail(a, CTL_FAILED, "storage %s was closed meanwhile", w->conf->name);
        finish(w, a);
    }
}

/* --- archive list --- */

static void list_row(struct work *w, struct answer *a, const struct index_total *t)
{
    CLEANUP(mem_freep) struct seg_info *first = NEW(struct seg_info), *last = NEW(struct seg_info);
    bool known = index_first(w->indexer.ix, t->uid, first) == INDEX_OK &&
        index_last(w->indexer.ix, t->uid, last) == INDEX_OK;
    struct packer *p = answer_row(a, known ? 6 : 4);

    pack_kv_text(p, "uid", t->uid);
    pack_kv_text(p, "storage", w->conf->name);
    pack_kv_u64(p, "segments", t->segments);
    pack_kv_u64(p, "bytes", t->bytes);
    if (!known) return;
    pack_kv_i64(p, "from_s", first->start_us / US_PER_S);
    pack_kv_i64(p, "to_s", last->end_us / US_PER_S);
}

bool work_list(struct work *w, struct answer *a)
{
    struct work_list *at = a->state;
    struct index_total page[LIST_PAGE];
    size_t n;
    int err = index_totals(w->indexer.ix, at->after, page, LIST_PAGE, &n);

    if (err < 0) {
        answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (a->ask.n_args == 0 || strcmp(page[i].uid, a->ask.args[0]) == 0) list_row(w, a, &page[i]);
    if (n > 0) memcpy(at->after, page[n - 1].uid, sizeof(at->after));
    return n == LIST_PAGE;
}
