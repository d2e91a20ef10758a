#include "archive/work_plan.h"
#include "archive/ask.h"
#include "archive/work.h"
#include "common/base/mem.h"

#include <errno.h>

#define DELETE_PAGE 16 /* segments that are read at a time */

struct plan_rows {
    struct {
        uint64_t segments, bytes;
        usec_t from_us, to_us;
    } by[RETENTION_REASONS];
};

/* --- archive plan --- */

static void note(struct work_plan *s, const struct reap_item *item)
{
    struct plan_rows *rows = map_get(&s->found, span_of(item->ref.uid));

    if (!rows) {
        rows = NEW(struct plan_rows);
        map_set(&s->found, span_of(item->ref.uid), rows);
    }
    if (rows->by[item->why].segments++ == 0) rows->by[item->why].from_us = item->start_us;
    rows->by[item->why].bytes += item->bytes;
    rows->by[item->why].to_us = item->end_us;
}

static void give(struct work *w, struct answer *a, const struct map_slot *slot)
{
    const struct plan_rows *rows = slot->value;
    bool all = a->ask.n_args == 0 || strcmp(a->ask.args[0], w->conf->name) == 0;

    if (!all && strcmp(a->ask.args[0], slot->key) != 0) return;
    for (enum retention_why why = RETENTION_AGE; why < RETENTION_REASONS; why++) {
        struct packer *p;

        if (rows->by[why].segments == 0) continue;
        p = answer_row(a, 7);
        pack_kv_text(p, "uid", slot->key);
        pack_kv_text(p, "storage", w->conf->name);
        pack_kv_text(p, "why", retention_word(why));
        pack_kv_u64(p, "segments", rows->by[why].segments);
        pack_kv_u64(p, "bytes", rows->by[why].bytes);
        pack_kv_i64(p, "from_s", rows->by[why].from_us / US_PER_S);
        pack_kv_i64(p, "to_s", rows->by[why].to_us / US_PER_S);
    }
}

bool work_plan(struct work *w, struct answer *a)
{
    struct work_plan *s = a->state;
    struct reap_setup setup;
    struct map_slot slot;
    size_t at = 0;
    int got;

    if (!s->begun) {
        work_keep_setup(w, &setup);
        reap_begin(&s->pass, &setup);
        s->begun = true;
    }
    s->pass.s.ix = w->indexer.ix;
    got = reap_step(&s->pass);
    if (got < 0) {
        answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
        return false;
    }
    if (got != REAP_MORE) {
        for (size_t i = 0; i < s->pass.n; i++) note(s, &s->pass.items[i]);
        s->pass.n = 0;
    }
    if (got != REAP_DONE) return true;
    while (map_next(&s->found, &at, &slot)) give(w, a, &slot);
    if (s->pass.needed > 0)
        answer_fail(a, CTL_OK, "storage %s: %llu bytes more are needed, and locks and events keep the rest",
            w->conf->name, (unsigned long long)s->pass.needed);
    return false;
}

void work_plan_done(void *state)
{
    struct work_plan *s = state;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&s->found, &at, &slot)) mem_free(slot.value);
    map_done(&s->found);
    reap_end(&s->pass);
}

/* --- archive delete --- */

static void told(struct work *w, struct answer *a)
{
    const struct work_delete *s = a->state;
    struct packer *p;

    if (s->segments + s->locked + s->edges == 0) return;
    p = answer_row(a, 6);
    pack_kv_text(p, "uid", a->ask.args[0]);
    pack_kv_text(p, "storage", w->conf->name);
    pack_kv_u64(p, "segments", s->segments);
    pack_kv_u64(p, "bytes", s->bytes);
    pack_kv_u64(p, "locked", s->locked);
    pack_kv_u64(p, "edges", s->edges);
}

static bool may_go(
    struct work *w, struct work_delete *s, const struct index_query *q, const struct seg_info *i)
{
    usec_t until_us;

    if (i->start_us < q->from_us || i->end_us > q->to_us) {
        s->edges++;
        return false;
    }
    if (!locks_hold(&w->keep.locks, q->uid, i->start_us, i->end_us, &until_us)) return true;
    s->locked++;
    return false;
}

/* Segments that are closed and not yet in the index are put there first: what is asked to go goes. */
static void commit_first(struct work *w, struct work_delete *s, struct answer *a)
{
    if (s->begun) return;
    s->begun = true;
    if (pending_has(&w->pending, a->ask.args[0])) work_commit(w);
    if (w->scanning || pending_has(&w->pending, a->ask.args[0]))
        answer_fail(a, CTL_FAILED, "storage %s: what was recorded there is still being read in, ask again",
            w->conf->name);
}

bool work_delete(struct work *w, struct answer *a)
{
    struct work_delete *s = a->state;
    struct index_query q = {.uid = a->ask.args[0], .after_id = s->after};
    struct seg_info *page = mem_new_n(DELETE_PAGE, sizeof(*page));
    struct index_ref refs[DELETE_PAGE] = {0};
    uint64_t bytes[DELETE_PAGE];
    size_t n = 0, out = 0;
    int err;

    commit_first(w, s, a);
    err = work_keep_may_delete(w) ? INDEX_OK : -EAGAIN;
    (void)span_i64(span_of(a->ask.args[1]), &q.from_us);
    (void)span_i64(span_of(a->ask.args[2]), &q.to_us);
    if (!err) err = MIN(index_segments(w->indexer.ix, &q, page, DELETE_PAGE, &n), 0);
    for (size_t i = 0; !err && i < n; i++) {
        s->after = page[i].id;
        if (!may_go(w, s, &q, &page[i])) continue;
        refs[out].id = page[i].id;
        memcpy(refs[out].uid, page[i].uid, sizeof(refs[out].uid));
        bytes[out++] = page[i].bytes;
    }
    mem_free(page);
    if (!err && out > 0) err = work_keep_take_out(w, refs, bytes, out);
    if (err) {
        answer_fail(a, CTL_FAILED, "storage %s: nothing can be deleted there now", w->conf->name);
        return false;
    }
    for (size_t i = 0; i < out; i++) s->bytes += bytes[i];
    s->segments += out;
    if (n == DELETE_PAGE) return true;
    told(w, a);
    return false;
}

/* --- archive lock, unlock --- */

bool work_locked(struct work *w, struct answer *a)
{
    if (w->keep.lock_err)
        answer_fail(a, CTL_FAILED, "storage %s: its index, or the copy of its locks, could not be written",
            w->conf->name);
    return false;
}
