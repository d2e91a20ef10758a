#include "master/connector/dial.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_LEAST_US (100 * US_PER_MS)

/* Half-open connections show within 10 s or so (cameras.md K11). */
#define KEEP_IDLE_S     5
#define KEEP_INTERVAL_S 2
#define KEEP_COUNT      3
#define UNACKED_MS      10000

/* Sockets that are handed to workers are watched by a set of their own: the loop's would keep them (loop.h).
 */
struct dialer {
    struct loop *loop;
    struct resolver *resolver;
    struct bucket fleet;
    struct loop_io io;
    int epfd;
};

static void connect_next(struct dial *d);

static const char *state_names[] = {"idle", "waiting", "resolving", "connecting"};

static void close_socket(struct dial *d)
{
    if (d->fd < 0) return;
    epoll_ctl(d->dialer->epfd, EPOLL_CTL_DEL, d->fd, NULL);
    fd_close(&d->fd);
}

/* Everything of this attempt stops; the result is told by the caller. */
static void settle(struct dial *d)
{
    if (d->state == DIAL_IDLE) return;
    d->state = DIAL_IDLE;
    loop_timer_stop(&d->timer);
    lookup_cancel(d->lookup);
    d->lookup = NULL;
    close_socket(d);
}

void dial_stop(struct dial *d)
{
    settle(d);
}

static void fail(struct dial *d, int err, const char *text)
{
    char copy[sizeof(d->last_text)];
    struct dial_result r = {.err = err, .text = copy, .dns_us = d->dns_us, .fd = -1};

    span_copy(span_of(text), copy, sizeof(copy));
    settle(d);
    d->fn(d, &r);
}

static void timed_out(struct loop_timer *t)
{
    struct dial *d = t->arg;
    char text[64];

    if (d->state == DIAL_CONNECTING && d->next < d->n_addrs) {
        d->last_err = ETIMEDOUT;
        span_copy(SPAN_LIT("no answer"), d->last_text, sizeof(d->last_text));
        close_socket(d);
        connect_next(d);
        return;
    }
    snprintf(text, sizeof(text), "no answer while %s", state_names[d->state]);
    fail(d, ETIMEDOUT, text);
}

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS},
    };

    /* SO_RCVBUF is left to the kernel: setting it ends its own tuning and is capped by rmem_max. */
    for (size_t i = 0; i < ARRAY_N(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

static void connected(struct dial *d)
{
    struct sockaddr_storage peer, local;
    socklen_t n = sizeof(peer), n_local = sizeof(local);
    struct dial_result r = {.text = "", .addr = &peer, .local = &local, .dns_us = d->dns_us};
    const char *why;

    if (getpeername(d->fd, (struct sockaddr *)&peer, &n) < 0 ||
        getsockname(d->fd, (struct sockaddr *)&local, &n_local) < 0) {
        fail(d, errno, err_text(-errno));
        return;
    }
    why = policy_refuses(d->policy, d->host, (const struct sockaddr *)&peer);
    if (why) {
        fail(d, EACCES, why);
        return;
    }
    r.tcp_us = clock_mono_us() - d->began_us;
    epoll_ctl(d->dialer->epfd, EPOLL_CTL_DEL, d->fd, NULL);
    r.fd = d->fd;
    d->fd = -1;
    settle(d);
    d->fn(d, &r);
}

static void not_connected(struct dial *d, int err)
{
    d->last_err = err;
    span_copy(span_of(err_text(-err)), d->last_text, sizeof(d->last_text));
    close_socket(d);
    connect_next(d);
}

/* 0: under way or there; else errno. */
static int connect_to(struct dial *d, const struct sockaddr_storage *addr)
{
    socklen_t n = addr->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = d};

    d->fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0) return errno;
    set_options(d->fd);
    if (connect(d->fd, (const struct sockaddr *)addr, n) < 0 && errno != EINPROGRESS) return errno;
    return epoll_ctl(d->dialer->epfd, EPOLL_CTL_ADD, d->fd, &ev) < 0 ? errno : 0;
}

static void connect_next(struct dial *d)
{
    while (d->next < d->n_addrs) {
        const struct sockaddr_storage *addr = &d->addrs[d->next++];
        const char *why = policy_refuses(d->policy, d->host, (const struct sockaddr *)addr);
        usec_t left_us = d->deadline_us - clock_mono_us();
        int err;

        if (why) {
            d->last_err = EACCES;
            span_copy(span_of(why), d->last_text, sizeof(d->last_text));
            continue;
        }
        d->state = DIAL_CONNECTING;
        d->began_us = clock_mono_us();
        err = connect_to(d, addr);
        if (err == 0) {
            /* The time left is shared by the addresses left. */
            loop_timer_set(d->dialer->loop, &d->timer,
                MAX(left_us / (usec_t)(d->n_addrs - d->next + 1), TIMEOUT_LEAST_US), timed_out, d);
            return;
        }
        d->last_err = err;
        span_copy(span_of(err_text(-err)), d->last_text, sizeof(d->last_text));
        close_socket(d);
    }
    fail(d, d->last_err, d->last_text);
}

static void resolved(void *arg, int err, const char *text, const struct sockaddr_storage *addrs, size_t n)
{
    struct dial *d = arg;

    d->lookup = NULL;
    d->dns_us = clock_mono_us() - d->began_us;
    if (err != 0) {
        fail(d, err, text);
        return;
    }
    memcpy(d->addrs, addrs, n * sizeof(*addrs));
    d->n_addrs = n;
    connect_next(d);
}

/* Literals and localhost ask nobody. */
static bool known_addrs(struct dial *d)
{
    if (span_iis(span_of(d->host), "localhost"))
        d->n_addrs =
            policy_literal("127.0.0.1", d->port, &d->addrs[0]) && policy_literal("::1", d->port, &d->addrs[1])
            ? 2
            : 0;
    else
        d->n_addrs = policy_literal(d->host, d->port, &d->addrs[0]) ? 1 : 0;
    return d->n_addrs > 0;
}

static void begin(struct loop_timer *t)
{
    struct dial *d = t->arg;
    usec_t wait_us = d->has_turn ? 0 : bucket_take(&d->dialer->fleet, loop_now_us(d->dialer->loop));

    d->has_turn = true;
    if (wait_us > 0) {
        loop_timer_set(d->dialer->loop, &d->timer, wait_us, begin, d);
        return;
    }
    d->began_us = clock_mono_us();
    d->deadline_us = d->began_us + d->timeout_us;
    if (known_addrs(d)) {
        connect_next(d);
        return;
    }
    d->state = DIAL_RESOLVING;
    loop_timer_set(d->dialer->loop, &d->timer, d->timeout_us, timed_out, d);
    d->lookup = lookup_start(d->dialer->resolver, d->host, d->port, resolved, d);
    if (!d->lookup) fail(d, EIO, "no resolver");
}

void dial_start(struct dialer *dialer, struct dial *d, const struct dial_order *order)
{
    struct span name = span_of(order->host);

    settle(d);
    loop_timer_stop(&d->timer);
    *d = (struct dial){.dialer = dialer,
        .fn = order->fn,
        .state = DIAL_WAITING,
        .policy = order->policy,
        .port = order->port,
        .fd = -1};
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = span_sub(name, 1, name.n - 2);
    span_copy(name, d->host, sizeof(d->host));
    d->timeout_us = CLAMP(order->timeout_us, TIMEOUT_LEAST_US, DIAL_TIMEOUT_MAX_US);
    loop_timer_set(dialer->loop, &d->timer, order->after_us, begin, d);
}

/* --- the set of sockets that connect --- */

/* One at a time: what is called may stop another that is ready too. */
static void ready(struct loop_io *io, unsigned events)
{
    struct dialer *dialer = io->arg;
    struct epoll_event ev;
    socklen_t len = sizeof(int);
    struct dial *d;
    int err = 0;

    (void)events;
    if (epoll_wait(dialer->epfd, &ev, 1, 0) < 1) return;
    d = ev.data.ptr;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) err = errno;
    if (err == 0)
        connected(d);
    else
        not_connected(d, err);
}

struct dialer *dialer_new(struct loop *l, struct bucket fleet, const char *servers)
{
    struct dialer *d = NEW(struct dialer);

    d->loop = l;
    d->fleet = fleet;
    d->resolver = resolver_new(l, servers);
    d->epfd = epoll_create1(EPOLL_CLOEXEC);
    must(d->epfd >= 0);
    loop_io_start(l, &d->io, d->epfd, LOOP_READ, ready, d);
    return d;
}

void dialer_free(struct dialer *d)
{
    if (!d) return;
    loop_io_stop(&d->io);
    fd_close(&d->epfd);
    resolver_free(d->resolver);
    mem_free(d);
}

const char *dial_text(const struct sockaddr_storage *addr, char *dst)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)addr;

        inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        snprintf(dst, DIAL_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(four->sin_port));
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)addr;

        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        snprintf(dst, DIAL_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    } else {
        snprintf(dst, DIAL_TEXT_MAX, "?");
    }
    return dst;
}
