/* Messages between the masters of two nodes, by way of their couriers: small, in no order, each taken once by
 * the other master or not at all. Who they come from has been proven (courier/wire.h); what is in them is
 * checked by whoever reads it. */
#ifndef CLUSTER_NET_H
#define CLUSTER_NET_H

#include "common/base/span.h"

struct master;
struct packed;

/* What a message is about: a row a kind in net.c. */
enum net_kind {
    NET_KIND_ACT = 1,
    NET_KIND_FILES = 2,
    NET_KIND_MOVE = 3,
    NET_KIND_REVOKED = 4,
    NET_KIND_EVENT = 5
};

/* fn: once, from the loop. err 0: the other master has it; -ETIMEDOUT: it may have it or not; -EHOSTUNREACH
 * and others: it has it not. body at most NET_BODY_MAX bytes. */
typedef void net_sent_fn(struct master *m, void *arg, int err);
void net_send(
    struct master *m, uint16_t node, enum net_kind kind, struct span body, net_sent_fn *fn, void *arg);

void net_on_sent(struct master *m, const struct packed *body);
void net_on_got(struct master *m, const struct packed *body);
void net_courier_gone(struct master *m); /* what was on its way may have come or not */
void net_done(struct master *m);

#endif
