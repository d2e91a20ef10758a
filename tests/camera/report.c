/* RTCP (RFC 3550 section 6) and the sockets of UDP sessions. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/rd.h"
#include "common/base/rng.h"
#include "common/base/wr.h"
#include "tests/camera/play.h"

#define RTCP_SR     200
#define RTCP_RR     201
#define RTCP_SDES   202
#define RTCP_BYE    203
#define NTP_1970    2208988800u
#define PORT_TRIES  64
#define UDP_SNDBUF  (4 << 20)
#define LOCAL_OFF_S 10800 /* a camera that takes its local time for UTC */

static uint64_t ntp_of(usec_t wall_us)
{
    uint64_t s = (uint64_t)(wall_us / US_PER_S) + NTP_1970, fraction = (uint64_t)(wall_us % US_PER_S);

    return s << 32 | (fraction << 32) / US_PER_S;
}

/* T8: the wrong ones. */
static uint64_t ntp_by_knob(const struct stream *s, usec_t wall_us)
{
    switch (s->k.sr) {
    case SR_ZERO: return 0;
    case SR_1970: return ntp_of(clock_mono_us());
    case SR_2036:
        return ntp_of(wall_us) + ((uint64_t)(4294967296u - NTP_1970 - (uint64_t)(wall_us / US_PER_S)) << 32);
    case SR_LOCAL: return ntp_of(wall_us + LOCAL_OFF_S * US_PER_S);
    case SR_JUMPS: return ntp_of(wall_us + (rng_u32() % 100) * 60 * US_PER_S);
    default: return ntp_of(wall_us);
    }
}

void play_send_report(struct play *p, usec_t now_us)
{
    struct stream *s = p->conn->stream;
    uint8_t mem[128];
    struct wr w = wr_of(mem, sizeof mem);
    int64_t ticks = scale_i64(now_us - p->base_us, p->pack->source->clock_hz, 1000000) * s->k.fast;

    if (s->k.sr == SR_NONE) return;
    if (s->k.drift != 0) ticks += ticks * s->k.drift / 1000000;
    wr_u8(&w, 0x80);
    wr_u8(&w, RTCP_SR);
    wr_u16(&w, 6);
    wr_u32(&w, s->k.sr == SR_UNKNOWN_SSRC ? ~p->ssrc : p->ssrc);
    wr_u64(&w, ntp_by_knob(s, clock_wall_us() + s->k.sr_offset * US_PER_MS));
    wr_u32(&w, (uint32_t)(uint64_t)(p->ts0 + ticks));
    wr_u32(&w, p->packets);
    wr_u32(&w, p->octets);
    wr_u8(&w, 0x81);
    wr_u8(&w, RTCP_SDES);
    wr_u16(&w, 4);
    wr_u32(&w, p->ssrc);
    wr_u8(&w, 1);
    wr_u8(&w, 9);
    wr_text(&w, "ms-camera");
    wr_u8(&w, 0);
    wire_rtcp(p, wr_span(&w));
}

void play_send_bye(struct play *p)
{
    uint8_t mem[16];
    struct wr w = wr_of(mem, sizeof mem);

    wr_u8(&w, 0x80);
    wr_u8(&w, RTCP_RR);
    wr_u16(&w, 1);
    wr_u32(&w, p->ssrc);
    wr_u8(&w, 0x81);
    wr_u8(&w, RTCP_BYE);
    wr_u16(&w, 1);
    wr_u32(&w, p->ssrc);
    wire_rtcp(p, wr_span(&w));
}

void play_rtcp(struct play *p, struct span packet)
{
    struct stream *s = p->conn->stream;
    bool any = false;

    for (struct rd r = rd_of(packet); rd_left(&r) >= 4;) {
        uint8_t first = rd_u8(&r), type = rd_u8(&r);
        rd_skip(&r, rd_u16(&r) * 4u);
        if (!rd_ok(&r) || first >> 6 != 2) break;
        any = true;
        if (type == RTCP_RR) s->c.rtcp_rr++;
    }
    if (!any) {
        s->c.rtcp_bad++;
        return;
    }
    if (s->k.alive == ALIVE_ANY || s->k.alive == ALIVE_RTCP) p->conn->alive_us = server_now_us();
}

static void on_udp(struct play *p, struct watch *w)
{
    uint8_t mem[2048];
    ssize_t n;

    while ((n = recv(w->fd, mem, sizeof mem, MSG_DONTWAIT)) > 0)
        if (w == &p->rtcp) play_rtcp(p, span(mem, (size_t)n)); /* on the RTP socket: hole punching */
}

static void on_rtp(struct watch *w, unsigned events)
{
    (void)events;
    on_udp(CONTAINER(w, struct play, rtp), w);
}

static void on_rtcp(struct watch *w, unsigned events)
{
    (void)events;
    on_udp(CONTAINER(w, struct play, rtcp), w);
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
    struct sockaddr_storage s = *a;

    return ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&s)->sin6_port
                                         : ((struct sockaddr_in *)(void *)&s)->sin_port);
}

static int udp_on(struct sockaddr_storage local, uint16_t port)
{
    int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = UDP_SNDBUF;

    set_port(&local, port);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&local, sizeof local) < 0) fd_close(&fd);
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return fd;
}

static int connect_to(int fd, struct sockaddr_storage peer, uint16_t port)
{
    set_port(&peer, port);
    return connect(fd, (struct sockaddr *)&peer, sizeof peer);
}

uint16_t play_bind_udp(struct play *p, uint16_t client_rtp, uint16_t client_rtcp)
{
    struct sockaddr_storage local, bound;
    socklen_t n = sizeof local;

    if (getsockname(p->conn->w.fd, (struct sockaddr *)&local, &n) < 0) return 0;
    for (int i = 0; i < PORT_TRIES; i++) {
        CLEANUP(fd_close) int rtp = udp_on(local, 0);
        n = sizeof bound;
        if (rtp < 0 || getsockname(rtp, (struct sockaddr *)&bound, &n) < 0) return 0;
        uint16_t port = port_of(&bound);
        CLEANUP(fd_close) int rtcp = port % 2 == 0 ? udp_on(local, (uint16_t)(port + 1)) : -1;
        if (rtcp < 0) continue;
        if (connect_to(rtp, p->conn->peer, client_rtp) < 0 ||
            connect_to(rtcp, p->conn->peer, client_rtcp) < 0)
            return 0;
        watch_start(&p->rtp, rtp, EPOLLIN, on_rtp);
        watch_start(&p->rtcp, rtcp, EPOLLIN, on_rtcp);
        rtp = rtcp = -1;
        return port;
    }
    return 0;
}
