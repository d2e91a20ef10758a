#include "worker/camera_udp.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"

#include <errno.h>
#include <sys/socket.h>

#define BATCHES_MAX 64 /* a turn */
#define TRUESIZE    2  /* what a datagram takes of the kernel's buffer, as a multiple of its bytes */
#define BURST       4  /* a key frame comes at many times the mean rate */
#define PUNCH_PT    96

void camera_udp_batch_done(struct camera_udp_batch *b)
{
    mem_free(b->mem);
    *b = (struct camera_udp_batch){0};
}

/* Most of it is never touched, and so never there. */
static bool batch_ready(struct camera_udp_batch *b)
{
    if (!b->mem) b->mem = mem_retry(NULL, CAMERA_UDP_SLOTS * ((size_t)CAMERA_UDP_SLOT + CAMERA_UDP_MAX));
    return b->mem != NULL;
}

static uint8_t *slot_of(const struct camera_udp_batch *b, unsigned i)
{
    return b->mem + i * (size_t)CAMERA_UDP_SLOT;
}

/* As long as the longest datagram: its beginning is put before what overflowed. */
static uint8_t *tail_of(const struct camera_udp_batch *b, unsigned i)
{
    return b->mem + CAMERA_UDP_SLOTS * (size_t)CAMERA_UDP_SLOT + i * (size_t)CAMERA_UDP_MAX;
}

static struct span datagram(const struct camera_udp_batch *b, unsigned i, size_t n)
{
    if (n <= CAMERA_UDP_SLOT) return span(slot_of(b, i), n);
    memcpy(tail_of(b, i), slot_of(b, i), CAMERA_UDP_SLOT);
    return span(tail_of(b, i), n);
}

void camera_udp_open(struct camera_udp *u, int rtp_fd, int rtcp_fd, const struct sockaddr_storage *peer)
{
    int size = CAMERA_UDP_RCVBUF, on = 1;
    socklen_t n = sizeof(u->rcvbuf);

    *u = (struct camera_udp){.fd = {rtp_fd, rtcp_fd}, .peer = *peer};
    (void)setsockopt(rtp_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(rtp_fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    if (getsockopt(rtp_fd, SOL_SOCKET, SO_RCVBUF, &u->rcvbuf, &n) < 0) u->rcvbuf = 0;
}

void camera_udp_close(struct camera_udp *u)
{
    fd_close(&u->fd[0]);
    fd_close(&u->fd[1]);
    u->connected = false;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family) return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
            ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                   &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
    return false;
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

/* From the camera, and from the port that it used first? */
static bool ours(struct camera_udp *u, bool rtcp, const struct sockaddr_storage *from)
{
    if (u->connected) return true;
    if (!same_address(from, &u->peer)) return false;
    if (u->seen_port[rtcp] == 0) u->seen_port[rtcp] = port_of(from);
    return u->seen_port[rtcp] == port_of(from);
}

static void overflow_seen(struct camera_udp *u, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        uint32_t dropped;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL) continue;
        memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
        u->drops += dropped - u->dropped;
        u->dropped = dropped;
    }
}

/* One batch of one socket. Number of datagrams, or -errno. */
static int read_batch(struct camera_udp *u, bool rtcp, struct camera_udp_batch *b, camera_udp_fn *fn,
    void *arg, size_t *ret_bytes)
{
    struct mmsghdr msgs[CAMERA_UDP_SLOTS];
    struct iovec iov[CAMERA_UDP_SLOTS][2];
    struct sockaddr_storage from[CAMERA_UDP_SLOTS];
    char control[CMSG_SPACE(sizeof(uint32_t))];
    int n;

    for (unsigned i = 0; i < CAMERA_UDP_SLOTS; i++) {
        iov[i][0] = (struct iovec){slot_of(b, i), CAMERA_UDP_SLOT};
        iov[i][1] = (struct iovec){tail_of(b, i) + CAMERA_UDP_SLOT, CAMERA_UDP_MAX - CAMERA_UDP_SLOT};
        msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = iov[i], .msg_iovlen = 2}};
        from[i].ss_family = AF_UNSPEC;
        if (u->connected) continue;
        msgs[i].msg_hdr.msg_name = &from[i];
        msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
    }
    msgs[0].msg_hdr.msg_control = control;
    msgs[0].msg_hdr.msg_controllen = sizeof(control);
    n = recvmmsg(u->fd[rtcp], msgs, CAMERA_UDP_SLOTS, MSG_DONTWAIT, NULL);
    if (n < 0) return -errno;
    if (n > 0) overflow_seen(u, &msgs[0].msg_hdr);
    for (int i = 0; i < n; i++) {
        size_t len = msgs[i].msg_len;

        *ret_bytes += len;
        if (ours(u, rtcp, &from[i]))
            fn(arg, rtcp, datagram(b, (unsigned)i, len));
        else
            u->strangers++;
    }
    return n;
}

size_t camera_udp_drain(struct camera_udp *u, struct camera_udp_batch *b, camera_udp_fn *fn,
    void (*between)(void *arg), void *arg)
{
    size_t bytes = 0;

    if (!batch_ready(b)) return 0;
    for (int rtcp = 0; rtcp < 2; rtcp++) {
        for (int i = 0; i < BATCHES_MAX && u->fd[rtcp] >= 0; i++) {
            int n = read_batch(u, rtcp != 0, b, fn, arg, &bytes);

            between(arg);
            /* An ICMP error of a packet of ours is reported once here, and means nothing. */
            if (n == -ECONNREFUSED || n == -EHOSTUNREACH || n == -ENETUNREACH || n == -EINTR) continue;
            if (n < CAMERA_UDP_SLOTS) break;
        }
    }
    return bytes;
}

void camera_udp_send(struct camera_udp *u, bool rtcp, struct span packet)
{
    /* Lost packets are UDP's way of life. */
    if (u->connected && u->fd[rtcp] >= 0)
        (void)send(u->fd[rtcp], packet.p, packet.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void camera_udp_punch(struct camera_udp *u, uint32_t ssrc, usec_t now_us)
{
    struct rtp_packet p = {.pt = PUNCH_PT, .ssrc = ssrc};
    uint8_t rtp[RTP_HEADER_MIN], rtcp[16];
    struct wr w = wr_of(rtcp, sizeof(rtcp));

    if (!u->connected || now_us < u->punch_us) return;
    u->punch_us = now_us + CAMERA_UDP_PUNCH_US;
    rtp_write_header(rtp, &p);
    camera_udp_send(u, false, span(rtp, sizeof(rtp)));
    rtcp_write_rr(&w, ssrc, NULL, 0);
    camera_udp_send(u, true, wr_span(&w));
}

usec_t camera_udp_drain_us(const struct camera_udp *u, uint64_t bytes, usec_t in_us)
{
    uint64_t room = (uint64_t)MAX(u->rcvbuf, 0) / TRUESIZE / BURST;

    if (bytes == 0 || in_us <= 0) return CAMERA_UDP_DRAIN_MAX_US;
    return CLAMP((usec_t)(room * (uint64_t)in_us / bytes), CAMERA_UDP_DRAIN_MIN_US, CAMERA_UDP_DRAIN_MAX_US);
}
