#include "master/cluster/act.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/ipc/ctl.h"
#include "master/cluster/quorum.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TWICE "not done: two servers have this node's number: look at node-id on both"

enum run_state {
    RUN_WAITS = 0, /* another act on the stream is being decided, or this node has just started */
    RUN_PROMISING,
    RUN_DOING,
    RUN_AWAY, /* passed on */
    RUN_RECOVERS
};
/* An act that was asked here. */
struct act_run {
    struct list link;
    struct act act;
    enum run_state state;
    uint64_t who;  /* somebody here wants the answer; 0: nobody */
    uint16_t from; /* a node does, by its ref; 0: none */
    uint64_t ref;
    uint16_t only;     /* it has been decided before, and is meant for this node; 0: for all */
    uint64_t keep_ref; /* of what the keeper was asked */
    uint64_t promised; /* bit i: a->nodes[i] */
    unsigned tries;
    usec_t until_us; /* of the promises that are asked for now */
    usec_t retry_us, over_us;
};
/* What the keeper does because another node has said so. */
struct act_work {
    struct list link;
    uint64_t ref;
    uint16_t from;
    enum act_word_kind kind; /* ACT_PROMISE, ACT_DO */
    struct act act;
};
struct act_grant {
    struct stamp stamp;
    usec_t until_us;
};

void acts_init(
    struct acts *a, const struct act_ops *ops, void *arg, uint16_t self, uint64_t boot, usec_t now_us)
{
    *a = (struct acts){.ops = ops, .arg = arg, .self = self, .boot = boot, .started_us = now_us};
    list_init(&a->runs);
    list_init(&a->works);
    list_init(&a->waits);
    acts_nodes(a, &self, 1);
}

void acts_done(struct acts *a)
{
    if (!a->ops) return;
    LIST_EACH(&a->runs, link) mem_free(LIST_ITEM(link, struct act_run, link));
    LIST_EACH(&a->works, link) mem_free(LIST_ITEM(link, struct act_work, link));
    LIST_EACH(&a->waits, link) mem_free(LIST_ITEM(link, struct act_wait, link));
    map_drop(&a->grants, mem_free);
    *a = (struct acts){.ops = NULL};
}

static int by_number(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

size_t acts_nodes(struct acts *a, const uint16_t *nodes, size_t n)
{
    a->n_nodes = n > ACT_NODES_MAX ? 0 : n;
    memcpy(a->nodes, nodes, a->n_nodes * sizeof(*nodes));
    qsort(a->nodes, a->n_nodes, sizeof(*nodes), by_number);
    /* bits have moved: who has promised is asked again */
    LIST_EACH(&a->runs, link) LIST_ITEM(link, struct act_run, link)->promised = 0;
    return a->n_nodes > 0 ? acts_waits_nodes(a) : 0;
}

bool acts_quorum(const struct acts *a, uint64_t of)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_nodes; i++) n += of >> i & 1;
    return quorum(n, a->n_nodes, of & 1);
}

static uint64_t bit_of(const struct acts *a, uint16_t node)
{
    for (size_t i = 0; i < a->n_nodes; i++)
        if (a->nodes[i] == node) return UINT64_C(1) << i;
    return 0;
}

/* --- grants: whose turn it is --- */

static bool warming(const struct acts *a, usec_t now_us)
{
    return now_us - a->started_us < ACT_LEASE_US;
}

/* A promise to another proposer that holds. */
static bool taken(const struct acts *a, const struct act *act, usec_t now_us)
{
    const struct act_grant *g = map_get(&a->grants, span_of(act->uid));

    return g && now_us < g->until_us &&
        (g->stamp.node != act->stamp.node || g->stamp.boot != act->stamp.boot);
}

static void grant(struct acts *a, const struct act *act, usec_t now_us)
{
    struct act_grant *g = NEW(struct act_grant);

    *g = (struct act_grant){act->stamp, now_us + ACT_LEASE_US};
    mem_free(map_set(&a->grants, span_of(act->uid), g));
}

/* It is over, for everything that this proposer had stamped until then; another one's stamp ends nothing. */
static void release(struct acts *a, const struct act *act)
{
    const struct act_grant *g = map_get(&a->grants, span_of(act->uid));

    if (g && g->stamp.node == act->stamp.node && g->stamp.boot == act->stamp.boot &&
        g->stamp.term <= act->stamp.term)
        mem_free(map_remove(&a->grants, span_of(act->uid)));
}

/* --- what is said --- */

static void tell(struct acts *a, uint16_t node, enum act_word_kind kind, const struct act *act)
{
    const struct act_word w = {.kind = kind, .act = *act};

    a->ops->tell(a->arg, node, &w);
}

static void tell_others(struct acts *a, enum act_word_kind kind, const struct act *act, uint64_t but)
{
    for (size_t i = 0; i < a->n_nodes; i++)
        if (a->nodes[i] != a->self && !(but >> i & 1) && a->ops->there(a->arg, a->nodes[i]))
            tell(a, a->nodes[i], kind, act);
}

static void start_next(struct acts *a, const char *uid, usec_t now_us);

static void finish(
    struct acts *a, struct act_run *r, int code, const char *text, struct span rows, usec_t now_us)
{
    struct act_word w = {.kind = ACT_ANSWER, .act = r->act, .ref = r->ref, .code = code, .rows = rows};

    list_remove(&r->link);
    a->n_runs--;
    if (code != CTL_OK) a->refused++;
    if (r->act.stamp.term > 0) a->ops->changed(a->arg);
    if (r->who) a->ops->answer(a->arg, r->who, code, text, rows);
    if (r->from) {
        w.act.stamp = (struct stamp){.term = 0};
        snprintf(w.text, sizeof(w.text), "%s", text);
        a->ops->tell(a->arg, r->from, &w);
    }
    if (r->state != RUN_AWAY) start_next(a, w.act.uid, now_us);
    mem_free(r);
}

static void fail(struct acts *a, struct act_run *r, int code, usec_t now_us, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static void fail(struct acts *a, struct act_run *r, int code, usec_t now_us, const char *fmt, ...)
{
    char text[ACT_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->state == RUN_PROMISING || r->state == RUN_DOING) {
        release(a, &r->act);
        tell_others(a, ACT_OVER, &r->act, 0);
    }
    finish(a, r, code, text, SPAN_NONE, now_us);
}

/* --- deciding --- */

static void ask_promises(struct acts *a, struct act_run *r, usec_t now_us)
{
    r->retry_us = now_us + ACT_RETRY_US;
    tell_others(a, ACT_PROMISE, &r->act, r->promised);
    if (r->keep_ref == 0 && !(r->promised & bit_of(a, a->self))) {
        r->keep_ref = ++a->refs;
        if (!a->ops->keep(a->arg, r->keep_ref, ACT_KEEP_PROMISE, &r->act, r->until_us)) r->keep_ref = 0;
    }
}

/* By a new term, above one that was named. */
static void propose(struct acts *a, struct act_run *r, uint64_t above, usec_t now_us)
{
    if (r->tries++ == ACT_TRIES) {
        fail(a, r, CTL_BUSY, now_us, "other nodes act on it at the same time: ask again");
        return;
    }
    r->state = RUN_PROMISING;
    r->act.stamp = (struct stamp){a->ops->next_term(a->arg, above), a->self, a->boot};
    r->promised = 0;
    r->keep_ref = 0;
    r->until_us = now_us + ACT_LEASE_US - ACT_SLACK_US;
    grant(a, &r->act, now_us);
    a->ops->changed(a->arg);
    ask_promises(a, r, now_us);
}

bool acts_reach(const struct acts *a, char text[static ACT_TEXT_MAX])
{
    uint64_t there = 0;
    size_t n = 0;

    if (a->ops->twice(a->arg)) {
        snprintf(text, ACT_TEXT_MAX, TWICE);
        return false;
    }
    for (size_t i = 0; i < a->n_nodes; i++)
        if (a->nodes[i] == a->self || a->ops->there(a->arg, a->nodes[i])) {
            there |= UINT64_C(1) << i;
            n++;
        }
    if (acts_quorum(a, there)) return true;
    if (a->n_nodes == 0)
        snprintf(text, ACT_TEXT_MAX, "not done: this cluster has more than %d nodes", ACT_NODES_MAX);
    else if (a->n_nodes == 2)
        snprintf(text, ACT_TEXT_MAX,
            "not done: node %u is not reachable, and of two nodes that do not hear each other the lower one "
            "decides",
            a->nodes[0]);
    else
        snprintf(text, ACT_TEXT_MAX,
            "not done: %zu of %zu nodes are reachable, and more than half have to agree", n, a->n_nodes);
    return false;
}

/* false: it is answered. */
static bool could_be(struct acts *a, struct act_run *r, usec_t now_us)
{
    char text[ACT_TEXT_MAX];

    if (acts_reach(a, text)) return true;
    fail(a, r, CTL_BUSY, now_us, "%s", text);
    return false;
}

static bool is_first(const struct acts *a, const struct act_run *r)
{
    LIST_EACH(&a->runs, link)
    {
        const struct act_run *other = LIST_ITEM(link, struct act_run, link);

        if (other != r && strcmp(other->act.uid, r->act.uid) == 0 &&
            (other->state == RUN_PROMISING || other->state == RUN_DOING))
            return false;
    }
    return true;
}

static void try_run(struct acts *a, struct act_run *r, usec_t now_us)
{
    struct act as = r->act;

    as.stamp = (struct stamp){.node = a->self, .boot = a->boot};
    if (now_us >= r->over_us)
        fail(a, r, CTL_BUSY, now_us, "not done: %s",
            warming(a, now_us) ? "this node has just started: ask again in some seconds"
                               : "another act on this stream is being decided: ask again");
    else if (could_be(a, r, now_us) && !warming(a, now_us) && !taken(a, &as, now_us) && is_first(a, r))
        propose(a, r, 0, now_us);
}

static void start_next(struct acts *a, const char *uid, usec_t now_us)
{
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->state != RUN_WAITS || strcmp(r->act.uid, uid) != 0) continue;
        r->retry_us = now_us; /* at the next tick: one behind the other */
        return;
    }
}

/* A quorum has promised. The clock is read again by the keeper, in the step that does it. */
static void decide(struct acts *a, struct act_run *r, usec_t now_us)
{
    if (!(r->promised & bit_of(a, a->self)) || !acts_quorum(a, r->promised)) return;
    if (now_us >= r->until_us || a->ops->twice(a->arg)) return; /* the tick ends it */
    if (r->only != 0) {
        acts_wait(a, &r->act, r->only, now_us);
        release(a, &r->act);
        tell_others(a, ACT_OVER, &r->act, bit_of(a, r->only));
        finish(a, r, CTL_OK, "", SPAN_NONE, now_us);
        return;
    }
    r->state = RUN_DOING;
    r->keep_ref = ++a->refs;
    if (!a->ops->keep(a->arg, r->keep_ref, ACT_KEEP_DO, &r->act, r->until_us))
        fail(a, r, CTL_FAILED, now_us, "the keeper is not running");
}

/* It is done here, as far as it can be: now everywhere else, and what could not be done here later. */
static void decided(struct acts *a, struct act_run *r, const struct act_kept *k, usec_t now_us)
{
    char all[ACT_TEXT_MAX];
    struct wr w = wr_of(all, sizeof(all));

    a->decided++;
    wr_text(&w, k->text);
    release(a, &r->act);
    for (size_t i = 0; i < a->n_nodes; i++) {
        if (a->nodes[i] == a->self && k->code == CTL_OK) continue;
        if (!a->ops->there(a->arg, a->nodes[i]))
            wr_fmt(&w, "%snode %u is away, and does it when it is back", w.n > 0 ? "; " : "", a->nodes[i]);
        acts_wait(a, &r->act, a->nodes[i], now_us);
    }
    finish(a, r, k->code, wr_cstr(&w), k->rows, now_us);
}

static bool is_decided_here(const struct act_run *r)
{
    return r->only == 0 && (r->state == RUN_PROMISING || r->state == RUN_DOING || r->state == RUN_RECOVERS);
}

const struct act *acts_deciding(const struct acts *a, size_t i)
{
    LIST_EACH(&a->runs, link)
    {
        const struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (is_decided_here(r) && i-- == 0) return &r->act;
    }
    return NULL;
}

static struct act_run *run_new(struct acts *a, const struct act *act, usec_t now_us)
{
    struct act_run *r;

    if (a->n_runs == ACT_RUNS_MAX) return NULL;
    r = NEW(struct act_run);
    r->act = *act;
    r->act.stamp = (struct stamp){.term = 0};
    r->over_us = now_us + ACT_PATIENT_US;
    list_push(&a->runs, &r->link);
    a->n_runs++;
    return r;
}

bool acts_renew(struct acts *a, const struct act *act, uint16_t node, usec_t now_us)
{
    struct act_run *r;

    LIST_EACH(&a->runs, link)
    if (LIST_ITEM(link, struct act_run, link)->act.id == act->id) return false;
    r = run_new(a, act, now_us);
    if (!r) return false;
    r->only = node;
    try_run(a, r, now_us);
    return true;
}

static void recover(struct acts *a, struct act_run *r, usec_t now_us)
{
    r->retry_us = now_us + ACT_AGAIN_US;
    if (r->keep_ref != 0) return;
    r->keep_ref = ++a->refs;
    if (!a->ops->keep(a->arg, r->keep_ref, ACT_KEEP_DID, &r->act, 0)) r->keep_ref = 0;
}

void acts_recover(struct acts *a, const struct act *act, usec_t now_us)
{
    struct act_run *r = run_new(a, act, now_us);

    if (!r) return;
    r->act.stamp = act->stamp;
    r->state = RUN_RECOVERS;
    r->over_us = now_us + ACT_RECOVER_US;
    recover(a, r, now_us);
}

/* --- people --- */

void acts_ask(struct acts *a, const struct act *act, uint64_t who, usec_t now_us)
{
    uint16_t holder = a->ops->holder(a->arg, act->uid);
    bool twice = a->ops->twice(a->arg);
    struct act_run *r = acts_room(a) && !twice ? run_new(a, act, now_us) : NULL;
    struct act_word w = {.kind = ACT_ASK, .act = *act};

    if (!r) {
        a->ops->answer(a->arg, who, CTL_BUSY,
            twice              ? TWICE
                : acts_room(a) ? "too many acts at once: ask again"
                               : "not done: a node has been away for so long that too many acts wait for it",
            SPAN_NONE);
        return;
    }
    r->who = who;
    if (holder == a->self) {
        try_run(a, r, now_us);
        return;
    }
    r->state = RUN_AWAY;
    r->over_us = now_us + ACT_FAR_US;
    w.ref = r->ref = ++a->refs;
    r->only = holder;
    if (holder == 0)
        fail(a, r, CTL_BUSY, now_us, "not done: no node that has this stream is reachable: ask again");
    else
        a->ops->tell(a->arg, holder, &w);
}

void acts_forget(struct acts *a, uint64_t who)
{
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->who == who) r->who = 0;
    }
}

/* --- other nodes --- */

static struct act_run *run_of(const struct acts *a, const struct act *act)
{
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->state != RUN_RECOVERS && r->act.id == act->id && r->act.stamp.term > 0 &&
            stamp_cmp(&r->act.stamp, &act->stamp) == 0)
            return r;
    }
    return NULL;
}

static void say(struct acts *a, const struct act_work *x, int code, const struct stamp *held, usec_t now_us)
{
    struct act_word w = {.kind = x->kind == ACT_DO ? ACT_DONE : ACT_PROMISED, .act = x->act, .code = code};

    if (held) w.held = *held;
    if (x->from != a->self)
        a->ops->tell(a->arg, x->from, &w);
    else if (x->kind == ACT_DO)
        acts_waits_heard(a, a->self, &w, now_us);
}

static void work(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    struct act_work *x;

    LIST_EACH(&a->works, link)
    {
        const struct act_work *other = LIST_ITEM(link, struct act_work, link);

        if (other->kind == w->kind && other->act.id == w->act.id &&
            stamp_cmp(&other->act.stamp, &w->act.stamp) == 0)
            return; /* it is being done */
    }
    if (a->n_works == ACT_WAITS_MAX) return;
    x = NEW(struct act_work);
    *x = (struct act_work){.ref = ++a->refs, .from = from, .kind = w->kind, .act = w->act};
    list_push(&a->works, &x->link);
    a->n_works++;
    if (a->ops->keep(a->arg, x->ref, w->kind == ACT_DO ? ACT_KEEP_DO : ACT_KEEP_PROMISE, &w->act, 0)) return;
    list_remove(&x->link);
    a->n_works--;
    say(a, x, CTL_FAILED, NULL, now_us);
    mem_free(x);
}

/* Two that propose at once: the newer stamp goes on, the other one waits for it. */
static void step_back(struct acts *a, const struct act *before, usec_t now_us)
{
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->state != RUN_PROMISING || strcmp(r->act.uid, before->uid) != 0 ||
            stamp_cmp(&r->act.stamp, &before->stamp) > 0)
            continue;
        release(a, &r->act);
        tell_others(a, ACT_OVER, &r->act, 0);
        r->state = RUN_WAITS;
        r->keep_ref = 0;
        r->retry_us = now_us + ACT_RETRY_US;
    }
}

static void on_promise(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    step_back(a, &w->act, now_us);
    if (warming(a, now_us) || a->ops->twice(a->arg) || taken(a, &w->act, now_us)) {
        say(a, &(struct act_work){.from = from, .kind = w->kind, .act = w->act}, CTL_BUSY, NULL, now_us);
        return;
    }
    grant(a, &w->act, now_us);
    work(a, from, w, now_us);
}

static void on_promised(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    struct act_run *r = run_of(a, &w->act);

    if (!r || r->state != RUN_PROMISING) return;
    if (w->code == CTL_OK) {
        r->promised |= bit_of(a, from);
        decide(a, r, now_us);
    } else if (w->code == CTL_CHANGED) {
        propose(a, r, w->held.term, now_us);
    }
}

static void on_do(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    release(a, &w->act);
    work(a, from, w, now_us);
}

static void on_done(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    acts_waits_heard(a, from, w, now_us);
}

static void on_over(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    (void)from;
    (void)now_us;
    release(a, &w->act);
}

/* Of a node that thinks that this one records the stream: if it is not so, he hears it, and asks again. */
static void on_ask(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    struct act_run *r = NULL;

    LIST_EACH(&a->runs, link)
    if (LIST_ITEM(link, struct act_run, link)->act.id == w->act.id) return;
    if (acts_room(a)) r = run_new(a, &w->act, now_us);
    if (!r) {
        struct act_word no = {.kind = ACT_ANSWER, .act = w->act, .ref = w->ref, .code = CTL_BUSY};

        snprintf(no.text, sizeof(no.text), "too many acts at once: ask again");
        a->ops->tell(a->arg, from, &no);
        return;
    }
    r->from = from;
    r->ref = w->ref;
    if (a->ops->holder(a->arg, w->act.uid) == a->self)
        try_run(a, r, now_us);
    else
        fail(a, r, CTL_BUSY, now_us, "not done: the stream moves between nodes: ask again");
}

static void on_answer(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->state != RUN_AWAY || r->ref != w->ref || r->only != from) continue;
        finish(a, r, w->code, w->text, w->rows, now_us);
        return;
    }
}

void acts_heard(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us)
{
    static void (*const on[ACT_WORDS])(
        struct acts * a, uint16_t from, const struct act_word *w, usec_t now_us) = {[ACT_ASK] = on_ask,
        [ACT_ANSWER] = on_answer,
        [ACT_PROMISE] = on_promise,
        [ACT_PROMISED] = on_promised,
        [ACT_DO] = on_do,
        [ACT_DONE] = on_done,
        [ACT_OVER] = on_over};

    bool by_stamp = w->kind == ACT_PROMISE || w->kind == ACT_DO || w->kind == ACT_OVER;

    /* nobody stamps for another one */
    if (bit_of(a, from) && on[w->kind] && (!by_stamp || w->act.stamp.node == from))
        on[w->kind](a, from, w, now_us);
}

/* --- the keeper --- */

static void run_kept(struct acts *a, struct act_run *r, const struct act_kept *k, usec_t now_us)
{
    r->keep_ref = 0;
    if (r->state == RUN_RECOVERS) {
        if (k->code == CTL_OK)
            decided(a, r, k, now_us);
        else if (k->code == CTL_CHANGED)
            finish(a, r, k->code, "", SPAN_NONE, now_us);
    } else if (k->code == CTL_CHANGED) {
        a->older++;
        propose(a, r, k->held.term, now_us);
    } else if (r->state == RUN_PROMISING && k->code == CTL_OK) {
        r->promised |= bit_of(a, a->self);
        decide(a, r, now_us);
    } else if (r->state == RUN_DOING && (k->code == CTL_OK || k->code == CTL_FAILED)) {
        decided(a, r, k, now_us);
    } else {
        fail(a, r, k->code, now_us, "%s", k->text);
    }
}

static void work_kept(struct acts *a, struct act_work *x, const struct act_kept *k, usec_t now_us)
{
    list_remove(&x->link);
    a->n_works--;
    if (k->code == CTL_CHANGED) a->older++;
    say(a, x, k->code, &k->held, now_us);
    mem_free(x);
}

void acts_kept(struct acts *a, const struct act_kept *k, usec_t now_us)
{
    LIST_EACH(&a->works, link)
    {
        struct act_work *x = LIST_ITEM(link, struct act_work, link);

        if (x->ref != k->ref) continue;
        work_kept(a, x, k, now_us);
        return;
    }
    LIST_EACH(&a->runs, link)
    {
        struct act_run *r = LIST_ITEM(link, struct act_run, link);

        if (r->keep_ref != k->ref) continue;
        run_kept(a, r, k, now_us);
        return;
    }
}

/* --- time --- */

static void forget_grants(struct acts *a, usec_t now_us)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&a->grants, &at, &slot)) {
        const struct act_grant *g = slot.value;

        if (now_us < g->until_us) continue;
        mem_free(map_remove(&a->grants, span_of(slot.key)));
        at = 0;
    }
}

static void run_tick(struct acts *a, struct act_run *r, usec_t now_us)
{
    if (r->state == RUN_AWAY) {
        if (now_us >= r->over_us || !a->ops->there(a->arg, r->only))
            fail(a, r, CTL_BUSY, now_us,
                "node %u, which has the stream, does not answer: it may have been done, look before asking "
                "again",
                r->only);
    } else if (r->state == RUN_RECOVERS) {
        if (now_us >= r->over_us)
            finish(a, r, CTL_FAILED, "", SPAN_NONE, now_us);
        else if (now_us >= r->retry_us)
            recover(a, r, now_us);
    } else if (r->state == RUN_WAITS) {
        if (now_us >= r->retry_us) try_run(a, r, now_us);
    } else if (r->state == RUN_PROMISING && (now_us >= r->until_us || now_us >= r->over_us)) {
        fail(a, r, CTL_BUSY, now_us, "not done: too few nodes have agreed in time: ask again");
    } else if (r->state == RUN_PROMISING && now_us >= r->retry_us && could_be(a, r, now_us)) {
        ask_promises(a, r, now_us);
    }
}

void acts_tick(struct acts *a, usec_t now_us)
{
    forget_grants(a, now_us);
    LIST_EACH(&a->runs, link) run_tick(a, LIST_ITEM(link, struct act_run, link), now_us);
    acts_waits_tick(a, now_us);
}
