#include "master/connector/udp_pair.h"
#include "common/base/fd.h"
#include "common/base/rng.h"

#include <errno.h>
#include <unistd.h>

#define PORT_LOW  16384
#define PORT_HIGH 60998
#define TRIES     128
#define RCVBUF    (4 << 20) /* a key frame's burst (cameras.md T16) */

static socklen_t with_port(const struct sockaddr_storage *from, uint16_t port, struct sockaddr_storage *ret)
{
    *ret = *from;
    if (from->ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)ret)->sin_port = htons(port);
        return sizeof(struct sockaddr_in);
    }
    ((struct sockaddr_in6 *)(void *)ret)->sin6_port = htons(port);
    return sizeof(struct sockaddr_in6);
}

static int bind_one(const struct sockaddr_storage *local, uint16_t port, int *ret_fd)
{
    struct sockaddr_storage addr;
    socklen_t n = with_port(local, port, &addr);
    int size = RCVBUF, on = 1, err, fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) return errno;
    if (bind(fd, (const struct sockaddr *)&addr, n) < 0) {
        err = errno;
        close(fd);
        return err;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    *ret_fd = fd;
    return 0;
}

int udp_pair_bind(const struct sockaddr_storage *local, const struct sockaddr_storage *peer,
    struct udp_pair *ret, uint16_t *ret_port)
{
    int err = EADDRINUSE;

    for (int i = 0; i < TRIES && err == EADDRINUSE; i++) {
        uint16_t port = (uint16_t)(PORT_LOW + rng_u32() % ((PORT_HIGH - PORT_LOW) / 2) * 2);
        int rtp = -1, rtcp = -1;

        err = bind_one(local, port, &rtp);
        if (err != 0) continue;
        err = bind_one(local, (uint16_t)(port + 1), &rtcp);
        if (err != 0) {
            close(rtp);
            continue;
        }
        ret->rtp = rtp;
        ret->rtcp = rtcp;
        ret->peer = *peer;
        *ret_port = port;
    }
    return err;
}

static int connect_one(int fd, const struct sockaddr_storage *peer, uint16_t port)
{
    struct sockaddr_storage addr;
    socklen_t n = with_port(peer, port, &addr);

    return connect(fd, (const struct sockaddr *)&addr, n) < 0 ? errno : 0;
}

int udp_pair_connect(const struct udp_pair *p, uint16_t rtp_port, uint16_t rtcp_port)
{
    int err = connect_one(p->rtp, &p->peer, rtp_port);

    return err == 0 ? connect_one(p->rtcp, &p->peer, rtcp_port) : err;
}

void udp_pair_close(struct udp_pair *p)
{
    fd_close(&p->rtp);
    fd_close(&p->rtcp);
    p->id = 0;
}
