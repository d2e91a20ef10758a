/* Questions about locks, and to delete, on the keeper's loop: who asks for what, checked and logged. */
#include "archive/keeper_impl.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"

/* UID FROM TO. */
static bool range_of(struct answer *a, usec_t *from_us, usec_t *to_us)
{
    if (!seg_uid_ok(a->ask.args[0]) || strlen(a->ask.args[0]) >= sizeof(((struct index_ref *)0)->uid))
        answer_fail(a, CTL_USAGE, "this is no uid");
    else if (!span_i64(span_of(a->ask.args[1]), from_us) || !span_i64(span_of(a->ask.args[2]), to_us) ||
        !seg_time_ok(*from_us) || !seg_time_ok(*to_us) || *from_us >= *to_us)
        answer_fail(a, CTL_USAGE, "FROM has to be before TO");
    return a->code == CTL_OK;
}

int keeper_ask_delete(struct keeper *k, struct answer *a)
{
    usec_t from_us = 0, to_us = 0;

    (void)k;
    if (range_of(a, &from_us, &to_us))
        log_event_of(LOG_NOTE, a->ask.args[0], "delete-asked", "from_s=%lld to_s=%lld by=%s",
            (long long)(from_us / US_PER_S), (long long)(to_us / US_PER_S), log_q(span_of(a->ask.by)));
    return a->code;
}

static void lock_row(struct answer *a, const struct index_lock *l)
{
    struct packer *p = answer_row(a, 7);
    char id[24];

    snprintf(id, sizeof(id), "%llx", (unsigned long long)l->id);
    pack_kv_text(p, "id", id);
    pack_kv_text(p, "uid", l->uid);
    pack_kv_i64(p, "from_s", l->start_us / US_PER_S);
    pack_kv_i64(p, "to_s", l->end_us / US_PER_S);
    pack_kv_i64(p, "since_s", l->version_us / US_PER_S);
    pack_kv_text(p, "by", l->by);
    pack_kv_text(p, "note", l->note);
}

/* A lock that is asked for. */
static bool new_lock(const struct ask *q, struct index_lock *ret)
{
    bool act = q->act.stamp.term > 0;

    *ret = (struct index_lock){.version_us = act ? q->act.at_us : clock_wall_us(), .id = q->act.id};
    (void)span_i64(span_of(q->args[1]), &ret->start_us);
    (void)span_i64(span_of(q->args[2]), &ret->end_us);
    if (q->n_args > 3 && !span_copy(span_of(q->args[3]), ret->note, sizeof(ret->note))) return false;
    span_copy(span_of(q->args[0]), ret->uid, sizeof(ret->uid));
    span_copy(span_of(q->by), ret->by, sizeof(ret->by));
    if (!act) rng_bytes(&ret->id, sizeof(ret->id));
    return true;
}

static bool released(const struct ask *q, const struct locks *all, struct index_lock *ret)
{
    const struct index_lock *held = NULL;
    bool act = q->act.stamp.term > 0;
    uint64_t id;

    if (span_hex64(span_of(q->args[1]), &id)) held = locks_find(all, q->args[0], id);
    if (!held) return false;
    *ret = *held;
    if (held->released_us > 0) return true;
    ret->released_us = act ? q->act.at_us : clock_wall_us();
    ret->version_us = MAX(ret->released_us, held->version_us + 1);
    return true;
}

bool keeper_lock_of(const struct ask *q, const struct locks *all, struct index_lock *ret)
{
    return q->command->begin == keeper_ask_lock ? new_lock(q, ret) : released(q, all, ret);
}

int keeper_ask_lock(struct keeper *k, struct answer *a)
{
    struct index_lock l;
    usec_t from_us = 0, to_us = 0;

    if (!range_of(a, &from_us, &to_us)) return a->code;
    if (!new_lock(&a->ask, &l)) {
        answer_fail(a, CTL_USAGE, "the note is longer than %d bytes", INDEX_LOCK_NOTE_MAX - 1);
        return a->code;
    }
    if (locks_held(&k->locks) >= LOCKS_MAX) {
        answer_fail(a, CTL_FAILED, "there are %d locks already", LOCKS_MAX);
        return a->code;
    }
    if (a->ask.act.stamp.term == 0) { /* an act is logged where it is done (work_act.c) */
        log_event_of(LOG_NOTE, l.uid, "locked", "id=%llx from_s=%lld to_s=%lld by=%s",
            (unsigned long long)l.id, (long long)(l.start_us / US_PER_S), (long long)(l.end_us / US_PER_S),
            log_q(span_of(l.by)));
        keeper_keep_lock(k, &l);
    }
    lock_row(a, &l);
    if (!map_get(&k->keeping, span_of(l.uid)))
        answer_fail(a, CTL_OK, "%s is not configured: what footage there is of it is locked", l.uid);
    return a->code;
}

int keeper_ask_unlock(struct keeper *k, struct answer *a)
{
    struct index_lock l;
    const struct index_lock *held = NULL;

    if (released(&a->ask, &k->locks, &l)) held = locks_find(&k->locks, l.uid, l.id);
    if (!held || held->released_us > 0) {
        answer_fail(a, CTL_NOT_FOUND, "no such lock: %.40s of %.40s", a->ask.args[1], a->ask.args[0]);
        return a->code;
    }
    if (a->ask.act.stamp.term == 0) {
        log_event_of(LOG_NOTE, l.uid, "unlocked", "id=%llx by=%s", (unsigned long long)l.id,
            log_q(span_of(a->ask.by)));
        keeper_keep_lock(k, &l);
    }
    return a->code;
}

int keeper_ask_promise(struct keeper *k, struct answer *a)
{
    (void)k;
    if (a->ask.act.stamp.term == 0) answer_fail(a, CTL_USAGE, "a promise is by a stamp");
    return a->code;
}

int keeper_ask_locks(struct keeper *k, struct answer *a)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&k->locks.by_uid, &at, &slot)) {
        const struct lock_list *list = slot.value;

        if (a->ask.n_args > 0 && strcmp(a->ask.args[0], slot.key) != 0) continue;
        for (size_t i = 0; i < list->n; i++)
            if (list->v[i].released_us == 0) lock_row(a, &list->v[i]);
    }
    return a->code;
}
