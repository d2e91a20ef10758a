#include "archive/work_plan.h"
#include "archive/ask.h"
#include "archive/work_act.h"
#include "archive/work.h"
#include "common/base/mem.h"

#include <errno.h>

#define DELETE_PAGE 16 /* segments that are read at a time */

/* --- archive plan --- */

static struct packer *row(void *arg, uint32_t pairs)
{
    return answer_row(arg, pairs);
}

bool work_plan(struct work *w, struct answer *a)
{
    struct plan *p = a->state;
    struct reap_setup setup;
    int got;

    if (!p->begun) {
        work_keep_setup(w, &setup);
        plan_begin(p, &setup);
    }
    p->pass.s.ix = w->indexer.ix;
    got = plan_step(p);
    if (got < 0) {
        answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
        return false;
    }
    if (got != REAP_DONE) return true;
    plan_rows(p, w->conf->name, a->ask.n_args > 0 ? a->ask.args[0] : NULL, row, a);
    if (p->pass.needed > 0)
        answer_fail(a, CTL_OK, "storage %s: %llu bytes more are needed, and locks and events keep the rest",
            w->conf->name, (unsigned long long)p->pass.needed);
    return false;
}

void work_plan_done(void *state)
{
    plan_end(state);
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
static void commit_first(struct work *w, struct work_delete *s, struct answer *a, const struct index_query *q)
{
    if (s->begun) return;
    s->begun = true;
    work_fill_deleted(w, q->uid, q->from_us, q->to_us, a->ask.act.stamp.term > 0);
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
    struct work_gone gone[DELETE_PAGE];
    bool act = a->ask.act.stamp.term > 0;
    size_t n = 0, out = 0;
    int err;

    (void)span_i64(span_of(a->ask.args[1]), &q.from_us);
    (void)span_i64(span_of(a->ask.args[2]), &q.to_us);
    commit_first(w, s, a, &q);
    if (act && (a->code != CTL_OK || !work_act_may(w, a))) {
        mem_free(page);
        return false;
    }
    err = work_keep_may_delete(w) ? INDEX_OK : -EAGAIN;
    if (!err) err = index_segments(w->indexer.ix, &q, page, DELETE_PAGE, &n);
    err = MIN(err, 0); /* damaged records are left out */
    for (size_t i = 0; !err && i < n; i++) {
        s->after = page[i].id;
        if (!may_go(w, s, &q, &page[i])) continue;
        refs[out].id = page[i].id;
        memcpy(refs[out].uid, page[i].uid, sizeof(refs[out].uid));
        gone[out++] = (struct work_gone){page[i].bytes, page[i].start_us, page[i].end_us};
    }
    mem_free(page);
    if (!err && act) {
        struct index_act does = {.refs = refs, .n = out, .over = n < DELETE_PAGE};

        if (work_act(w, a, &does, gone) != INDEX_OK) return false;
    } else if (!err && out > 0) {
        err = work_keep_take_out(w, refs, gone, out);
    }
    if (err) {
        answer_fail(a, CTL_FAILED, "storage %s: nothing can be deleted there now", w->conf->name);
        return false;
    }
    for (size_t i = 0; i < out; i++) s->bytes += gone[i].bytes;
    s->segments += out;
    if (n == DELETE_PAGE) return true;
    told(w, a);
    return false;
}

/* --- archive lock, unlock --- */

bool work_locked(struct work *w, struct answer *a)
{
    if (a->ask.act.stamp.term > 0) return work_act_lock(w, a);
    if (w->keep.lock_err)
        answer_fail(a, CTL_FAILED, "storage %s: its index, or the copy of its locks, could not be written",
            w->conf->name);
    return false;
}
