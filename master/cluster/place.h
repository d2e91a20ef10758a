/* Whether this node records a stream: decided by each node for itself, out of what it has heard. Pure.
 *
 * The nodes of a stream stand in an order: primary-node first, then secondary-node. Recording goes before
 * tidiness: whoever hears nobody record a stream records it, and two that do not hear each other may both do.
 *
 *   starts: the first of the order, always; another one when none before it serves the stream and nobody has
 *           it ready, unless it is warming up, full, drained, or its number is there twice. One without room
 *           for it lets all others have a turn first.
 *   stops:  only when another one has had it ready (a stretch that plays is on its disk) for PLACE_BOTH_US
 *           and is before it in the order, there for long enough; or, drained, whoever that is.
 *   yields: where a camera refuses the one that is to have it because it allows no further session, the
 *           holder steps aside for PLACE_YIELD_US, and takes it back if nothing came of it.
 *
 * What a node has said holds while this node hears it. When only a third one does, somebody who hears it has
 * to vouch that the stream is served (HEARTBEAT_SEES_SHIFT): else it may have gone bad meanwhile.
 *
 * Tests: tests/unit/cluster/test_place.c, test_simulation.c. */
#ifndef CLUSTER_PLACE_H
#define CLUSTER_PLACE_H

#include "master/cluster/member.h"

#define PLACE_NODES_MAX 7                  /* HEARTBEAT_SEES_SHIFT leaves room for as many */
#define PLACE_GRACE_US  (3 * US_PER_S)     /* for a node that is there, to say something of the stream */
#define PLACE_TURN_US   (1500 * US_PER_MS) /* that a better backup has, before the next tries */
#define PLACE_YIELD_US  (8 * US_PER_S)
#define PLACE_BOTH_US                                                                                        \
    (2 * US_PER_S) /* both record: what the giver has not read yet may be lost with its worker */

/* What a node has said of the stream. */
struct place_said {
    usec_t at_us; /* 0: nothing since it started */
    uint8_t flags, age_100ms;
    uint16_t rate;
    uint32_t term;
};
struct place {
    size_t n, me;                                /* of nodes; the order. me == n: not one of them */
    const struct member *nodes[PLACE_NODES_MAX]; /* NULL: me, or a name that is nobody's */
    struct place_said said[PLACE_NODES_MAX];
    usec_t unserved_us; /* since when nobody serves it; 0: somebody does */
    usec_t both_us;     /* since when one that may have it has it ready; 0: none */
    usec_t yield_us;    /* until then it is left to another */
    unsigned yields;    /* that came to nothing */
};
/* Of this node, now. */
struct place_here {
    usec_t now_us;
    const struct member_times *times;
    bool runs, warming, draining, twice, full;
    bool tight; /* no storage can take it without deleting what is to stay */
};

enum place_why {
    PLACE_FIRST = 0, /* runs: first of the order */
    PLACE_TAKEN,     /* runs: nobody else does */
    PLACE_KEPT,      /* runs: nobody else is ready yet */
    PLACE_SERVED,    /* rests: another one has it */
    PLACE_FOREIGN,   /* rests: not of its nodes */
    PLACE_WARMING,
    PLACE_DRAINED,
    PLACE_TWICE,
    PLACE_FULL,
    PLACE_TIGHT, /* rests: others have room for it, as long as there are any */
    PLACE_TURN,  /* rests: a better one's turn */
    PLACE_YIELDS /* rests: the camera is left to another */
};
bool place_runs(enum place_why why);
const char *place_word(enum place_why why);
/* The place, from 1, of another node that this one hears itself and that has it ready; 0: none. */
unsigned place_seen(const struct place *p);
/* Another node has it, as far as is known: it has a session with the camera. */
bool place_had(const struct place *p);
/* *ret_by: who serves it instead, an index of the order; p->n: nobody, or nobody in particular. */
enum place_why place_decide(struct place *p, const struct place_here *h, size_t *ret_by);

#endif
