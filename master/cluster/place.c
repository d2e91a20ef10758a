#include "master/cluster/place.h"

static const struct {
    bool runs;
    const char *word;
} whys[] = {
    [PLACE_FIRST] = {true, "first of its nodes"},
    [PLACE_TAKEN] = {true, "taken over"},
    [PLACE_KEPT] = {true, "kept until another has it"},
    [PLACE_SERVED] = {false, "stands by"},
    [PLACE_FOREIGN] = {false, "not of its nodes"},
    [PLACE_WARMING] = {false, "warming up"},
    [PLACE_DRAINED] = {false, "drained"},
    [PLACE_TWICE] = {false, "this node's number is there twice"},
    [PLACE_FULL] = {false, "full, or no storage in order"},
    [PLACE_TIGHT] = {false, "left to others: no storage can take it without deleting what is to stay"},
    [PLACE_TURN] = {false, "another backup's turn"},
    [PLACE_YIELDS] = {false, "left to another, the camera allows no further session"},
};

bool place_runs(enum place_why why)
{
    return whys[why].runs;
}

const char *place_word(enum place_why why)
{
    return whys[why].word;
}

static const struct member *node(const struct place *p, size_t i)
{
    return i != p->me && p->nodes[i] && member_counts(p->nodes[i]) ? p->nodes[i] : NULL;
}

static bool gives_away(const struct member *m)
{
    return (m->flags & HEARTBEAT_DRAINING) != 0;
}

static bool says(const struct place *p, size_t i, uint8_t flags)
{
    return p->said[i].at_us > 0 && (p->said[i].flags & flags) == flags;
}

/* What node i has said still holds: it is heard here, or by one who is and who sees that it has the stream.
 */
static bool holds(const struct place *p, size_t i)
{
    if (member_near(p->nodes[i])) return true;
    for (size_t k = 0; k < p->n; k++) {
        const struct member *by = node(p, k);

        if (by && k != i && member_near(by) && p->said[k].at_us > 0 &&
            p->said[k].flags >> HEARTBEAT_SEES_SHIFT == i + 1)
            return true;
    }
    return false;
}

/* It will, or soon: not worth beginning beside it. */
static bool serves(const struct place *p, size_t i, usec_t now_us)
{
    const struct member *m = node(p, i);

    if (!m || gives_away(m) || !holds(p, i)) return false;
    if (p->said[i].at_us == 0) return now_us - m->here_us < PLACE_GRACE_US;
    return says(p, i, HEARTBEAT_RUNS | HEARTBEAT_GOOD) || says(p, i, HEARTBEAT_RUNS | HEARTBEAT_STARTING);
}

static bool ready(const struct place *p, size_t i)
{
    const struct member *m = node(p, i);

    return m && !gives_away(m) && holds(p, i) &&
        says(p, i, HEARTBEAT_RUNS | HEARTBEAT_GOOD | HEARTBEAT_READY);
}

unsigned place_seen(const struct place *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (ready(p, i) && member_near(p->nodes[i])) return (unsigned)i + 1;
    return 0;
}

bool place_had(const struct place *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (node(p, i) && says(p, i, HEARTBEAT_RUNS | HEARTBEAT_GOOD)) return true;
    return false;
}

/* It may have the stream from us. */
static bool may_have(const struct place *p, const struct place_here *h, size_t i)
{
    const struct member *m = node(p, i);

    if (!m || gives_away(m)) return false;
    return h->draining || (i < p->me && h->now_us - m->here_us >= member_return_us(m, h->times));
}

/* --- it runs here --- */

/* The first of those that may have it and have it ready; p->n: none. */
static size_t made(const struct place *p, const struct place_here *h)
{
    for (size_t i = 0; i < p->n; i++)
        if (ready(p, i) && may_have(p, h, i)) return i;
    return p->n;
}

static enum place_why while_running(struct place *p, const struct place_here *h, size_t *ret_by)
{
    size_t to = made(p, h);

    if (to == p->n)
        p->both_us = 0;
    else if (p->both_us == 0)
        p->both_us = h->now_us;
    if (p->both_us > 0 && h->now_us - p->both_us >= PLACE_BOTH_US) {
        *ret_by = to;
        p->both_us = 0;
        p->yields = 0;
        return h->draining ? PLACE_DRAINED : PLACE_SERVED;
    }
    for (size_t i = 0; i < p->n; i++) {
        if (!says(p, i, HEARTBEAT_RUNS | HEARTBEAT_REFUSED) || !may_have(p, h, i)) continue;
        /* each time that nothing came of it is followed by a longer wait */
        if (p->yield_us > 0 && h->now_us - p->yield_us < PLACE_YIELD_US << MIN(p->yields, 6u)) continue;
        *ret_by = i;
        p->yields++;
        p->yield_us = h->now_us + PLACE_YIELD_US;
        return PLACE_YIELDS;
    }
    return p->me == 0 ? PLACE_FIRST : PLACE_KEPT;
}

/* --- it does not --- */

static bool is_served(const struct place *p, const struct place_here *h, size_t *ret_by)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!ready(p, i) && !((i < p->me || h->draining) && serves(p, i, h->now_us))) continue;
        *ret_by = i;
        return true;
    }
    return false;
}

/* Those before us that could take it each have a turn; a drained node is behind all others, and one that
 * would have to delete what is to stay (and says so) behind all other backups, in their order. */
static usec_t turns_us(const struct place *p, const struct place_here *h)
{
    bool last = h->draining || h->tight;
    usec_t us = 0;

    for (size_t i = h->draining ? 0 : 1; i < (last ? p->n : p->me); i++) {
        const struct member *m = node(p, i);
        bool could = m && !(m->flags & (HEARTBEAT_DRAINING | HEARTBEAT_WARMING | HEARTBEAT_FULL));
        bool tight = could && (m->flags & HEARTBEAT_TIGHT);

        could = could && !says(p, i, HEARTBEAT_RUNS); /* who runs it has had a turn, and nothing came of it */
        if (!could || m->state == NODE_UNAVAILABLE || (tight && (!h->tight || i > p->me))) continue;
        us += h->tight && !tight ? 2 * PLACE_TURN_US : PLACE_TURN_US; /* it may be giving us a turn first */
    }
    return us;
}

static bool yields_on(const struct place *p, const struct place_here *h)
{
    bool tried = false;

    if (h->now_us >= p->yield_us) return false;
    for (size_t i = 0; i < p->n; i++) tried |= node(p, i) && may_have(p, h, i) && says(p, i, HEARTBEAT_RUNS);
    return tried;
}

static enum place_why while_resting(struct place *p, const struct place_here *h, size_t *ret_by)
{
    if (yields_on(p, h)) return PLACE_YIELDS;
    if (p->me == 0 && !h->draining) return PLACE_FIRST;
    if (is_served(p, h, ret_by)) {
        p->unserved_us = 0;
        return h->draining ? PLACE_DRAINED : PLACE_SERVED;
    }
    if (p->unserved_us == 0) p->unserved_us = h->now_us;
    if (h->warming) return PLACE_WARMING;
    if (h->twice) return PLACE_TWICE;
    if (h->full) return PLACE_FULL;
    if (h->now_us - p->unserved_us < turns_us(p, h))
        return h->draining ? PLACE_DRAINED : h->tight ? PLACE_TIGHT : PLACE_TURN;
    return PLACE_TAKEN;
}

enum place_why place_decide(struct place *p, const struct place_here *h, size_t *ret_by)
{
    *ret_by = p->n;
    if (p->me >= p->n) return PLACE_FOREIGN;
    return h->runs ? while_running(p, h, ret_by) : while_resting(p, h, ret_by);
}
