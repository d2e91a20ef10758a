/* Back-fill: what other nodes recorded of a stream of which this one is the first comes here too. In rounds,
 * a stream and a node at a time, what both have is compared; what is missing here is fetched, the newest
 * first, a segment at a time and not faster than cluster-fill-rate, into a file that the keeper opens, checks
 * and puts into the index (docs/decisions/031). After a death of either side a round finds what is still
 * missing; nothing is remembered but what is too short to be seen (struct fill_late). Tests:
 * tests/unit/courier/test_fill.c, tests/cluster/test_fill.py. */
#ifndef COURIER_FILL_H
#define COURIER_FILL_H

#include "common/base/map.h"
#include "common/ipc/channel.h"
#include "courier/fill_plan.h"
#include "courier/nodes.h"
#include "courier/shelves.h"

#define FILL_SOON_US    (5 * US_PER_S)    /* between two rounds of a stream of which something is missing, */
#define FILL_AT_ONCE_US US_PER_S          /* where this node itself was not ready: it has just started */
#define FILL_SELDOM_US  (30 * US_PER_S)   /* and of one of which nothing is */
#define FILL_WANTS_MAX  10000             /* segments that are known to be missing; more are found later */
#define FILL_GAPS_MAX   256               /* of a round */
#define FILL_UNDER_WAY  4                 /* files that the keeper has not put into the index yet */
#define FILL_AGAIN_US   (600 * US_PER_S)  /* before what was refused, or was broken, is tried again */
#define FILL_LATE_US    (3600 * US_PER_S) /* what was still written is looked for since it was seen last */
#define FILL_HOLDS_MAX  1000              /* of COURIER_HOLD */
#define FILL_EVENTS_US                                                                                       \
    (200 * US_PER_MS) /* between two pages of events: no more than the keeper's disks take */

struct fill_counts { /* of a node */
    uint64_t filled, filled_bytes, failed;
    uint64_t left, left_bytes; /* as last counted */
    usec_t began_us;           /* wall clock: the first file since the node was there */
};
struct fill;
struct fill *fill_new(struct loop *l, struct nodes *nodes, struct shelves *shelves);
void fill_rate(struct fill *f, uint64_t bytes_s);            /* 0: no limit */
void fill_stream(struct fill *f, const struct packed *body); /* COURIER_STREAM */
/* COURIER_HOLD: of these times nothing is fetched from these nodes; what is on its way is given up. */
void fill_hold(struct fill *f, const struct packed *body);
void fill_stream_gone(struct fill *f, const struct packed *body);
void fill_keeper(struct fill *f, struct channel *keeper); /* another one; NULL: it does not run */
int fill_message(struct fill *f, struct incoming *in);    /* of the keeper */
void fill_there(struct fill *f, struct peer *p);
void fill_gone(struct fill *f, struct peer *p);
/* KNOWN of another node. 0, or a positive errno. */
int fill_known(struct fill *f, const struct peer *p, const struct packed *body);
const struct fill_counts *fill_counts(struct fill *f, struct peer *p);
/* What is left of each stream, where that is another number than was told last. */
void fill_tell_left(
    struct fill *f, void (*tell)(void *arg, const char *uid, uint64_t left, uint64_t bytes), void *arg);
void fill_free(struct fill *f); /* NULL too */

#endif
