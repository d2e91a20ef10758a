#include "master/cluster/net.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/cluster/happened.h"
#include "master/cluster/revocations.h"
#include "master/master.h"

#include <errno.h>

#define NET_WAITING_MAX 4096 /* messages without an answer */

struct net_wait {
    struct list link;
    uint64_t id;
    net_sent_fn *fn;
    void *arg;
};

/* --- what goes --- */

static void settle(struct master *m, struct net_wait *w, int err)
{
    list_remove(&w->link);
    m->cluster->net_waiting--;
    w->fn(m, w->arg, err);
    mem_free(w);
}

void net_send(
    struct master *m, uint16_t node, enum net_kind kind, struct span body, net_sent_fn *fn, void *arg)
{
    struct channel *ch = services_channel(m, SERVICE_COURIER);
    struct cluster *c = m->cluster;
    struct net_wait *w;
    struct packer *p;

    if (!c || !ch || body.n > NET_BODY_MAX || c->net_waiting == NET_WAITING_MAX) {
        fn(m, arg, !c || !ch ? -EHOSTUNREACH : body.n > NET_BODY_MAX ? -EMSGSIZE : -ENOBUFS);
        return;
    }
    w = NEW(struct net_wait);
    *w = (struct net_wait){.id = ++c->net_id, .fn = fn, .arg = arg};
    list_push(&c->net_waits, &w->link);
    c->net_waiting++;
    p = channel_begin(ch, MSG_NET_SEND, 4);
    pack_kv_u64(p, "id", w->id);
    pack_kv_u64(p, "node", node);
    pack_kv_u64(p, "kind", (uint64_t)kind);
    pack_kv_bin(p, "body", body);
    channel_end(ch, NULL, 0);
}

void net_on_sent(struct master *m, const struct packed *body)
{
    uint64_t id = packed_u64(body, "id", 0);

    if (!m->cluster) return;
    LIST_EACH(&m->cluster->net_waits, link)
    {
        struct net_wait *w = LIST_ITEM(link, struct net_wait, link);

        if (w->id != id) continue;
        settle(m, w, -(int)MIN(packed_u64(body, "err", EIO), 4095));
        return;
    }
}

static void settle_all(struct master *m, int err)
{
    while (m->cluster && !list_empty(&m->cluster->net_waits))
        settle(m, LIST_ITEM(m->cluster->net_waits.next, struct net_wait, link), err);
}

void net_courier_gone(struct master *m)
{
    settle_all(m, -ETIMEDOUT);
}

/* --- what comes --- */

static const struct {
    enum net_kind kind;
    bool decides; /* what is done once depends on who says it; and it is said again where it was lost */
    void (*fn)(struct master *m, uint16_t node, uint64_t boot, struct span body);
} kinds[] = {
    {NET_KIND_ACT, true, singular_got},
    {NET_KIND_FILES, true, files_got},
    {NET_KIND_MOVE, true, transfers_got},
    {NET_KIND_REVOKED, false, revocations_got},
    {NET_KIND_EVENT, false, happened_got},
};

/* While two servers have a number, this node's or the other's, neither of them is the node: what one has
 * promised the other does not know. */
static bool is_doubtful(const struct cluster *c, uint16_t node)
{
    const struct cluster_node *n = cluster_node(c, node);

    return !n || n->member.state == NODE_INVALID || cluster_twice(c, clock_mono_us());
}

void net_on_got(struct master *m, const struct packed *body)
{
    uint64_t kind = packed_u64(body, "kind", 0);
    uint16_t node = (uint16_t)packed_u64(body, "node", 0);

    if (!m->cluster) return;
    for (size_t i = 0; i < ARRAY_N(kinds); i++)
        if (kinds[i].kind == kind && !(kinds[i].decides && is_doubtful(m->cluster, node))) {
            kinds[i].fn(m, node, packed_u64(body, "boot", 0), packed_str(body, "body"));
            return;
        }
    m->cluster->net_ignored++;
}

void net_done(struct master *m)
{
    settle_all(m, -EHOSTUNREACH);
}
