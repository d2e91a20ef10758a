/* The master's side of ms-courier, the process that speaks with other nodes over TLS (courier/): its
 * settings, which streams it fills, the sockets between it and httpd and the keeper, and what it says of
 * itself. It runs in a cluster only; without one these do nothing. The key of the channel is made from
 * cluster-key here, so that the courier can seal no heartbeat. */
#ifndef CLUSTER_COURIER_H
#define CLUSTER_COURIER_H

#include "common/base/types.h"
#include "master/services.h"

struct cluster;
struct master;
struct packed;
struct stream;

/* What the courier last said of a node. */
struct courier_seen {
    bool there;
    usec_t since_us; /* wall clock; 0: nothing was said */
    char why[64];    /* it is not */
    uint64_t in, out, left, left_bytes, filled, filled_bytes, failed;
};

int courier_open(struct cluster *c);    /* binds the listener. 0 or -errno */
void courier_listen(struct cluster *c); /* tells the courier, if both are there */
void courier_close(struct cluster *c);
void courier_begin(struct master *m);                     /* it has shaken hands */
void courier_meets(struct master *m, enum service_id id); /* keeper or httpd, if both run */
void courier_conf(struct master *m);                      /* nodes, their addresses, keys */
void courier_streams(struct master *m);                   /* their places */
void courier_stream_gone(const struct stream *s);
/* Deletes that wait for other nodes: at once, whenever they are others than were told; always: in any case.
 */
void courier_hold(struct master *m, bool always);
void courier_on_state(struct master *m, const struct packed *body);
void courier_on_left(struct master *m, const struct packed *body);

#endif
