#include "master/cluster/link.h"
#include "common/base/fd.h"
#include "common/net/addr.h"
#include "master/cluster/heartbeat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for what comes while a loaded machine lets the master wait; and for what waits in the kernel for
 * machines that are not there: until their neighbours' cache gives them up it counts against all others. */
#define RECEIVE_BYTES (1 << 20)
#define SEND_BYTES    (4 << 20)

/* Above the system's limit where this process may. */
static void make_room(int fd, int option, int force, int bytes)
{
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

static int bound(int family, const struct sockaddr *at, socklen_t n, int *ret_fd)
{
    CLEANUP(fd_close) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int off = 0;

    if (fd < 0) return -errno;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) return -errno;
    make_room(fd, SO_RCVBUF, SO_RCVBUFFORCE, RECEIVE_BYTES);
    make_room(fd, SO_SNDBUF, SO_SNDBUFFORCE, SEND_BYTES);
    if (bind(fd, at, n) < 0) return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static void on_readable(struct loop_io *io, unsigned events)
{
    (void)events;
    link_read(io->arg);
}

int link_open(struct link *l, struct loop *loop, uint16_t port, link_fn *fn, void *arg)
{
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int err;

    *l = (struct link){.fd = -1, .fn = fn, .arg = arg};
    err = bound(AF_INET6, (const struct sockaddr *)&six, sizeof(six), &l->fd);
    if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) {
        l->v4 = true;
        err = bound(AF_INET, (const struct sockaddr *)&four, sizeof(four), &l->fd);
    }
    if (err == 0) loop_io_start(loop, &l->io, l->fd, LOOP_READ, on_readable, l);
    return err;
}

void link_close(struct link *l)
{
    loop_io_stop(&l->io);
    fd_close(&l->fd);
}

static void mapped(const struct sockaddr_in *four, struct sockaddr_in6 *ret)
{
    struct addr a = addr_of_v4((const uint8_t *)&four->sin_addr);

    *ret = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = four->sin_port};
    memcpy(&ret->sin6_addr, a.b, sizeof(a.b));
}

/* One byte more than any heartbeat has, so that a longer one is seen to be. */
static bool read_one(struct link *l)
{
    uint8_t bytes[HEARTBEAT_MAX + 1];
    struct sockaddr_storage from = {0};
    struct sockaddr_in6 at = {0};
    socklen_t n_from = sizeof(from);
    ssize_t n = recvfrom(l->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n_from);

    /* an error that an earlier datagram met on its way is none of this one's */
    if (n < 0) return errno != EAGAIN && errno != EBADF;
    if (from.ss_family == AF_INET)
        mapped((const struct sockaddr_in *)&from, &at);
    else
        memcpy(&at, &from, sizeof(at));
    l->fn(l->arg, span(bytes, (size_t)n), &at);
    return true;
}

void link_read(struct link *l)
{
    for (int i = 0; i < LINK_TURN_MAX && l->fd >= 0; i++)
        if (!read_one(l)) return;
}

bool link_send(const struct link *l, const struct sockaddr_in6 *to, struct span datagram)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = to->sin6_port};

    if (!l->v4)
        return sendto(l->fd, datagram.p, datagram.n, 0, (const struct sockaddr *)to, sizeof(*to)) >= 0;
    memcpy(&four.sin_addr, &to->sin6_addr.s6_addr[ADDR_V4_BITS / 8], sizeof(four.sin_addr));
    return sendto(l->fd, datagram.p, datagram.n, 0, (const struct sockaddr *)&four, sizeof(four)) >= 0;
}

bool link_addr(struct span text, uint16_t port, struct sockaddr_in6 *ret)
{
    struct addr a;

    if (!addr_parse(text, &a)) return false;
    *ret = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&ret->sin6_addr, a.b, sizeof(a.b));
    return true;
}

const char *link_text(const struct sockaddr_in6 *a, char dst[LINK_TEXT_MAX])
{
    char host[ADDR_TEXT_MAX];
    struct addr addr;

    memcpy(addr.b, &a->sin6_addr, sizeof(addr.b));
    snprintf(dst, LINK_TEXT_MAX, addr_is_v4(&addr) ? "%s:%u" : "[%s]:%u", addr_text(&addr, host),
        ntohs(a->sin6_port));
    return dst;
}
