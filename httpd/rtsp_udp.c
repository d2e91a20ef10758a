#include "httpd/rtsp_udp.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/rtcp.h"
#include "httpd/rtsp/pay.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#define PORT_FIRST  20000 /* below what the kernel gives to outgoing connections, mostly */
#define PORT_LAST   60000
#define PORT_TRIES  64
#define SEND_BUFFER (512 << 10)
#define READ_TURN   16 /* packets of RTCP, then the others have their turn */

struct waiting {
    struct chunk *c;
    size_t at; /* of the next packet */
};
struct rtsp_udp {
    struct loop *loop;
    struct rtsp_udp_ops ops;
    int fd[2]; /* RTP, RTCP */
    uint16_t port[2];
    struct loop_io io[2];
    struct loop_timer timer;
    struct waiting *q; /* from `first` on, n of them */
    size_t first, n, cap;
    size_t queued;
    unsigned burst; /* packets of this turn */
    usec_t next_us; /* of the next one */
    uint64_t bytes;
};

/* --- sockets --- */

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)sa)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
}

static int open_one(
    const struct sockaddr_storage *local, uint16_t port, const struct sockaddr_storage *peer, uint16_t to)
{
    struct sockaddr_storage from = *local, dst = *peer;
    socklen_t n = from.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(from.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = SEND_BUFFER;

    if (fd < 0) return -1;
    set_port(&from, port);
    set_port(&dst, to);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&from, n) == 0 && connect(fd, (struct sockaddr *)&dst, n) == 0) return fd;
    close(fd);
    return -1;
}

/* An even port and the next one (RFC 3550 11). */
static bool open_pair(struct rtsp_udp *u, const struct sockaddr_storage *local,
    const struct sockaddr_storage *peer, const uint16_t client_port[2])
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        u->port[0] = (uint16_t)(PORT_FIRST + 2 * (rng_u32() % ((PORT_LAST - PORT_FIRST) / 2)));
        u->port[1] = (uint16_t)(u->port[0] + 1);
        u->fd[0] = open_one(local, u->port[0], peer, client_port[0]);
        u->fd[1] = u->fd[0] < 0 ? -1 : open_one(local, u->port[1], peer, client_port[1]);
        if (u->fd[1] >= 0) return true;
        fd_close(&u->fd[0]);
    }
    return false;
}

/* --- what comes back --- */

static void take(struct rtsp_udp *u, struct span compound)
{
    struct rtcp_packet p;
    unsigned bad = 0;
    bool any = false, bye = false;

    while (rtcp_next(&compound, &p, &bad)) {
        any = true;
        bye = bye || p.type == RTCP_BYE;
    }
    if (any) u->ops.heard(u->ops.arg);
    if (bye) u->ops.bye(u->ops.arg);
}

/* Packets on the RTP socket open the way through a firewall, and say nothing. */
static void came(struct loop_io *io, unsigned events)
{
    struct rtsp_udp *u = io->arg;
    uint8_t *scratch = loop_scratch(u->loop);

    (void)events;
    for (unsigned i = 0; i < READ_TURN; i++) {
        ssize_t n = recv(io->fd, scratch, LOOP_SCRATCH, MSG_DONTWAIT);

        if (n < 0 && errno == ECONNREFUSED) continue; /* the error of a packet that was sent */
        if (n < 0) return;
        if (io == &u->io[1]) take(u, span(scratch, (size_t)n));
    }
}

/* --- sending --- */

static void pump(struct rtsp_udp *u);

static void again(struct loop_timer *t)
{
    pump(t->arg);
}

static void drop_first(struct rtsp_udp *u)
{
    struct waiting *w = &u->q[u->first];

    chunk_unref(w->c);
    u->first = (u->first + 1) % u->cap;
    u->n--;
}

void rtsp_udp_drop(struct rtsp_udp *u)
{
    while (u->n > 0) drop_first(u);
    u->queued = 0;
}

static unsigned gather(struct rtsp_udp *u, struct waiting *w, struct mmsghdr *msg, struct iovec *iov)
{
    struct span rest = span(w->c->data + w->at, w->c->n - w->at), packet;
    unsigned n = 0;

    while (n < RTSP_UDP_TURN_PACKETS && pay_next(&rest, &packet)) {
        iov[n] = (struct iovec){.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.n};
        msg[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[n], .msg_iovlen = 1}};
        w->at += PAY_FRAMING + packet.n;
        u->queued -= PAY_FRAMING + packet.n;
        u->bytes += packet.n;
        n++;
    }
    return n;
}

/* Packets of the first chunk. What the kernel does not take is lost, as it would be on the way. */
static void send_some(struct rtsp_udp *u)
{
    struct mmsghdr msg[RTSP_UDP_TURN_PACKETS];
    struct iovec iov[RTSP_UDP_TURN_PACKETS];
    struct waiting *w = &u->q[u->first];
    unsigned n = gather(u, w, msg, iov), done = 0;

    while (done < n) {
        int sent = sendmmsg(u->fd[0], msg + done, n - done, MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN) break;
        done += sent > 0 ? (unsigned)sent : 1; /* an error is that of one packet */
    }
    u->burst += n;
    if (w->at < w->c->n && n > 0) return;
    u->queued -= w->c->n - w->at;
    drop_first(u);
}

static void pump(struct rtsp_udp *u)
{
    usec_t now_us = loop_now_us(u->loop);

    if (now_us >= u->next_us) {
        u->burst = 0;
        u->next_us = now_us + RTSP_UDP_TURN_US;
    }
    while (u->n > 0 && u->burst < RTSP_UDP_TURN_PACKETS) send_some(u);
    if (u->n > 0) loop_timer_set(u->loop, &u->timer, MAX(u->next_us - now_us, 0), again, u);
}

static bool grow(struct rtsp_udp *u)
{
    size_t cap = u->cap ? u->cap * 2 : 16;
    struct waiting *q = mem_try(cap * sizeof(*q));

    if (!q) return false;
    for (size_t i = 0; i < u->n; i++) q[i] = u->q[(u->first + i) % u->cap];
    mem_free(u->q);
    u->q = q;
    u->first = 0;
    u->cap = cap;
    return true;
}

bool rtsp_udp_send(struct rtsp_udp *u, struct chunk *c)
{
    if (u->queued + c->n > RTSP_UDP_QUEUE_MAX || (u->n == u->cap && !grow(u))) return false;
    u->q[(u->first + u->n++) % u->cap] = (struct waiting){chunk_ref(c), 0};
    u->queued += c->n;
    if (!loop_timer_armed(&u->timer)) pump(u);
    return true;
}

size_t rtsp_udp_queued(const struct rtsp_udp *u)
{
    return u->queued;
}

void rtsp_udp_report(struct rtsp_udp *u, struct span compound)
{
    if (send(u->fd[1], compound.p, compound.n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) u->bytes += compound.n;
}

uint64_t rtsp_udp_bytes(const struct rtsp_udp *u)
{
    return u->bytes;
}

/* --- life --- */

struct rtsp_udp *rtsp_udp_new(struct loop *l, const struct sockaddr_storage *local,
    const struct sockaddr_storage *peer, const uint16_t client_port[2], const struct rtsp_udp_ops *ops)
{
    struct rtsp_udp *u = NEW(struct rtsp_udp);

    u->loop = l;
    u->ops = *ops;
    u->fd[0] = u->fd[1] = -1;
    if (!open_pair(u, local, peer, client_port)) {
        rtsp_udp_free(u);
        return NULL;
    }
    for (unsigned i = 0; i < 2; i++) loop_io_start(l, &u->io[i], u->fd[i], LOOP_READ, came, u);
    return u;
}

void rtsp_udp_free(struct rtsp_udp *u)
{
    if (!u) return;
    rtsp_udp_drop(u);
    loop_timer_stop(&u->timer);
    for (unsigned i = 0; i < 2; i++) {
        loop_io_stop(&u->io[i]);
        fd_close(&u->fd[i]);
    }
    mem_free(u->q);
    mem_free(u);
}

void rtsp_udp_ports(const struct rtsp_udp *u, uint16_t ret[2])
{
    ret[0] = u->port[0];
    ret[1] = u->port[1];
}
