/* Another node, as this one sees it: who of those that claim its number is believed, and what state it is in.
 * Pure: datagrams that were opened, and time, in; states out.
 *
 * Each start of a node has a number of its own (boot). A boot is believed once it has answered a challenge
 * that was made for it now, so that what was recorded on the wire before proves nothing; then its counter has
 * to rise, within a window of 64. A boot that was followed by another one and proves itself again is not a
 * restart: two servers have this number, and neither is believed until one of them is silent.
 *
 *   undefined    nothing was heard of it since we started
 *   pending      heard, and not yet proven
 *   warming      it runs, and takes nothing over yet
 *   active       it runs
 *   unavailable  silent for half the tolerance, or longer while a third node hears it
 *   invalid      two servers have its number
 *   down         nobody has heard it for the tolerance, or it said that it ends
 *
 * Tests: tests/unit/cluster/test_member.c. */
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include "master/cluster/heartbeat.h"

#define MEMBER_PATHS_MAX 4
#define MEMBER_BOOTS     4               /* that were followed by another, and are remembered */
#define MEMBER_TWICE_US  (10 * US_PER_S) /* so long after it was last seen twice */
#define MEMBER_FLAPS_MAX 6               /* doublings of the wait at most */
#define MEMBER_CALM      10              /* waits without a flap, and they are forgotten */

enum node_state {
    NODE_UNDEFINED = 0,
    NODE_PENDING,
    NODE_WARMING,
    NODE_ACTIVE,
    NODE_UNAVAILABLE,
    NODE_INVALID,
    NODE_DOWN,
    NODE_STATES
};
const char *node_state_word(enum node_state s);

enum member_verdict {
    MEMBER_BELIEVED = 0,
    MEMBER_UNPROVEN, /* send it a challenge */
    MEMBER_REPLAYED, /* came before, or is older than the window */
    MEMBER_DOUBLE    /* proven, and another server of this number is too */
};

struct member_boot {
    uint64_t boot, top; /* the highest counter */
};
struct member_times {
    usec_t tolerance_us,
        return_us; /* how long it has to be there before it gets its streams back, at least */
};
struct member {
    uint16_t id;
    enum node_state state;
    usec_t since_us; /* of the state; all times are CLOCK_MONOTONIC */
    struct member_boot now;
    uint64_t window; /* bit i: now.top - i came */
    struct member_boot left[MEMBER_BOOTS];
    size_t n_left;                    /* so far; the newest are kept */
    usec_t heard_us;                  /* 0: never */
    usec_t relayed_us;                /* when somebody else heard it, as far as we were told */
    usec_t knocked_us;                /* when something unproven came */
    usec_t twice_us;                  /* when it was seen twice, by whomever */
    usec_t here_us;                   /* it is there without a break since then */
    usec_t path_us[MEMBER_PATHS_MAX]; /* when each was heard */
    unsigned flaps;
    bool leaving, near;
    uint8_t flags; /* as it last said, and the others too */
    uint64_t term;
    uint16_t running;
    usec_t clock_ahead_us; /* of its wall clock, with the way here */
    usec_t up_us;          /* its uptime */
};

/* proven: h answers a challenge that was made for h->boot and for nobody else, lately. */
enum member_verdict member_hear(
    struct member *m, const struct heartbeat *h, bool proven, usec_t now_us, usec_t wall_us);
/* A third node has heard it so long ago, or sees two of them. */
void member_relayed(struct member *m, const struct heartbeat_peer *p, usec_t now_us);
/* Time in which this process did not run counts against nobody. */
void member_shift(struct member *m, usec_t by_us);
/* Follows the time. true: the state has changed. */
bool member_tick(struct member *m, const struct member_times *t, usec_t now_us);

/* It counts: what it says of its streams holds. */
bool member_counts(const struct member *m);
/* It was heard by this node itself, not only by another one. */
bool member_near(const struct member *m);
/* How long it has to be there before it gets its streams back: longer with each flap. */
usec_t member_return_us(const struct member *m, const struct member_times *t);

#endif
