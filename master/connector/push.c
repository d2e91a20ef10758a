#include "master/connector/push.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/addr.h"
#include "common/net/listener.h"
#include "common/wire/head.h"
#include "common/wire/proxy.h"
#include "common/wire/url.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE_MAX   64
#define ANSWER_MAX 512

struct door {
    struct push *push;
    struct listener *listener;
    int fd;
    char base[BASE_MAX]; /* begins and ends with '/' */
};

struct push {
    struct loop *loop;
    struct peers *peers;
    struct loop_io io;
    int epfd; /* connections that wait */
    struct door door[PUSH_LISTEN_MAX];
    size_t n_doors;
    bool everybody;
    struct cidrs whitelist, proxies;
    struct list waiting; /* struct caller */
    size_t n_waiting;
    struct log_rate refused;
};

/* Somebody who has connected. */
struct caller {
    struct list link;
    struct push *push;
    struct loop_timer timer;
    struct addr addr;
    int fd;
    bool proxy; /* a trusted one: whose connection it is has not been said yet */
    bool told;  /* addr was told: it is not the peer of fd, which leads to httpd or to a proxy */
    unsigned options;
    bool refused; /* only waits until it has read that */
    char base[BASE_MAX];
};

static void caller_free(struct caller *c)
{
    if (c->fd >= 0) epoll_ctl(c->push->epfd, EPOLL_CTL_DEL, c->fd, NULL);
    loop_timer_stop(&c->timer);
    fd_close(&c->fd);
    list_remove(&c->link);
    c->push->n_waiting--;
    mem_free(c);
}

static void say_refused(struct push *p, const struct addr *addr, struct span uid, const char *why)
{
    char text[ADDR_TEXT_MAX];
    uint32_t held;

    if (log_limited(&p->refused, loop_now_us(p->loop), &held))
        log_warn("push-refused", "addr=%s uid=%s why=\"%s\" held=%u", addr_text(addr, text), log_q(uid), why,
            held);
}

/* By edges: what was seen and stays in the socket does not wake anybody again. */
static bool watch(struct caller *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};

    return epoll_ctl(c->push->epfd, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

/* --- answers --- */

static void too_late(struct loop_timer *t)
{
    struct caller *c = t->arg;

    if (!c->refused) say_refused(c->push, &c->addr, SPAN_NONE, "no request in time");
    caller_free(c);
}

static void say(struct caller *c, const char *status, struct span cseq, const char *fields)
{
    char mem[ANSWER_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_fmt(&w, "RTSP/1.0 %s\r\n", status);
    if (cseq.n > 0 && cseq.n < 12) wr_fmt(&w, "CSeq: %.*s\r\n", SPAN_FMT(cseq));
    wr_fmt(&w, "%s\r\n", fields);
    if (wr_ok(&w)) (void)!send(c->fd, w.p, w.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Unread bytes would cost the caller the answer: what comes is read until it closes, for a while. */
static void refuse(struct caller *c, const char *status, struct span cseq, struct span uid, const char *why)
{
    say_refused(c->push, &c->addr, uid, why);
    say(c, status, cseq, status[0] == '5' ? "Retry-After: 2\r\n" : "");
    shutdown(c->fd, SHUT_WR);
    c->refused = true;
    loop_timer_set(c->push->loop, &c->timer, PUSH_LINGER_US, too_late, c);
}

static void read_away(struct caller *c)
{
    uint8_t *scratch = loop_scratch(c->push->loop);
    ssize_t n;

    do n = recv(c->fd, scratch, LOOP_SCRATCH, MSG_DONTWAIT);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0 || errno != EAGAIN) caller_free(c);
}

/* --- who may --- */

/* Others that wait, of that address. Of a proxy's it is not known yet. */
static size_t callers_of(const struct push *p, const struct addr *addr, const struct caller *but)
{
    struct addr source = addr_source(addr);
    size_t n = 0;

    LIST_EACH(&p->waiting, at)
    {
        const struct caller *c = LIST_ITEM(at, struct caller, link);
        struct addr other = addr_source(&c->addr);

        n += c != but && !c->proxy && addr_eq(&other, &source);
    }
    return n;
}

/* NULL: welcome. */
static const char *unwelcome(const struct push *p, const struct addr *addr, const struct caller *but)
{
    if (!p->everybody && !cidrs_has(&p->whitelist, addr)) return "not in whitelist-publishers";
    return callers_of(p, addr, but) >= PUSH_CONNS_ONE ? "too many connections of this address" : NULL;
}

/* false: c is gone. */
static bool is_welcome(struct caller *c)
{
    const char *why = unwelcome(c->push, &c->addr, c);

    if (!why) return true;
    say_refused(c->push, &c->addr, SPAN_NONE, why);
    caller_free(c);
    return false;
}

/* --- the request --- */

static bool number(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return true;
}

/* The first segment below the base. */
static struct span uid_of(const struct caller *c, struct span target)
{
    struct span path = target, base = span_of(c->base), uid;
    struct url u;

    if (target.n > 0 && target.p[0] != '/') path = url_parse(target, &u) == 0 ? u.path : SPAN_NONE;
    if (!span_starts(path, base)) return SPAN_NONE;
    path = span_from(path, base.n);
    if (!span_split(&path, '/', &uid)) return SPAN_NONE;
    return span_find(uid, '?') >= 0 ? span_sub(uid, 0, (size_t)span_find(uid, '?')) : uid;
}

/* Another request may follow on the same connection. */
static bool answer_options(struct caller *c, const struct head *h, struct span cseq, size_t n)
{
    if (!span_is(h->method, "OPTIONS") || !span_is(h->target, "*") || ++c->options > PUSH_OPTIONS_MAX)
        return false;
    if (recv(c->fd, loop_scratch(c->push->loop), n, MSG_DONTWAIT) != (ssize_t)n) return false;
    say(c, "200 OK", cseq,
        "Public: OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN, GET_PARAMETER, SET_PARAMETER\r\n");
    return true;
}

static void give(struct caller *c, struct span uid, struct span cseq)
{
    static const struct {
        const char *status, *why;
    } refusals[] = {
        [PEER_PUSH_OK] = {"", ""},
        [PEER_PUSH_UNKNOWN] = {"404 Not Found", "no stream of this name takes pushes"},
        [PEER_PUSH_AWAY] = {"503 Service Unavailable", "the stream is not there now"},
        [PEER_PUSH_OFTEN] = {"503 Service Unavailable", "too many connections for this stream"},
    };
    enum peer_push got;

    epoll_ctl(c->push->epfd, EPOLL_CTL_DEL, c->fd, NULL);
    got = peers_push(c->push->peers, uid, c->fd, c->told ? &c->addr : NULL);
    if (got != PEER_PUSH_OK) {
        refuse(c, refusals[got].status, cseq, uid, refusals[got].why);
        if (!watch(c)) caller_free(c);
        return;
    }
    fd_close(&c->fd);
    caller_free(c);
}

/* true: another request may be there. */
static bool on_head(struct caller *c, struct span head)
{
    struct head h;
    struct span cseq, uid;

    if (head_parse(head, &h) != 0 || h.kind != HEAD_REQUEST || !span_is(h.protocol, "RTSP")) {
        refuse(c, "400 Bad Request", SPAN_NONE, SPAN_NONE, "this is no RTSP request");
        return false;
    }
    cseq = head_get(&h, "CSeq");
    if (!number(cseq)) cseq = SPAN_NONE;
    if (answer_options(c, &h, cseq, head.n)) return true;
    uid = uid_of(c, h.target);
    give(c, uid, cseq);
    return false;
}

static struct addr addr_said(const struct proxy_said *s)
{
    struct addr a;

    if (!s->v6) return addr_of_v4(s->address);
    memcpy(a.b, s->address, sizeof(a.b));
    return a;
}

/* What a trusted proxy says first. true: to be done again. */
static bool look_for_proxy(struct caller *c, struct span in, bool ended)
{
    struct proxy_said said;
    size_t need = 0;
    int err = proxy_read(in, &said, &need);

    if (err == PROXY_E_MORE && !ended) return false;
    if (err == PROXY_E_MORE || err == PROXY_E_BAD) {
        caller_free(c);
        return false;
    }
    c->proxy = false;
    if (err == 0 && recv(c->fd, loop_scratch(c->push->loop), said.n, MSG_DONTWAIT) != (ssize_t)said.n) {
        caller_free(c);
        return false;
    }
    if (err == 0 && !said.local) {
        c->addr = addr_said(&said);
        c->told = true;
    }
    return is_welcome(c);
}

/* What has come, as far as it goes; ended: nothing more will. true: to be done again. */
static bool look(struct caller *c, bool ended)
{
    static const struct head_limits limits = {URL_MAX + 64, PUSH_HEAD_MAX - 1};
    uint8_t *scratch = loop_scratch(c->push->loop);
    ssize_t n = recv(c->fd, scratch, PUSH_HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);
    struct head_find find = {0};
    size_t head_n;
    int err;

    if (n < 0 && errno == EINTR) return true;
    if (n < 0 && errno == EAGAIN && !ended) return false;
    if (n <= 0) {
        caller_free(c);
        return false;
    }
    if (c->proxy) return look_for_proxy(c, span(scratch, (size_t)n), ended);
    err = head_find(&find, span(scratch, (size_t)n), &limits, &head_n);
    if (err == 0) {
        char copy[PUSH_HEAD_MAX]; /* the scratch is used again */

        memcpy(copy, scratch, head_n);
        return on_head(c, span(copy, head_n));
    }
    if (err != HEAD_E_MORE || n == PUSH_HEAD_MAX)
        refuse(c, "400 Bad Request", SPAN_NONE, SPAN_NONE, "this is no RTSP request");
    else if (ended)
        caller_free(c);
    return false;
}

static void ready(struct loop_io *io, unsigned events)
{
    struct push *p = io->arg;
    struct epoll_event ev;
    struct caller *c;

    (void)events;
    if (epoll_wait(p->epfd, &ev, 1, 0) < 1) return;
    c = ev.data.ptr;
    if (c->refused) {
        read_away(c);
        return;
    }
    while (look(c, (ev.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) {
    }
}

/* --- the listener --- */

/* Takes fd. told: somebody who knows has said whose it is. */
static void receive(struct push *p, int fd, const struct addr *addr, const char *base, bool told)
{
    bool proxy = !told && cidrs_has(&p->proxies, addr);
    const char *why = p->n_waiting >= PUSH_CONNS_MAX ? "too many connections that say nothing"
        : proxy                                      ? NULL
                                                     : unwelcome(p, addr, NULL);
    struct caller *c;

    if (why) {
        say_refused(p, addr, SPAN_NONE, why);
        close(fd);
        return;
    }
    c = NEW(struct caller);
    *c = (struct caller){.push = p, .fd = fd, .told = told, .proxy = proxy, .addr = *addr};
    span_copy(span_of(base), c->base, sizeof(c->base));
    list_push(&p->waiting, &c->link);
    p->n_waiting++;
    loop_timer_set(p->loop, &c->timer, PUSH_HEAD_US, too_late, c);
    if (!watch(c)) caller_free(c);
}

static void on_accept(void *arg, int fd)
{
    struct door *d = arg;
    struct sockaddr_storage peer;
    socklen_t n = sizeof(peer);
    struct addr addr;

    if (getpeername(fd, (struct sockaddr *)&peer, &n) < 0 || !addr_of((struct sockaddr *)&peer, &addr))
        close(fd);
    else
        receive(d->push, fd, &addr, d->base, false);
}

void push_take(struct push *p, const struct packed *body, int fd)
{
    char base[BASE_MAX];
    struct addr addr;

    if (!addr_parse(packed_str(body, "addr"), &addr) || !packed_text(body, "base", base, sizeof(base)))
        close(fd);
    else
        receive(p, fd, &addr, base, true);
}

static void close_doors(struct push *p)
{
    while (p->n_doors > 0) {
        struct door *d = &p->door[--p->n_doors];

        listener_free(d->listener);
        fd_close(&d->fd);
    }
}

void push_conf(struct push *p, const struct packed *body)
{
    struct span list = packed_str(body, "whitelist");

    close_doors(p);
    cidrs_done(&p->whitelist);
    cidrs_done(&p->proxies);
    if (cidrs_parse(packed_str(body, "proxies"), PUSH_CIDRS_MAX, &p->proxies) < 0)
        log_error("push-proxies", "effect=\"no proxy is believed\"");
    p->everybody = list.n == 0;
    if (cidrs_parse(list, PUSH_CIDRS_MAX, &p->whitelist) < 0)
        log_error("push-whitelist", "effect=\"nobody may push\"");
}

void push_listen(struct push *p, const struct packed *body, int fd)
{
    struct door *d;

    if (p->n_doors == PUSH_LISTEN_MAX) {
        fd_close(&fd);
        return;
    }
    d = &p->door[p->n_doors++];
    d->push = p;
    d->fd = fd;
    if (!packed_text(body, "base", d->base, sizeof(d->base)) || d->base[0] != '/')
        span_copy(SPAN_LIT("/"), d->base, sizeof(d->base));
    d->listener = listener_new(p->loop, fd, on_accept, d);
}

struct push *push_new(struct loop *l, struct peers *peers)
{
    struct push *p = NEW(struct push);

    p->loop = l;
    p->peers = peers;
    list_init(&p->waiting);
    p->epfd = epoll_create1(EPOLL_CLOEXEC);
    must(p->epfd >= 0);
    loop_io_start(l, &p->io, p->epfd, LOOP_READ, ready, p);
    return p;
}

void push_free(struct push *p)
{
    if (!p) return;
    close_doors(p);
    LIST_EACH(&p->waiting, at) caller_free(LIST_ITEM(at, struct caller, link));
    loop_io_stop(&p->io);
    fd_close(&p->epfd);
    cidrs_done(&p->whitelist);
    cidrs_done(&p->proxies);
    mem_free(p);
}
