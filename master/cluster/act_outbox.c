/* What other nodes have still to do: each act for each of them, until it says that it is done. */
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "master/cluster/act.h"

#include <string.h>

bool acts_room(const struct acts *a)
{
    return a->n_waits + a->n_nodes <= ACT_WAITS_MAX;
}

static struct act_wait *find(const struct acts *a, uint64_t id, uint16_t node)
{
    LIST_EACH(&a->waits, link)
    {
        struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        if (w->act.id == id && w->node == node) return w;
    }
    return NULL;
}

/* In order: nothing of a stream goes to a node before what was decided earlier is done there. */
static bool is_next(const struct acts *a, const struct act_wait *w)
{
    LIST_EACH(&a->waits, link)
    {
        const struct act_wait *before = LIST_ITEM(link, struct act_wait, link);

        if (before == w) break;
        if (before->node == w->node && strcmp(before->act.uid, w->act.uid) == 0) return false;
    }
    return true;
}

static void tell(struct acts *a, struct act_wait *w, usec_t now_us)
{
    struct act_word word = {.kind = ACT_DO, .act = w->act};

    w->again_us = now_us + ACT_AGAIN_US;
    if (w->node == a->self) /* what failed here is tried again here */
        acts_heard(a, a->self, &word, now_us);
    else
        a->ops->tell(a->arg, w->node, &word);
}

void acts_wait(struct acts *a, const struct act *act, uint16_t node, usec_t now_us)
{
    struct act_wait *w = find(a, act->id, node);

    if (!w) {
        w = NEW(struct act_wait);
        w->node = node;
        list_push(&a->waits, &w->link);
        a->n_waits++;
    }
    w->act = *act;
    w->stale = false;
    w->code = CTL_OK;
    w->again_us = node == a->self ? now_us + ACT_LATER_US : now_us;
    a->ops->changed(a->arg);
    acts_waits_tick(a, now_us);
}

static void drop(struct acts *a, struct act_wait *w)
{
    list_remove(&w->link);
    mem_free(w);
    a->n_waits--;
    a->ops->changed(a->arg);
}

size_t acts_waits_nodes(struct acts *a)
{
    size_t gone = 0;

    LIST_EACH(&a->waits, link)
    {
        struct act_wait *w = LIST_ITEM(link, struct act_wait, link);
        size_t i = 0;

        while (i < a->n_nodes && a->nodes[i] != w->node) i++;
        if (i < a->n_nodes) continue;
        drop(a, w);
        gone++;
    }
    return gone;
}

/* What cannot be done there at all is not asked again: the lock is not there any more, or it is none of ours.
 */
void acts_waits_heard(struct acts *a, uint16_t from, const struct act_word *done, usec_t now_us)
{
    struct act_wait *w = find(a, done->act.id, from);

    if (!w || stamp_cmp(&w->act.stamp, &done->act.stamp) != 0) return;
    if (done->code == CTL_OK || done->code == CTL_NOT_FOUND || done->code == CTL_USAGE) {
        drop(a, w);
        acts_waits_tick(a, now_us);
        return;
    }
    w->code = done->code;
    w->stale = done->code == CTL_CHANGED;
    w->again_us = w->stale ? now_us : now_us + ACT_LATER_US;
}

void acts_waits_tick(struct acts *a, usec_t now_us)
{
    LIST_EACH(&a->waits, link)
    {
        struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        if (now_us < w->again_us || !a->ops->there(a->arg, w->node) || !is_next(a, w)) continue;
        if (!w->stale)
            tell(a, w, now_us);
        else if (acts_renew(a, &w->act, w->node, now_us))
            w->again_us = now_us + ACT_LEASE_US + ACT_AGAIN_US;
    }
}

size_t acts_waiting(const struct acts *a, uint16_t node)
{
    size_t n = 0;

    LIST_EACH(&a->waits, link) n += LIST_ITEM(link, struct act_wait, link)->node == node;
    return n;
}

size_t acts_deletes(const struct acts *a, uint16_t node)
{
    size_t n = 0;

    LIST_EACH(&a->waits, link)
    {
        const struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        n += w->node == node && w->act.kind == ACT_DELETE;
    }
    return n;
}

void acts_each_delete(const struct acts *a, void (*fn)(void *arg, const struct act_wait *w), void *arg)
{
    LIST_EACH(&a->waits, link)
    {
        const struct act_wait *w = LIST_ITEM(link, struct act_wait, link);

        if (w->act.kind == ACT_DELETE) fn(arg, w);
    }
}
