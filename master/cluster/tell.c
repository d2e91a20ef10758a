/* Datagrams that go: the same content to every node, over each way to it. */
#include "common/base/clock.h"
#include "master/cluster/cluster.h"
#include "master/master.h"

#define ROUND_US  US_PER_S /* every stream has its turn in so long */
#define RECENT_US US_PER_S /* what has changed goes first, for so long */
#define BURST_MAX 8        /* datagrams of one beat */

static void fill_head(const struct cluster *c, struct heartbeat *h, usec_t now_us)
{
    const struct master *m = c->m;

    *h = (struct heartbeat){.cluster = (uint16_t)m->conf->server.cluster_id,
        .from = (uint16_t)m->conf->server.node_id,
        .key = c->keys[0].id,
        .boot = c->boot,
        .term = c->term,
        .wall_us = clock_wall_us(),
        .uptime_s = (uint32_t)((now_us - c->started_us) / US_PER_S),
        .running = (uint16_t)MIN(m->fleet.alive, UINT16_MAX)};
    if (cluster_warming(c, now_us)) h->flags |= HEARTBEAT_WARMING;
    if (c->drained) h->flags |= HEARTBEAT_DRAINING;
    if (c->full) h->flags |= HEARTBEAT_FULL;
    if (c->tight) h->flags |= HEARTBEAT_TIGHT;
    if (c->leaving) h->flags |= HEARTBEAT_LEAVING;
}

static void add_peer(struct heartbeat *h, int64_t id, bool twice, usec_t age_us)
{
    struct heartbeat_peer *p = &h->peers[h->n_peers];

    if (h->n_peers == HEARTBEAT_PEERS_MAX) return;
    p->node = (uint16_t)id;
    p->flags = twice ? HEARTBEAT_TWICE : 0;
    p->age_10ms = (uint16_t)CLAMP(age_us / (10 * US_PER_MS), 0, HEARTBEAT_NEVER - 1);
    if (age_us < 0) p->age_10ms = HEARTBEAT_NEVER;
    h->n_peers++;
}

/* What was heard here, not what others said. */
static void fill_peers(struct cluster *c, struct heartbeat *h, usec_t now_us)
{
    if (cluster_twice(c, now_us)) add_peer(h, c->m->conf->server.node_id, true, 0);
    for (size_t i = 0; i < MIN(c->n_nodes, HEARTBEAT_PEERS_MAX - 1); i++) {
        const struct member *m = &c->nodes[c->told_node++ % c->n_nodes].member;

        add_peer(h, m->id,
            m->twice_us > 0 && now_us - m->twice_us<US_PER_S, m->heard_us> 0 && !m->leaving
                ? now_us - m->heard_us
                : -1);
    }
}

/* --- streams --- */

static void add_stream(struct heartbeat *h, const struct cluster_stream *s)
{
    h->streams[h->n_streams++] = s->is;
}

static void fill_recent(const struct cluster *c, struct heartbeat *h, usec_t now_us)
{
    for (size_t i = 0; i < c->n_streams && h->n_streams < HEARTBEAT_STREAMS_MAX / 2; i++)
        if (now_us - c->streams[i]->changed_us < RECENT_US) add_stream(h, c->streams[i]);
}

static void fill_turns(struct cluster *c, struct heartbeat *h)
{
    for (size_t i = 0; i < c->n_streams && h->n_streams < HEARTBEAT_STREAMS_MAX; i++) {
        add_stream(h, c->streams[c->told_stream++ % c->n_streams]);
    }
}

/* --- the wire --- */

static void send_to(struct cluster *c, struct heartbeat *h, uint16_t to, const struct sockaddr_in6 *at)
{
    uint8_t bytes[HEARTBEAT_MAX];
    size_t n;

    h->to = to;
    h->counter = ++c->counter;
    n = heartbeat_seal(h, &c->keys[0], bytes);
    if (n > 0) (void)link_send(&c->link, at, span(bytes, n));
}

void tell_back(
    struct cluster *c, uint16_t to, const struct sockaddr_in6 *at, uint64_t challenge, uint64_t answer)
{
    struct heartbeat h;

    fill_head(c, &h, clock_mono_us());
    h.challenge = challenge;
    h.answer = answer;
    send_to(c, &h, to, at);
}

/* Whoever is not there gets one a beat, which is enough to be found and to be told what is new: more would
 * wait in the kernel for a machine that does not answer (link.c). */
static void send_all(struct cluster *c, struct heartbeat *h, bool first)
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];

        if (!first && !member_counts(&n->member)) continue;
        for (size_t k = 0; k < n->n_paths; k++) {
            if (!n->paths[k].known) continue;
            h->path = (uint8_t)k;
            send_to(c, h, n->member.id, &n->paths[k].at);
            n->sent++;
        }
    }
}

void tell_all(struct cluster *c, usec_t now_us)
{
    usec_t every_us = c->m->conf->server.cluster_ping_interval_us;
    size_t per_beat = (size_t)((usec_t)c->n_streams * MIN(every_us, ROUND_US) / ROUND_US);
    size_t datagrams = MIN(1 + per_beat / (HEARTBEAT_STREAMS_MAX / 2), BURST_MAX);
    struct heartbeat h;

    for (size_t i = 0; i < datagrams; i++) {
        fill_head(c, &h, now_us);
        fill_peers(c, &h, now_us);
        if (i == 0) fill_recent(c, &h, now_us);
        fill_turns(c, &h);
        send_all(c, &h, i == 0);
    }
}
