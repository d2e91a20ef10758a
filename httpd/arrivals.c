#include "httpd/arrivals.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/proxy.h"
#include "httpd/auth.h"

#include <errno.h>
#include <poll.h>

struct arrival {
    struct list link; /* hub->arrivals */
    struct door *door;
    int fd;
    struct sockaddr_storage peer;
    void (*go)(struct door *door, int fd, const struct sockaddr_storage *peer);
    struct loop_io io;
    struct loop_timer timer;
};

static void arrival_free(struct arrival *a)
{
    loop_io_stop(&a->io);
    loop_timer_stop(&a->timer);
    list_remove(&a->link);
    fd_close(&a->fd);
    atomic_fetch_sub(&a->door->hub->server->conns, 1);
    mem_free(a);
}

static void go_on(struct arrival *a)
{
    struct door *door = a->door;
    struct sockaddr_storage peer = a->peer;
    int fd = a->fd, one = 1;
    void (*go)(struct door *, int, const struct sockaddr_storage *) = a->go;

    a->fd = -1;
    arrival_free(a);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
    go(door, fd, &peer);
}

static void become(struct arrival *a, const struct proxy_said *said)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(said->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(said->port)};

    if (said->local) return;
    memcpy(&four.sin_addr, said->address, sizeof(four.sin_addr));
    memcpy(&six.sin6_addr, said->address, sizeof(six.sin6_addr));
    memset(&a->peer, 0, sizeof(a->peer));
    memcpy(&a->peer, said->v6 ? (const void *)&six : &four, said->v6 ? sizeof(six) : sizeof(four));
}

static bool has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
}

/* What is looked at stays in the socket until the whole header is there. */
static void readable(struct loop_io *io, unsigned events)
{
    struct arrival *a = io->arg;
    uint8_t bytes[PROXY_MAX];
    struct proxy_said said;
    size_t need = 0;
    int low, err;
    ssize_t n = recv(a->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    err = n > 0 ? proxy_read(span(bytes, (size_t)n), &said, &need) : PROXY_E_BAD;
    low = (int)need;
    switch (err) {
    case 0:
        become(a, &said);
        if (recv(a->fd, bytes, said.n, MSG_DONTWAIT) == (ssize_t)said.n)
            go_on(a);
        else
            arrival_free(a);
        break;
    case PROXY_E_NONE: go_on(a); break;
    case PROXY_E_MORE:
        /* Woken again when so much is there, and without end when the peer has ended. */
        if (has_ended(a->fd))
            arrival_free(a);
        else
            (void)setsockopt(a->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
        break;
    default: arrival_free(a); break;
    }
}

static void late(struct loop_timer *t)
{
    arrival_free(t->arg);
}

void arrive(
    struct door *door, int fd, void (*go)(struct door *door, int fd, const struct sockaddr_storage *peer))
{
    struct hub *hub = door->hub;
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(peer);
    struct arrival *a;
    struct addr address;

    if (hub->auth->proxies.n == 0 || getpeername(fd, (struct sockaddr *)&peer, &n) < 0 ||
        !addr_of((struct sockaddr *)&peer, &address) || !cidrs_has(&hub->auth->proxies, &address)) {
        go(door, fd, NULL);
        return;
    }
    if (atomic_fetch_add(&hub->server->conns, 1) >= atomic_load(&hub->server->conns_max)) {
        atomic_fetch_sub(&hub->server->conns, 1);
        fd_close(&fd);
        return;
    }
    a = NEW(struct arrival);
    *a = (struct arrival){.door = door, .fd = fd, .peer = peer, .go = go};
    list_push(&hub->arrivals, &a->link);
    loop_io_start(hub->loop, &a->io, fd, LOOP_READ, readable, a);
    loop_timer_set(hub->loop, &a->timer, ARRIVAL_WAIT_US, late, a);
}

void arrivals_stop(struct hub *hub)
{
    LIST_EACH(&hub->arrivals, at) arrival_free(LIST_ITEM(at, struct arrival, link));
}
