/* A track's pair of UDP sockets, RTP and RTCP, read in batches into one buffer. Which packets count (T18):
 * those from the camera's address; the first one's port is latched, since it need not be the one announced.
 * Once connected, the kernel sees to it. ICMP errors are ignored. A datagram longer than a slot goes on in
 * the slot's tail and is joined there (T15): tails are memory only where one came. */
#ifndef WORKER_CAMERA_UDP_H
#define WORKER_CAMERA_UDP_H

#include <netinet/in.h>

#include "common/base/span.h"

#define CAMERA_UDP_SLOTS        48
#define CAMERA_UDP_SLOT         2048u     /* bytes; larger than what networks carry in one piece */
#define CAMERA_UDP_MAX          65536u    /* no datagram is longer */
#define CAMERA_UDP_RCVBUF       (4 << 20) /* T16: bursts at key frames */
#define CAMERA_UDP_DRAIN_MIN_US (10 * US_PER_MS)
#define CAMERA_UDP_DRAIN_MAX_US (250 * US_PER_MS)
#define CAMERA_UDP_PUNCH_US     (15 * US_PER_S) /* hole punches through NAT (T18) */

/* Slots for a batch and behind them their tails, shared by all pairs of a worker. */
struct camera_udp_batch {
    uint8_t *mem;
};
void camera_udp_batch_done(struct camera_udp_batch *b);

struct camera_udp {
    int fd[2]; /* RTP, RTCP; -1: none */
    bool connected;
    struct sockaddr_storage peer; /* the camera's address, port not counted */
    uint16_t seen_port[2];        /* where its packets come from, 0: nothing came yet */
    uint32_t dropped;             /* by the kernel, for want of room, as SO_RXQ_OVFL counts */
    uint64_t drops, strangers;
    usec_t punch_us; /* next punch */
    int rcvbuf;      /* bytes that the kernel gives */
};

/* Takes the descriptors. peer: of the camera's connection. */
void camera_udp_open(struct camera_udp *u, int rtp_fd, int rtcp_fd, const struct sockaddr_storage *peer);
void camera_udp_close(struct camera_udp *u);
typedef void camera_udp_fn(void *arg, bool rtcp, struct span packet);
/* Everything that waits, in batches; the packets live until fn's caller reads on, `between` is called before
 * that. Returns the bytes read. */
size_t camera_udp_drain(struct camera_udp *u, struct camera_udp_batch *b, camera_udp_fn *fn,
    void (*between)(void *arg), void *arg);
void camera_udp_send(struct camera_udp *u, bool rtcp, struct span packet); /* only when connected */
/* An empty RTP packet and an empty receiver report, when due. */
void camera_udp_punch(struct camera_udp *u, uint32_t ssrc, usec_t now_us);
/* How long the kernel can hold what comes when so much came in that time, with room for a burst. */
usec_t camera_udp_drain_us(const struct camera_udp *u, uint64_t bytes, usec_t in_us);

#endif
