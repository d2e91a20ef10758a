#include "master/cluster/member.h"
#include "common/base/err.h"

#define WINDOW 64

const char *node_state_word(enum node_state s)
{
    static const char *const words[NODE_STATES] = {
        "undefined", "pending", "warming", "active", "unavailable", "invalid", "down"};

    return (unsigned)s < NODE_STATES ? words[s] : "?";
}

/* --- what is believed --- */

/* The counter is new, and noted. */
static bool window_take(struct member *m, uint64_t counter)
{
    uint64_t back;

    if (counter > m->now.top) {
        uint64_t by = counter - m->now.top;

        m->window = by < WINDOW ? m->window << by : 0;
        m->window |= 1;
        m->now.top = counter;
        return true;
    }
    back = m->now.top - counter;
    if (back >= WINDOW || (m->window >> back & 1)) return false;
    m->window |= UINT64_C(1) << back;
    return true;
}

static struct member_boot *left_of(struct member *m, uint64_t boot)
{
    for (size_t i = 0; i < MIN(m->n_left, MEMBER_BOOTS); i++)
        if (m->left[i].boot == boot) return &m->left[i];
    return NULL;
}

static void begin(struct member *m, const struct heartbeat *h, usec_t now_us)
{
    if (m->now.boot != 0) {
        m->left[m->n_left++ % MEMBER_BOOTS] = m->now;
        if (member_counts(m)) m->flaps++; /* it was away, and nobody had noticed yet */
    }
    m->now = (struct member_boot){h->boot, h->counter};
    m->window = 1;
    m->here_us = now_us;
    m->leaving = false;
}

static void note(struct member *m, const struct heartbeat *h, usec_t now_us, usec_t wall_us)
{
    m->heard_us = now_us;
    if (h->path < MEMBER_PATHS_MAX) m->path_us[h->path] = now_us;
    m->flags = h->flags;
    m->leaving |= (h->flags & HEARTBEAT_LEAVING) != 0;
    m->term = h->term;
    m->running = h->running;
    m->up_us = h->uptime_s * US_PER_S;
    m->clock_ahead_us = CLAMP(h->wall_us, 0, INT64_MAX / 2) - wall_us;
}

enum member_verdict member_hear(
    struct member *m, const struct heartbeat *h, bool proven, usec_t now_us, usec_t wall_us)
{
    struct member_boot *left = left_of(m, h->boot);

    if (m->now.boot == h->boot) {
        if (!window_take(m, h->counter)) return MEMBER_REPLAYED;
        note(m, h, now_us, wall_us);
        return MEMBER_BELIEVED;
    }
    if (left && h->counter <= left->top) return MEMBER_REPLAYED;
    if (!proven) {
        m->knocked_us = now_us;
        return MEMBER_UNPROVEN;
    }
    if (left) {
        left->top = h->counter;
        m->twice_us = now_us;
        return MEMBER_DOUBLE;
    }
    begin(m, h, now_us);
    note(m, h, now_us, wall_us);
    return MEMBER_BELIEVED;
}

void member_relayed(struct member *m, const struct heartbeat_peer *p, usec_t now_us)
{
    if (p->flags & HEARTBEAT_TWICE) m->twice_us = now_us;
    if (p->age_10ms == HEARTBEAT_NEVER) return;
    m->relayed_us = MAX(m->relayed_us, now_us - p->age_10ms * (10 * US_PER_MS));
}

void member_shift(struct member *m, usec_t by_us)
{
    usec_t *const times[] = {&m->heard_us, &m->relayed_us, &m->knocked_us, &m->here_us};

    for (size_t i = 0; i < ARRAY_N(times); i++)
        if (*times[i] > 0) *times[i] += by_us;
    for (size_t i = 0; i < MEMBER_PATHS_MAX; i++)
        if (m->path_us[i] > 0) m->path_us[i] += by_us;
}

/* --- the state --- */

#define BIT(s) (1u << NODE_##s)
#define HERE   (BIT(WARMING) | BIT(ACTIVE) | BIT(UNAVAILABLE))

/* From a state to which others. */
static const unsigned moves[NODE_STATES] = {
    [NODE_UNDEFINED] = BIT(PENDING) | HERE | BIT(INVALID) | BIT(DOWN),
    [NODE_PENDING] = BIT(UNDEFINED) | HERE | BIT(INVALID) | BIT(DOWN),
    [NODE_WARMING] = HERE | BIT(INVALID) | BIT(DOWN) | BIT(PENDING),
    [NODE_ACTIVE] = HERE | BIT(INVALID) | BIT(DOWN) | BIT(PENDING),
    [NODE_UNAVAILABLE] = HERE | BIT(INVALID) | BIT(DOWN) | BIT(PENDING),
    [NODE_INVALID] = BIT(UNDEFINED) | BIT(PENDING) | HERE | BIT(DOWN),
    [NODE_DOWN] = BIT(PENDING) | HERE | BIT(INVALID),
};

static bool within(usec_t at_us, usec_t span_us, usec_t now_us)
{
    return at_us > 0 && now_us - at_us <= span_us;
}

static enum node_state state_of(const struct member *m, const struct member_times *t, usec_t now_us)
{
    bool knocks = within(m->knocked_us, t->tolerance_us, now_us);

    if (within(m->twice_us, MEMBER_TWICE_US, now_us)) return NODE_INVALID;
    if (m->now.boot == 0) return knocks ? NODE_PENDING : NODE_UNDEFINED;
    if (m->leaving) return knocks ? NODE_PENDING : NODE_DOWN;
    if (within(m->heard_us, t->tolerance_us / 2, now_us))
        return m->flags & HEARTBEAT_WARMING ? NODE_WARMING : NODE_ACTIVE;
    if (within(m->heard_us, t->tolerance_us, now_us) || within(m->relayed_us, t->tolerance_us, now_us))
        return NODE_UNAVAILABLE;
    return knocks ? NODE_PENDING : NODE_DOWN;
}

bool member_counts(const struct member *m)
{
    return (1u << m->state & HERE) != 0;
}

bool member_near(const struct member *m)
{
    return m->near && member_counts(m);
}

usec_t member_return_us(const struct member *m, const struct member_times *t)
{
    unsigned doublings = m->flaps > 0 ? MIN(m->flaps - 1, MEMBER_FLAPS_MAX) : 0;

    return t->return_us << doublings;
}

static void move(struct member *m, enum node_state to, usec_t now_us)
{
    bool was_here = member_counts(m);

    must(moves[m->state] & 1u << to);
    m->state = to;
    m->since_us = now_us;
    if (was_here && !member_counts(m)) m->flaps++;
    if (!was_here && member_counts(m)) m->here_us = now_us;
}

bool member_tick(struct member *m, const struct member_times *t, usec_t now_us)
{
    enum node_state is = state_of(m, t, now_us);

    m->near = within(m->heard_us, t->tolerance_us, now_us);
    if (m->flaps > 0 && member_counts(m) && now_us - m->here_us > MEMBER_CALM * member_return_us(m, t))
        m->flaps = 0;
    if (is == m->state) return false;
    move(m, is, now_us);
    return true;
}
