#include "httpd/doors.h"
#include "httpd/arrivals.h"
#include "httpd/h2_conn.h"
#include "httpd/http.h"
#include "httpd/push_tls.h"
#include "httpd/rtsp_conn.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/tls.h"

/* A connection on its way to its door. */
struct shaking {
    struct list link;
    struct door *door;
    struct tls_accept *accept;
    struct sockaddr_storage peer; /* as a proxy says; AF_UNSPEC: the socket's */
};

/* What a door is for. */
static void enter(struct door *d, struct conn_over over)
{
    if (d->push)
        push_tls_accept(d, over);
    else if (d->rtsp)
        rtsp_accept(d, over);
    else
        http_accept(d, over);
}

static void enter_tls(struct door *d, struct tls *t, const struct sockaddr_storage *peer)
{
    struct conn_over over = conn_over_tls(t);

    if (peer->ss_family != AF_UNSPEC) over.peer = peer;
    if (tls_is_h2(t))
        h2_accept(d, over);
    else
        enter(d, over);
}

static void shaking_done(struct shaking *s)
{
    atomic_fetch_sub(&s->door->hub->server->conns, 1);
    list_remove(&s->link);
    mem_free(s);
}

static void shaken(void *arg, struct tls *t, const char *why)
{
    static _Thread_local struct log_rate rate;
    struct shaking *s = arg;
    struct sockaddr_storage peer = s->peer;
    struct door *d = s->door;
    uint32_t held;

    shaking_done(s);
    if (t)
        enter_tls(d, t, &peer);
    else if (log_limited(&rate, loop_now_us(d->hub->loop), &held))
        log_note("tls-handshake-failed", "err=%s held=%u", log_q(span_of(why)), held);
}

static void shake(struct door *d, int fd, const struct sockaddr_storage *peer)
{
    static const struct tls_accept_ops web = {.done = shaken, .protocols = H2_PROTOCOL "\x08http/1.1"};
    static const struct tls_accept_ops rtsp = {.done = shaken};
    struct hub *hub = d->hub;
    struct tls_server *cert = hub->tls[d->module ? HUB_TLS_MODULE : HUB_TLS_STREAM];
    struct shaking *s;

    if (!cert || atomic_fetch_add(&hub->server->conns, 1) >= atomic_load(&hub->server->conns_max)) {
        if (cert) atomic_fetch_sub(&hub->server->conns, 1);
        fd_close(&fd);
        return;
    }
    s = NEW(struct shaking);
    s->door = d;
    if (peer) s->peer = *peer;
    list_push(&hub->shaking, &s->link);
    s->accept = tls_accept_new(hub->loop, fd, cert, d->rtsp || d->push ? &rtsp : &web, s);
}

static void arrived(struct door *d, int fd, const struct sockaddr_storage *peer)
{
    struct conn_over over = conn_over_fd(fd);

    if (d->tls) {
        shake(d, fd, peer);
        return;
    }
    over.peer = peer;
    enter(d, over);
}

static void accepted(void *arg, int fd)
{
    arrive(arg, fd, arrived);
}

void doors_cert(struct hub *hub, void *door_cert)
{
    struct door_cert *c = door_cert;

    tls_server_unref(hub->tls[c->which]);
    hub->tls[c->which] = c->server;
    mem_free(c);
}

void doors_stop_shaking(struct hub *hub)
{
    arrivals_stop(hub);
    LIST_EACH(&hub->shaking, at)
    {
        struct shaking *s = LIST_ITEM(at, struct shaking, link);

        tls_accept_stop(s->accept);
        shaking_done(s);
    }
}

void doors_open(struct hub *hub, void *door_set)
{
    const struct door_set *set = door_set;
    struct door *d = NEW(struct door);

    d->hub = hub;
    d->fd = set->fd;
    d->module = set->module;
    d->tls = set->tls;
    d->rtsp = set->rtsp;
    d->push = set->push;
    span_copy(span_of(set->base), d->base, sizeof(d->base));
    d->listener = listener_new(hub->loop, set->fd, accepted, d);
    list_push(&hub->doors, &d->link);
}

void doors_close(struct hub *hub)
{
    LIST_EACH(&hub->doors, at)
    {
        struct door *d = LIST_ITEM(at, struct door, link);

        list_remove(at);
        listener_free(d->listener);
        mem_free(d);
    }
    for (int i = 0; i < HUB_TLS; i++) tls_server_unref(hub->tls[i]);
}

void door_base(struct span text, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);
    struct span piece;

    wr_text(&w, "/");
    while (span_split(&text, '/', &piece))
        if (piece.n > 0) wr_fmt(&w, "%.*s/", SPAN_FMT(piece));
    if (wr_cstr(&w)[0] == '\0') snprintf(dst, cap, "/");
}
