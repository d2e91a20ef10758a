/* The workers' sockets: what each asks of the connector, and what it gets. A peer is known by its stream's
 * uid and stays until the master says so, so that a worker that dies and dies again is still held to its
 * stream's rate (cameras.md K10). Tests: tests/unit/connector/test_peers.c. */
#ifndef CONNECTOR_PEERS_H
#define CONNECTOR_PEERS_H

#include "common/ipc/channel.h"
#include "common/net/addr.h"

/* Dials: of one stream (redirects and UDP tried before TCP need a few at once), and of all streams. */
#define PEER_DIAL_EVERY_US  (500 * US_PER_MS)
#define PEER_DIAL_BURST     6
#define FLEET_DIAL_EVERY_US (5 * US_PER_MS)
#define FLEET_DIAL_BURST    100
#define PEER_GONE_US        (2 * US_PER_S) /* without a socket: another of the same worker comes with a reload */
#define PEER_PUSH_EVERY_US  (200 * US_PER_MS) /* connections that name one stream */
#define PEER_PUSH_BURST     20
#define PEER_PUSHED_MAX     32 /* of which UDP pairs can be asked for */
#define PEER_PAIRS_MAX      8 /* UDP pairs of one stream: one a track, old ones while a session is set up anew */

struct peers;
struct peers *peers_new(struct loop *l, const char *servers); /* of names; NULL: the machine's */
void peers_free(struct peers *p);
/* CONN_PEER: takes fd. A peer that was there gets the new socket and settings; the same start of its worker
 * keeps its UDP pairs, where the new lists allow their address. */
void peers_add(struct peers *p, const struct packed *body, int fd);
/* A connection whose first request names this stream, for its worker; fd stays the caller's. from: who is at
 * its other end, where that is not the socket's peer (there is no UDP with it then); NULL: he is. */
enum peer_push {
    PEER_PUSH_OK,      /* handed over */
    PEER_PUSH_UNKNOWN, /* no such stream, or its camera does not push */
    PEER_PUSH_AWAY,    /* its worker is not there now */
    PEER_PUSH_OFTEN    /* too many of them */
};
enum peer_push peers_push(struct peers *p, struct span uid, int fd, const struct addr *from);
/* CONN_PEER_GONE */
void peers_remove(struct peers *p, struct span uid);

#endif
