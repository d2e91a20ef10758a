#include "worker/rec_policy.h"

#define ORDER  0
#define OBEYED (UINT64_C(1) << 63) /* with its beginning: an order that was replaced */

static struct rec_window *find(struct rec_policy *p, uint64_t id)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->w[i].id == id) return &p->w[i];
    return NULL;
}

static void drop(struct rec_policy *p, struct rec_window *w)
{
    *w = p->w[--p->n];
}

/* From the end of the earlier one to the beginning of the later one; 0: they touch. */
static usec_t apart(const struct rec_window *a, const struct rec_window *b)
{
    return MAX(MAX(a->from_us, b->from_us) - MIN(a->to_us, b->to_us), 0);
}

static void join_nearest(struct rec_policy *p)
{
    struct rec_window *into = &p->w[0], *gone = &p->w[1];

    for (unsigned i = 0; i < p->n; i++)
        for (unsigned k = i + 1; k < p->n; k++)
            if (apart(&p->w[i], &p->w[k]) < apart(into, gone)) {
                into = &p->w[i];
                gone = &p->w[k];
            }
    into->from_us = MIN(into->from_us, gone->from_us);
    into->to_us = MAX(into->to_us, gone->to_us);
    drop(p, gone);
}

static void add(struct rec_policy *p, struct rec_window w, usec_t now_us)
{
    rec_policy_expire(p, now_us);
    if (p->n == REC_WINDOWS_MAX) join_nearest(p);
    p->w[p->n++] = w;
}

void rec_policy_event(struct rec_policy *p, uint64_t id, usec_t from_us, usec_t to_us, usec_t now_us)
{
    struct rec_window *w = find(p, id);

    if (w)
        *w = (struct rec_window){id, from_us, to_us};
    else if (to_us > from_us)
        add(p, (struct rec_window){id, from_us, to_us}, now_us);
}

void rec_policy_order(struct rec_policy *p, usec_t from_us, usec_t to_us, usec_t now_us)
{
    struct rec_window *w = find(p, ORDER);

    if (w && w->from_us == from_us) {
        w->to_us = to_us;
        return;
    }
    if (w && w->from_us < now_us) {
        w->id = OBEYED | (uint64_t)w->from_us;
        w->to_us = MIN(w->to_us, now_us);
    } else if (w) {
        drop(p, w);
    }
    if (to_us > from_us) add(p, (struct rec_window){ORDER, from_us, to_us}, now_us);
}

void rec_policy_expire(struct rec_policy *p, usec_t now_us)
{
    for (unsigned i = p->n; i-- > 0;)
        if (p->w[i].to_us <= now_us - REC_PAST_US) drop(p, &p->w[i]);
}

bool rec_policy_stretch(const struct rec_policy *p, usec_t at_us, usec_t *ret_from_us, usec_t *ret_to_us)
{
    usec_t from_us = INT64_MAX, to_us;
    bool grew = true;

    for (unsigned i = 0; i < p->n; i++)
        if (p->w[i].to_us > at_us && p->w[i].to_us > p->w[i].from_us) from_us = MIN(from_us, p->w[i].from_us);
    if (from_us == INT64_MAX) return false;
    to_us = from_us;
    while (grew) {
        grew = false;
        for (unsigned i = 0; i < p->n; i++) {
            if (p->w[i].from_us > to_us || p->w[i].to_us <= to_us) continue;
            to_us = p->w[i].to_us;
            grew = true;
        }
    }
    *ret_from_us = from_us;
    *ret_to_us = to_us;
    return true;
}

bool rec_policy_wants(const struct rec_policy *p, usec_t at_us)
{
    usec_t from_us, to_us;

    return p->all || (rec_policy_stretch(p, at_us, &from_us, &to_us) && from_us <= at_us);
}
