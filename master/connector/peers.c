#include "master/connector/peers.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "master/connector/dial.h"
#include "master/connector/udp_pair.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define UID_MAX 64

/* A connection that was handed over to a worker. */
struct pushed {
    uint64_t id; /* 0: none */
    struct sockaddr_storage addr, local;
};

struct peers {
    uint64_t last_pushed;
    struct loop *loop;
    struct dialer *dialer;
    struct map by_uid;
};

struct peer {
    struct peers *all;
    char uid[UID_MAX];
    uint64_t gen;       /* of the worker's start */
    struct channel *ch; /* NULL: its worker is gone */
    struct loop_timer gone;
    struct policy policy;
    struct bucket bucket;
    struct log_rate refused;
    struct dial dial;
    uint64_t dial_id;
    bool reached; /* the addresses below are those of the last dial, for that host */
    char host[POLICY_HOST_MAX];
    struct sockaddr_storage addr, local;
    struct udp_pair pairs[PEER_PAIRS_MAX];
    bool push; /* its camera pushes */
    struct bucket pushes;
    struct pushed pushed[PEER_PUSHED_MAX]; /* the last ones, in a circle */
};

/* --- DIAL --- */

static void say_refused(struct peer *p, const char *host, const char *why)
{
    uint32_t held;

    if (log_limited(&p->refused, loop_now_us(p->all->loop), &held))
        log_event_of(
            LOG_WARN, p->uid, "dial-refused", "host=%s why=\"%s\" held=%u", log_q(span_of(host)), why, held);
}

static void dialled(struct dial *d, const struct dial_result *r)
{
    struct peer *p = CONTAINER(d, struct peer, dial);
    char addr[DIAL_TEXT_MAX] = "";
    struct packer *m;
    int fd = r->fd;

    if (r->err == 0) {
        p->reached = true;
        p->addr = *r->addr;
        p->local = *r->local;
        span_copy(span_of(d->host), p->host, sizeof(p->host));
        dial_text(r->addr, addr);
    }
    if (r->err == EACCES) say_refused(p, d->host, r->text);
    log_event_of(LOG_DEBUG, p->uid, "dialled", "host=%s err=%d addr=%s dns_us=%lld tcp_us=%lld",
        log_q(span_of(d->host)), r->err, addr, (long long)r->dns_us, (long long)r->tcp_us);
    m = channel_begin(p->ch, MSG_DIALED, 4);
    pack_kv_u64(m, "id", p->dial_id);
    pack_kv_u64(m, "err", (uint64_t)r->err);
    pack_kv_text(m, "text", r->text);
    pack_kv_text(m, "addr", addr);
    channel_end(p->ch, &fd, fd >= 0 ? 1 : 0);
    fd_close(&fd);
}

static int on_dial(struct peer *p, const struct packed *body)
{
    usec_t after_us = bucket_take(&p->bucket, loop_now_us(p->all->loop));
    uint64_t port = packed_u64(body, "port", 0);
    char host[POLICY_HOST_MAX];
    struct dial_order order = {.policy = &p->policy,
        .host = host,
        .port = (uint16_t)port,
        .timeout_us = packed_i64(body, "timeout_us", DIAL_TIMEOUT_US),
        .after_us = after_us,
        .fn = dialled};

    if (!packed_text(body, "host", host, sizeof(host)) || host[0] == 0 || port == 0 || port > 65535)
        return -EPROTO;
    p->dial_id = packed_u64(body, "id", 0);
    dial_start(p->all->dialer, &p->dial, &order);
    return 0;
}

/* --- UDP --- */

static struct udp_pair *pair_of(struct peer *p, uint64_t id)
{
    for (size_t i = 0; i < PEER_PAIRS_MAX; i++)
        if (p->pairs[i].rtp >= 0 && p->pairs[i].id == id) return &p->pairs[i];
    return NULL;
}

static struct udp_pair *free_pair(struct peer *p)
{
    for (size_t i = 0; i < PEER_PAIRS_MAX; i++)
        if (p->pairs[i].rtp < 0) return &p->pairs[i];
    return NULL;
}

static const struct pushed *pushed_of(const struct peer *p, uint64_t id)
{
    for (size_t i = 0; i < PEER_PUSHED_MAX; i++)
        if (p->pushed[i].id == id) return &p->pushed[i];
    return NULL;
}

static int bind_pair(struct peer *p, uint64_t id, uint64_t pushed, struct udp_pair **ret, uint16_t *ret_port)
{
    struct udp_pair *pair = pair_of(p, id);
    const struct pushed *from = pushed ? pushed_of(p, pushed) : NULL;
    int err;

    if (pair) udp_pair_close(pair);
    pair = free_pair(p);
    if (!from && (pushed || !p->reached)) return ENOTCONN;
    if (!pair) return EMFILE;
    err = udp_pair_bind(from ? &from->local : &p->local, from ? &from->addr : &p->addr, pair, ret_port);
    if (err != 0) return err;
    pair->id = id;
    *ret = pair;
    return 0;
}

static int on_udp_bind(struct peer *p, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);
    struct udp_pair *pair = NULL;
    uint16_t port = 0;
    int err = bind_pair(p, id, packed_u64(body, "pushed", 0), &pair, &port), fds[2] = {-1, -1};
    struct packer *m = channel_begin(p->ch, MSG_UDP_BOUND, 3);

    if (pair) {
        fds[0] = pair->rtp;
        fds[1] = pair->rtcp;
    }
    pack_kv_u64(m, "id", id);
    pack_kv_u64(m, "err", (uint64_t)err);
    pack_kv_u64(m, "port", port);
    channel_end(p->ch, fds, err == 0 ? 2 : 0);
    return 0;
}

static int on_udp_connect(struct peer *p, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0), rtp = packed_u64(body, "port", 0);
    uint64_t rtcp = packed_u64(body, "rtcp_port", 0);
    struct udp_pair *pair = pair_of(p, id);
    struct packer *m;
    int err = EINVAL;

    if (pair && rtp > 0 && rtp < 65536 && rtcp > 0 && rtcp < 65536)
        err = udp_pair_connect(pair, (uint16_t)rtp, (uint16_t)rtcp);
    m = channel_begin(p->ch, MSG_UDP_CONNECTED, 2);
    pack_kv_u64(m, "id", id);
    pack_kv_u64(m, "err", (uint64_t)err);
    channel_end(p->ch, NULL, 0);
    return 0;
}

static int on_udp_close(struct peer *p, const struct packed *body)
{
    struct udp_pair *pair = pair_of(p, packed_u64(body, "id", 0));

    if (pair) udp_pair_close(pair);
    return 0;
}

/* --- who pushes --- */

/* Which UDP pairs may be asked for. false: it is gone. */
static bool remember(struct peer *p, uint64_t id, int fd, char text[DIAL_TEXT_MAX])
{
    struct pushed *to = &p->pushed[id % PEER_PUSHED_MAX];
    socklen_t n = sizeof(to->addr), n_local = sizeof(to->local);

    to->id = 0;
    if (getpeername(fd, (struct sockaddr *)&to->addr, &n) < 0 ||
        getsockname(fd, (struct sockaddr *)&to->local, &n_local) < 0)
        return false;
    to->id = id;
    dial_text(&to->addr, text);
    return true;
}

static enum peer_push hand_over(struct peer *p, int fd, const struct addr *from)
{
    uint64_t id = ++p->all->last_pushed;
    char text[DIAL_TEXT_MAX] = ""; /* has room for ADDR_TEXT_MAX, too */
    struct packer *m;

    if (from)
        addr_text(from, text);
    else if (!remember(p, id, fd, text))
        return PEER_PUSH_AWAY;
    m = channel_begin(p->ch, MSG_PUSHED, 2);
    pack_kv_u64(m, "id", id);
    pack_kv_text(m, "addr", text);
    channel_end(p->ch, &fd, 1);
    return PEER_PUSH_OK;
}

enum peer_push peers_push(struct peers *all, struct span uid, int fd, const struct addr *from)
{
    struct peer *p = map_get(&all->by_uid, uid);
    usec_t now_us = loop_now_us(all->loop);

    if (!p || !p->push) return PEER_PUSH_UNKNOWN;
    if (!p->ch) return PEER_PUSH_AWAY;
    if (bucket_peek(&p->pushes, now_us) > 0) return PEER_PUSH_OFTEN;
    bucket_take(&p->pushes, now_us);
    return hand_over(p, fd, from);
}

/* --- the socket --- */

static const struct {
    enum message type;
    int (*fn)(struct peer *p, const struct packed *body);
} handlers[] = {
    {MSG_DIAL, on_dial},
    {MSG_UDP_BIND, on_udp_bind},
    {MSG_UDP_CONNECT, on_udp_connect},
    {MSG_UDP_CLOSE, on_udp_close},
};

static int on_message(struct channel *ch, struct incoming *in)
{
    struct peer *p = channel_arg(ch);

    for (size_t i = 0; i < ARRAY_N(handlers); i++)
        if (handlers[i].type == in->type) return handlers[i].fn(p, in->body);
    return -EPROTO;
}

static void drop_link(struct peer *p)
{
    loop_timer_stop(&p->gone);
    dial_stop(&p->dial);
    channel_free(p->ch);
    p->ch = NULL;
}

/* What belonged to the worker that was at the other end. */
static void drop_pairs(struct peer *p)
{
    for (size_t i = 0; i < PEER_PAIRS_MAX; i++) udp_pair_close(&p->pairs[i]);
    p->reached = false;
}

static void on_gone(struct loop_timer *t)
{
    drop_pairs(t->arg);
}

static void on_close(struct channel *ch, int err)
{
    struct peer *p = channel_arg(ch);

    if (err != 0) log_event_of(LOG_WARN, p->uid, "worker-refused", "err=%d", -err);
    drop_link(p);
    loop_timer_set(p->all->loop, &p->gone, PEER_GONE_US, on_gone, p);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static struct peer *peer_of(struct peers *all, struct span uid)
{
    struct peer *p = map_get(&all->by_uid, uid);

    if (p) return p;
    p = NEW(struct peer);
    p->all = all;
    span_copy(uid, p->uid, sizeof(p->uid));
    p->bucket = bucket_of(PEER_DIAL_EVERY_US, PEER_DIAL_BURST);
    p->pushes = bucket_of(PEER_PUSH_EVERY_US, PEER_PUSH_BURST);
    p->dial.fd = -1;
    for (size_t i = 0; i < PEER_PAIRS_MAX; i++) p->pairs[i].rtp = p->pairs[i].rtcp = -1;
    map_set(&all->by_uid, uid, p);
    return p;
}

void peers_add(struct peers *all, const struct packed *body, int fd)
{
    struct peer *p = peer_of(all, packed_str(body, "uid"));
    uint64_t gen = packed_u64(body, "gen", 0);
    char host[POLICY_HOST_MAX];

    drop_link(p);
    policy_done(&p->policy);
    packed_text(body, "host", host, sizeof(host));
    if (policy_new(host, packed_str(body, "allow"), packed_str(body, "deny"), &p->policy) < 0)
        log_event_of(LOG_ERROR, p->uid, "bad-policy", "effect=\"nothing is dialled\"");
    if (gen != p->gen ||
        (p->reached && policy_refuses(&p->policy, p->host, (const struct sockaddr *)&p->addr) != NULL))
        drop_pairs(p);
    p->gen = gen;
    p->push = packed_bool(body, "push", false);
    p->ch = channel_new(all->loop, fd, ROLE_CONNECTOR, ROLE_WORKER, &ops, p);
}

static void peer_free(struct peer *p)
{
    drop_link(p);
    drop_pairs(p);
    policy_done(&p->policy);
    mem_free(p);
}

void peers_remove(struct peers *all, struct span uid)
{
    struct peer *p = map_remove(&all->by_uid, uid);

    if (p) peer_free(p);
}

struct peers *peers_new(struct loop *l, const char *servers)
{
    struct peers *all = NEW(struct peers);

    all->loop = l;
    /* Pushes that began before a restart go on, each by its number: none of them is given again. */
    rng_bytes(&all->last_pushed, sizeof(all->last_pushed));
    all->dialer = dialer_new(l, bucket_of(FLEET_DIAL_EVERY_US, FLEET_DIAL_BURST), servers);
    return all;
}

void peers_free(struct peers *all)
{
    struct map_slot slot;
    size_t at = 0;

    if (!all) return;
    while (map_next(&all->by_uid, &at, &slot)) peer_free(slot.value);
    map_done(&all->by_uid);
    dialer_free(all->dialer);
    mem_free(all);
}
