#include "master/connector/resolve.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <ares.h>
#include <errno.h>
#include <netdb.h>

#define SOCKETS_MAX 64              /* of c-ares: UDP and TCP to each server */
#define FRESH_US    (60 * US_PER_S) /* resolv.conf is read again behind this */
#define TRY_MS      1500            /* of one name server */
#define TRIES       2

struct lookup {
    struct resolver *r;
    lookup_fn *fn; /* NULL: cancelled */
    void *arg;
    int status;
    size_t n;
    struct sockaddr_storage addrs[RESOLVE_ADDRS_MAX];
};

struct resolver {
    struct loop *loop;
    const char *servers;
    ares_channel ares;
    bool open;
    usec_t opened_us;
    unsigned waiting;
    struct loop_io io[SOCKETS_MAX];
    struct loop_timer timer;
};

static void arm(struct resolver *r);

static void socket_ready(struct loop_io *io, unsigned events)
{
    struct resolver *r = io->arg;
    int fd = io->fd;

    ares_process_fd(
        r->ares, events & LOOP_READ ? fd : ARES_SOCKET_BAD, events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    arm(r);
}

static void timer_fired(struct loop_timer *t)
{
    struct resolver *r = t->arg;

    ares_process_fd(r->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(r);
}

static void arm(struct resolver *r)
{
    struct timeval tv, *next;

    if (r->waiting == 0) {
        loop_timer_stop(&r->timer);
        return;
    }
    next = ares_timeout(r->ares, NULL, &tv);
    if (next) loop_timer_set(r->loop, &r->timer, next->tv_sec * US_PER_S + next->tv_usec, timer_fired, r);
}

static struct loop_io *io_of(struct resolver *r, int fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (r->io[i].ev && r->io[i].fd == fd) return &r->io[i];
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (!r->io[i].ev) return &r->io[i];
    return NULL;
}

/* c-ares says what it waits for. One socket too many is served by the timer only. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct loop_io *io = io_of(r, fd);
    unsigned events = (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u);

    if (!io) return;
    if (events == 0) {
        loop_io_stop(io);
        return;
    }
    if (io->ev)
        loop_io_events(io, events);
    else
        loop_io_start(r->loop, io, fd, events, socket_ready, r);
}

static void shut(struct resolver *r)
{
    if (r->open) ares_destroy(r->ares);
    r->open = false;
    for (size_t i = 0; i < SOCKETS_MAX; i++) loop_io_stop(&r->io[i]);
    loop_timer_stop(&r->timer);
}

static bool ready(struct resolver *r)
{
    struct ares_options o = {
        .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_socket, .sock_state_cb_data = r};

    if (r->open && (r->waiting > 0 || loop_now_us(r->loop) - r->opened_us < FRESH_US)) return true;
    shut(r);
    r->opened_us = loop_now_us(r->loop);
    r->open = ares_init_options(&r->ares, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) ==
        ARES_SUCCESS;
    if (r->open && r->servers) r->open = ares_set_servers_ports_csv(r->ares, r->servers) == ARES_SUCCESS;
    return r->open;
}

struct resolver *resolver_new(struct loop *l, const char *servers)
{
    struct resolver *r = NEW(struct resolver);

    must(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
    r->loop = l;
    r->servers = servers;
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r) return;
    shut(r);
    ares_library_cleanup();
    mem_free(r);
}

static int err_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME: return ENOENT;
    case ARES_ETIMEOUT: return ETIMEDOUT;
    default: return EIO;
    }
}

static size_t copy_addrs(const struct ares_addrinfo *found, struct sockaddr_storage *addrs)
{
    size_t n = 0;

    for (const struct ares_addrinfo_node *a = found->nodes; a && n < RESOLVE_ADDRS_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(addrs[n])) continue;
        memset(&addrs[n], 0, sizeof(addrs[n]));
        memcpy(&addrs[n++], a->ai_addr, a->ai_addrlen);
    }
    return n;
}

static void deliver(void *arg)
{
    struct lookup *l = arg;

    if (l->fn && l->n > 0) l->fn(l->arg, 0, "", l->addrs, l->n);
    if (l->fn && l->n == 0) l->fn(l->arg, err_of(l->status), ares_strerror(l->status), NULL, 0);
    mem_free(l);
}

/* c-ares may answer before lookup_start returns: the caller hears it from the loop in any case. */
static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct lookup *l = arg;

    (void)timeouts;
    l->r->waiting--;
    if (status == ARES_SUCCESS) l->n = copy_addrs(found, l->addrs);
    l->status = status == ARES_SUCCESS ? ARES_ENODATA : status;
    if (found) ares_freeaddrinfo(found);
    if (status == ARES_EDESTRUCTION)
        mem_free(l);
    else
        loop_post(l->r->loop, deliver, l);
}

struct lookup *lookup_start(struct resolver *r, const char *host, uint16_t port, lookup_fn *fn, void *arg)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NUMERICSERV};
    struct lookup *l;
    char service[8];

    if (!ready(r)) return NULL;
    l = NEW(struct lookup);
    *l = (struct lookup){.r = r, .fn = fn, .arg = arg};
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    r->waiting++;
    ares_getaddrinfo(r->ares, host, service, &hints, answered, l);
    arm(r);
    return l;
}

void lookup_cancel(struct lookup *l)
{
    if (l) l->fn = NULL;
}
