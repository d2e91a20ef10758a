#include "courier/nodes.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>

#define PEER_CALL_TICK_US (250 * US_PER_MS)

static void dial(struct peer *p);

/* --- who was refused --- */

static void refused(struct nodes *p, const struct trunk *l, const char *why)
{
    uint32_t held;

    p->refused++;
    if (log_limited(&p->refused_rate, clock_mono_us(), &held))
        log_warn(
            "node-refused", "from=%s node=%u why=%s held=%u", l->addr, l->node, log_q(span_of(why)), held);
}

/* --- questions --- */

static void fail_call(struct call *c, int err)
{
    list_remove(&c->link);
    c->peer->n_calls--;
    c->peer = NULL;
    c->fn(c, NULL, err);
}

static void fail_calls(struct peer *p, int err)
{
    while (!list_empty(&p->calls)) fail_call(LIST_ITEM(p->calls.next, struct call, link), err);
}

static void watch_calls(struct peer *p, usec_t now_us)
{
    struct list late;

    /* one that fails may end others */
    list_init(&late);
    LIST_EACH(&p->calls, link)
    {
        struct call *c = LIST_ITEM(link, struct call, link);

        if (now_us < c->until_us) continue;
        list_remove(&c->link);
        list_push(&late, &c->link);
    }
    while (!list_empty(&late)) {
        struct call *c = LIST_ITEM(late.next, struct call, link);

        if (p->there) {
            (void)trunk_begin(p->out, WIRE_CANCEL, c->id, 0);
            trunk_send(p->out);
        }
        fail_call(c, ETIMEDOUT);
    }
}

struct packer *call_begin(
    struct peer *p, struct call *c, enum wire_type type, uint32_t pairs, usec_t patience_us)
{
    if (!p->there || p->n_calls >= PEER_CALLS_MAX) {
        errno = p->there ? EBUSY : EHOSTUNREACH;
        return NULL;
    }
    c->peer = p;
    c->id = ++p->nodes->last_call;
    c->patience_us = patience_us;
    c->until_us = loop_now_us(p->nodes->loop) + patience_us;
    return trunk_begin(p->out, type, c->id, pairs);
}

void call_send(struct call *c)
{
    list_push(&c->peer->calls, &c->link);
    c->peer->n_calls++;
    trunk_send(c->peer->out);
}

static void say(struct call *c, enum wire_type type, uint64_t bytes)
{
    struct trunk *l = c->peer->out;
    struct packer *p;

    if (!c->peer->there) return;
    p = trunk_begin(l, type, c->id, type == WIRE_MORE);
    if (type == WIRE_MORE) pack_kv_u64(p, "bytes", bytes);
    trunk_send(l);
}

void call_more(struct call *c, uint64_t bytes)
{
    if (c->peer) say(c, WIRE_MORE, bytes);
}

void call_drop(struct call *c)
{
    if (!c->peer) return;
    say(c, WIRE_CANCEL, 0);
    list_remove(&c->link);
    c->peer->n_calls--;
    c->peer = NULL;
}

/* Answers of questions that nobody waits for any more are let go. */
static void answered(struct peer *p, const struct wire_frame *f)
{
    LIST_EACH(&p->calls, link)
    {
        struct call *c = LIST_ITEM(link, struct call, link);

        if (c->id != f->id) continue;
        c->until_us = loop_now_us(p->nodes->loop) + c->patience_us;
        if (f->type == WIRE_END) {
            list_remove(&c->link);
            p->n_calls--;
            c->peer = NULL;
        }
        c->fn(c, f, 0);
        return;
    }
}

/* --- connections that were dialled --- */

static void away(struct peer *p, const char *why)
{
    bool was = p->there;

    p->there = false;
    span_copy(span_of(why), p->why, sizeof(p->why));
    if (was) {
        p->since_us = clock_wall_us();
        log_note("node-away", "node=%u why=%s", p->node, log_q(span_of(why)));
        p->nodes->ops->on_away(p->nodes->arg, p);
    }
    fail_calls(p, EHOSTUNREACH);
}

static void drop_trunk(struct peer *p, struct trunk **at)
{
    struct trunk *l = *at;

    if (!l) return;
    *at = NULL;
    p->bytes_in += l->in;
    p->bytes_out += l->out;
    p->nodes->ops->on_trunk_end(p->nodes->arg, l);
    trunk_free(l);
}

static void again(struct loop_timer *t)
{
    struct peer *p = t->arg;
    usec_t now_us = loop_now_us(p->nodes->loop);

    if (p->out) {
        watch_calls(p, now_us);
        loop_timer_set(p->nodes->loop, &p->again, PEER_CALL_TICK_US, again, p);
    } else {
        dial(p);
    }
}

static void next_address(struct peer *p, const char *why)
{
    uint32_t held;

    away(p, why);
    if (log_limited(&p->rate, clock_mono_us(), &held))
        log_info("node-unreached", "node=%u why=%s held=%u", p->node, log_q(span_of(why)), held);
    p->next = p->n_addrs > 0 ? (p->next + 1) % p->n_addrs : 0;
    loop_timer_set(p->nodes->loop, &p->again, p->next == 0 ? PEER_AGAIN_US : US_PER_MS, again, p);
}

static void out_ended(struct trunk *l, const char *why)
{
    struct peer *p = l->arg;

    drop_trunk(p, &p->out);
    next_address(p, why);
}

static bool out_hello(struct trunk *l, const char **ret_why)
{
    struct peer *p = l->arg;

    if (!tls_mutual_believes(p->nodes->keys, l->key_id)) {
        *ret_why = "its key is out of use";
        return false;
    }
    p->there = true;
    p->why[0] = 0;
    p->since_us = clock_wall_us();
    log_note("node-there", "node=%u addr=%s", p->node, l->addr);
    p->nodes->ops->on_there(p->nodes->arg, p);
    return true;
}

static void out_frame(struct trunk *l, const struct wire_frame *f)
{
    answered(l->arg, f);
}

static void out_room(struct trunk *l)
{
    (void)l;
}

static const struct trunk_ops out_ops = {out_hello, out_frame, out_room, out_ended};

static void connected(struct loop_io *io, unsigned events)
{
    struct peer *p = io->arg;
    int err = 0, fd = p->fd;
    socklen_t n = sizeof(err);

    (void)events;
    loop_io_stop(&p->connecting);
    p->fd = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0) err = errno;
    if (err != 0) {
        fd_close(&fd);
        next_address(p, err_text(-err));
        return;
    }
    p->out = trunk_new(p->nodes->loop, fd, p->nodes->keys, &p->nodes->self, p->node, &out_ops);
    p->out->arg = p;
    loop_timer_set(p->nodes->loop, &p->again, PEER_CALL_TICK_US, again, p);
}

static void late(struct loop_timer *t)
{
    struct peer *p = t->arg;

    loop_io_stop(&p->connecting);
    fd_close(&p->fd);
    next_address(p, err_text(-ETIMEDOUT));
}

static void dial(struct peer *p)
{
    const struct sockaddr_storage *at = &p->addrs[p->next];

    if (p->out || p->fd >= 0 || !p->nodes->keys) return;
    if (p->n_addrs == 0) {
        next_address(p, "it has no address");
        return;
    }
    p->fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0 || (connect(p->fd, (const struct sockaddr *)at, sizeof(*at)) < 0 && errno != EINPROGRESS)) {
        int err = errno;

        fd_close(&p->fd);
        next_address(p, err_text(-err));
        return;
    }
    loop_io_start(p->nodes->loop, &p->connecting, p->fd, LOOP_WRITE, connected, p);
    loop_timer_set(p->nodes->loop, &p->again, PEER_DIAL_US, late, p);
}

/* --- connections that were accepted --- */

static void forget_fresh(struct nodes *p, const struct trunk *l)
{
    for (size_t i = 0; i < p->n_fresh; i++)
        if (p->fresh[i] == l) {
            p->fresh[i] = p->fresh[--p->n_fresh];
            return;
        }
}

struct peer *nodes_of(const struct nodes *p, const struct trunk *l)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i]->in == l || p->v[i]->out == l) return p->v[i];
    return NULL;
}

static void in_ended(struct trunk *l, const char *why)
{
    struct nodes *p = l->arg;
    struct peer *of = nodes_of(p, l);

    if (!of) {
        refused(p, l, why);
        forget_fresh(p, l);
        trunk_free(l);
        return;
    }
    drop_trunk(of, &of->in);
}

/* A newer connection of a node ends the one before: it has started anew, or has lost it. */
static bool in_hello(struct trunk *l, const char **ret_why)
{
    struct nodes *p = l->arg;
    struct peer *of = nodes_find(p, l->node);

    if (!of) *ret_why = "it is none of our nodes";
    if (of && !tls_mutual_believes(p->keys, l->key_id)) *ret_why = "its key is out of use";
    if (*ret_why) return false;
    forget_fresh(p, l);
    drop_trunk(of, &of->in);
    of->in = l;
    return true;
}

static void in_frame(struct trunk *l, const struct wire_frame *f)
{
    const struct nodes *p = l->arg;

    p->ops->on_question(p->arg, l, f);
}

static void in_room(struct trunk *l)
{
    const struct nodes *p = l->arg;

    p->ops->on_trunk_room(p->arg, l);
}

static const struct trunk_ops in_ops = {in_hello, in_frame, in_room, in_ended};

static void accepted(void *arg, int fd)
{
    struct nodes *p = arg;
    struct trunk *l;

    if (p->n_fresh == NODES_ACCEPT_MAX || !p->keys) {
        fd_close(&fd);
        p->refused++;
        return;
    }
    l = trunk_new(p->loop, fd, p->keys, &p->self, 0, &in_ops);
    l->arg = p;
    p->fresh[p->n_fresh++] = l;
}

void nodes_listen(struct nodes *p, int fd)
{
    listener_free(p->listener);
    fd_close(&p->listen_fd);
    p->listen_fd = fd;
    fd_nonblock(fd);
    p->listener = listener_new(p->loop, fd, accepted, p);
}

/* --- the table --- */

struct nodes *nodes_new(struct loop *l, const struct nodes_ops *ops, void *arg)
{
    struct nodes *p = NEW(struct nodes);

    p->loop = l;
    p->ops = ops;
    p->arg = arg;
    p->listen_fd = -1;
    while (p->self.run == 0) rng_bytes(&p->self.run, sizeof(p->self.run));
    return p;
}

struct peer *nodes_find(const struct nodes *p, uint64_t node)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i]->node == node) return p->v[i];
    return NULL;
}

static void peer_free(struct peer *p)
{
    p->there = false;
    fail_calls(p, EHOSTUNREACH);
    p->nodes->ops->on_gone(p->nodes->arg, p);
    loop_timer_stop(&p->again);
    loop_io_stop(&p->connecting);
    fd_close(&p->fd);
    drop_trunk(p, &p->out);
    drop_trunk(p, &p->in);
    mem_free(p);
}

void nodes_free(struct nodes *p)
{
    if (!p) return;
    listener_free(p->listener);
    fd_close(&p->listen_fd);
    while (p->n > 0) peer_free(p->v[--p->n]);
    while (p->n_fresh > 0) trunk_free(p->fresh[--p->n_fresh]);
    tls_mutual_unref(p->keys);
    mem_free(p);
}

/* --- the configuration --- */

static bool named(const struct packed *nodes, uint16_t node)
{
    for (size_t i = 0; i < packed_n(nodes); i++)
        if (packed_u64(packed_at(nodes, i), "node", 0) == node) return true;
    return false;
}

static void drop_others(struct nodes *p, const struct packed *nodes)
{
    for (size_t i = p->n; i-- > 0;) {
        struct peer *gone = p->v[i];

        if (named(nodes, gone->node)) continue;
        p->v[i] = p->v[--p->n];
        peer_free(gone);
    }
}

/* "10.0.0.1:7445", "[::1]:7445" */
static bool address_of(struct span text, struct sockaddr_storage *ret)
{
    struct sockaddr_in6 *six = (void *)ret;
    struct sockaddr_in *four = (void *)ret;
    struct span host = text;
    struct addr a;
    uint64_t port;
    size_t at = text.n;

    while (at > 0 && text.p[at - 1] != ':') at--;
    if (at == 0 || !span_u64(span_from(text, at), UINT16_MAX, &port)) return false;
    host = span_sub(text, 0, at - 1);
    if (!addr_parse(host, &a)) return false;
    memset(ret, 0, sizeof(*ret));
    if (addr_is_v4(&a)) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        memcpy(&four->sin_addr, a.b + ADDR_V4_BITS / 8, sizeof(four->sin_addr));
    } else {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        memcpy(&six->sin6_addr, a.b, sizeof(a.b));
    }
    return true;
}

static void take_addrs(struct peer *p, const struct packed *addrs)
{
    p->n_addrs = 0;
    for (size_t i = 0; i < packed_n(addrs) && p->n_addrs < PEER_ADDRS_MAX; i++)
        if (address_of(packed_as_str(packed_at(addrs, i)), &p->addrs[p->n_addrs])) p->n_addrs++;
    if (p->next >= p->n_addrs) p->next = 0;
}

static void take_node(struct nodes *p, const struct packed *row)
{
    uint16_t node = (uint16_t)packed_u64(row, "node", 0);
    struct peer *one = nodes_find(p, node);

    if (node == 0 || (!one && p->n == NODES_MAX)) return;
    if (!one) {
        one = NEW(struct peer);
        *one = (struct peer){.nodes = p, .node = node, .fd = -1, .since_us = clock_wall_us()};
        list_init(&one->calls);
        p->v[p->n++] = one;
    }
    take_addrs(one, packed_get(row, "addrs"));
    if (!one->out && one->fd < 0) loop_timer_set(p->loop, &one->again, US_PER_MS, again, one);
}

/* A connection whose key is not believed any more ends; a key that is new takes its turn with the next one.
 */
static void drop_unbelieved(struct nodes *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct trunk *both[] = {p->v[i]->out, p->v[i]->in};

        for (size_t k = 0; k < ARRAY_N(both); k++)
            if (both[k] && both[k]->greeted && !tls_mutual_believes(p->keys, both[k]->key_id))
                trunk_close(both[k], "its key is out of use");
    }
}

static void take_keys(struct nodes *p, const struct packed *body)
{
    const struct packed *keys = packed_get(body, "keys");
    struct tls_mutual_setup s = {.cert = packed_str(body, "cert"),
        .key = packed_str(body, "key"),
        .authority = packed_str(body, "ca")};
    struct tls_mutual *now;
    char group[16];
    int err;

    snprintf(group, sizeof(group), "%u", p->self.cluster);
    s.group = span_of(group);
    for (size_t i = 0; i < packed_n(keys) && s.n_keys < TLS_MUTUAL_KEYS; i++) {
        const struct packed *row = packed_at(keys, i);
        struct span secret = packed_str(row, "secret");

        if (secret.n != TLS_MUTUAL_KEY_N) continue;
        s.keys[s.n_keys].id = (uint32_t)packed_u64(row, "id", 0);
        memcpy(s.keys[s.n_keys++].secret, secret.p, TLS_MUTUAL_KEY_N);
    }
    err = tls_mutual_new(&s, &now);
    explicit_bzero(s.keys, sizeof(s.keys));
    if (err != 0) { /* the master has looked at them */
        log_error("certificate", "what=%s", tls_why(err));
        return;
    }
    tls_mutual_unref(p->keys);
    p->keys = now;
}

void nodes_conf(struct nodes *p, const struct packed *body)
{
    const struct packed *nodes = packed_get(body, "nodes");

    p->self.node = (uint16_t)packed_u64(body, "node", 0);
    p->self.cluster = (uint16_t)packed_u64(body, "cluster", 0);
    p->self.boot = packed_u64(body, "boot", 0);
    take_keys(p, body);
    drop_unbelieved(p);
    drop_others(p, nodes);
    for (size_t i = 0; i < packed_n(nodes); i++) take_node(p, packed_at(nodes, i));
}
