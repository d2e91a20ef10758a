#include "archive/work_act.h"
#include "archive/keeper_impl.h"
#include "archive/work.h"
#include "common/base/clock.h"

/* Read again right before each step: whoever was stopped meanwhile does nothing. */
bool work_act_may(struct work *w, struct answer *a)
{
    const struct ask_act *act = &a->ask.act;

    if (act->until_us == 0 || clock_mono_us() <= act->until_us) return true;
    answer_fail(a, CTL_BUSY, "storage %s: the time for it was over before all of it was done", w->conf->name);
    return false;
}

/* What of all this is asked about later (docs/cluster.md): whether a stamp older than one that counted has
 * ever done anything. The time is CLOCK_MONOTONIC: a wall clock may be set. */
static void say(const struct work *w, const struct answer *a, const struct index_act *act, int err)
{
    const struct stamp *s = &act->stamp;
    const char *what = err == INDEX_E_OLD ? "older"
        : err == INDEX_E_OVER             ? "again"
        : err                             ? "failed"
        : act->over                       ? "done"
        : act->n > 0                      ? "begun"
                                          : "promised";

    log_event_of(LOG_INFO, act->uid, "act",
        "what=%s storage=%s id=%016llx term=%llu node=%u boot=%016llx mono_us=%lld", what, w->conf->name,
        (unsigned long long)a->ask.act.id, (unsigned long long)s->term, s->node, (unsigned long long)s->boot,
        (long long)clock_mono_us());
}

/* The highest that is held: whoever comes next has to be above it. */
static void told_held(struct answer *a, const struct stamp *held)
{
    struct packer *p = answer_row(a, 1);

    stamp_kv(p, "held", held);
}

int work_act(struct work *w, struct answer *a, struct index_act *act, const struct work_gone *gone)
{
    struct stamp held;
    int err;

    act->uid = a->ask.args[0];
    act->stamp = a->ask.act.stamp;
    act->id = a->ask.act.id;
    err = work_keep_act(w, act, gone, &held);
    say(w, a, act, err);
    if (err == INDEX_E_OLD) {
        told_held(a, &held);
        answer_fail(a, CTL_CHANGED, "storage %s: a newer act was promised or done there", w->conf->name);
    } else if (err == INDEX_E_OVER) {
        answer_fail(a, CTL_OK, "storage %s: it has been done before", w->conf->name);
    } else if (err) {
        answer_fail(a, CTL_FAILED, "storage %s: its index could not be written", w->conf->name);
    }
    return err;
}

bool work_promise(struct work *w, struct answer *a)
{
    struct index_act act = {.n = 0};
    int err = work_act_may(w, a) ? work_act(w, a, &act, NULL) : INDEX_OK;

    if (err == INDEX_E_OVER) answer_fail(a, CTL_CHANGED, "storage %s: it has been done", w->conf->name);
    if (!err && a->code == CTL_OK) told_held(a, &act.stamp);
    return false;
}

bool work_did(struct work *w, struct answer *a)
{
    const struct ask_act *act = &a->ask.act;
    int err = index_act_did(w->indexer.ix, a->ask.args[0], act->stamp.node, act->id);

    if (err == INDEX_OK)
        told_held(a, &act->stamp);
    else if (err != INDEX_E_NONE)
        answer_fail(a, CTL_FAILED, "storage %s: its index cannot be read", w->conf->name);
    return false;
}

bool work_act_lock(struct work *w, struct answer *a)
{
    struct index_act act = {.over = true};
    struct index_lock lock;

    if (!work_act_may(w, a)) return false;
    if (keeper_lock_of(&a->ask, &w->keep.locks, &lock)) act.lock = &lock;
    if (work_act(w, a, &act, NULL) != INDEX_OK || !act.lock) return false;
    work_keep_lock(w, &lock);
    w->ops->on_locks(w->arg, &lock, 1, false);
    if (w->keep.lock_err)
        answer_fail(a, CTL_FAILED, "storage %s: the copy of its locks could not be written", w->conf->name);
    return false;
}
