/* An even UDP port and the odd one above it (RTP and RTCP, RFC 3550 11), bound where a TCP connection was, so
 * that the worker needs neither bind nor connect. */
#ifndef CONNECTOR_UDP_PAIR_H
#define CONNECTOR_UDP_PAIR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/types.h"

struct udp_pair {
    uint64_t id;
    int rtp, rtcp;                /* our copies; -1: free slot */
    struct sockaddr_storage peer; /* towards whom; its port is not used */
};

/* 0 or a positive errno. local: the address to bind to, its port is not used. */
int udp_pair_bind(const struct sockaddr_storage *local, const struct sockaddr_storage *peer,
    struct udp_pair *ret, uint16_t *ret_port);
/* Both ends towards the camera's ports. 0 or a positive errno. */
int udp_pair_connect(const struct udp_pair *p, uint16_t rtp_port, uint16_t rtcp_port);
void udp_pair_close(struct udp_pair *p);

#endif
