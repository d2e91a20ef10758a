/* A track to a viewer over UDP (RFC 2326 10.4, RFC 3550): a pair of sockets tied to the viewer's ports,
 * packets out of shared chunks, and what comes back. Frames are sent a few packets at a time, so that what a
 * viewer begins with, or a large picture, does not overrun its socket. Nothing goes anywhere but to the
 * address that the viewer's connection came from. Tests:
 * tests/unit/httpd/test_rtsp_udp.c, tests/e2e/test_rtsp.py. */
#ifndef HTTPD_RTSP_UDP_H
#define HTTPD_RTSP_UDP_H

#include <sys/socket.h>

#include "common/base/span.h"
#include "common/net/chunk.h"
#include "common/net/loop.h"

#define RTSP_UDP_TURN_PACKETS 16              /* at once ... */
#define RTSP_UDP_TURN_US      (4 * US_PER_MS) /* ... then no more for so long: 45 Mbit/s */
#define RTSP_UDP_QUEUE_MAX    (8u << 20)      /* bytes that wait; more is not taken */

struct rtsp_udp;
struct rtsp_udp_ops {
    void (*heard)(void *arg); /* RTCP came from there */
    void (*bye)(void *arg);   /* it wants no more */
    void *arg;
};
/* local, peer: of the viewer's connection; client_port: its RTP and RTCP. NULL: no pair of ports is free. */
struct rtsp_udp *rtsp_udp_new(struct loop *l, const struct sockaddr_storage *local,
    const struct sockaddr_storage *peer, const uint16_t client_port[2], const struct rtsp_udp_ops *ops);
void rtsp_udp_free(struct rtsp_udp *u); /* NULL too */
void rtsp_udp_ports(const struct rtsp_udp *u, uint16_t ret[2]);

/* Interleaved packets as pay.h writes them; the chunk is referenced. false: too much waits. */
bool rtsp_udp_send(struct rtsp_udp *u, struct chunk *c);
size_t rtsp_udp_queued(const struct rtsp_udp *u);
void rtsp_udp_drop(struct rtsp_udp *u); /* what waits is not sent */
void rtsp_udp_report(struct rtsp_udp *u, struct span compound);
uint64_t rtsp_udp_bytes(const struct rtsp_udp *u); /* sent */

#endif
