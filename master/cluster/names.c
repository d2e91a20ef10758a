/* Addresses of the nodes: those that are written as such hold at once, names are looked up by the connector,
 * and again every minute; what was found last holds until something else is found. */
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/conf/nodes.h"
#include "common/ipc/pack.h"
#include "master/cluster/cluster.h"
#include "master/master.h"

#define ANEW_US (2 * US_PER_S) /* while there is none */

static const struct conf_node *conf_of(const struct conf *conf, int64_t id)
{
    for (size_t i = 0; i < conf->n_nodes; i++)
        if (conf->nodes[i].id == id) return &conf->nodes[i];
    return NULL;
}

static bool same(const struct cluster_path *p, const struct conf_node_path *is, uint16_t port)
{
    return p->port == port && strcmp(p->host, is->host) == 0;
}

static void place_path(struct cluster_path *p, const struct conf_node_path *is, uint16_t port)
{
    *p = (struct cluster_path){.port = port};
    span_copy(span_of(is->host), p->host, sizeof(p->host));
    p->known = link_addr(span_of(is->host), port, &p->at);
    p->named = !p->known;
}

void names_place(struct cluster *c)
{
    const struct conf *conf = c->m->conf;

    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        const struct conf_node *is = conf_of(conf, n->member.id);

        must(is != NULL);
        for (size_t k = 0; k < is->n_paths; k++) {
            int64_t port = is->paths[k].port ? is->paths[k].port : conf->server.cluster_port;

            if (k >= n->n_paths || !same(&n->paths[k], &is->paths[k], (uint16_t)port))
                place_path(&n->paths[k], &is->paths[k], (uint16_t)port);
        }
        n->n_paths = is->n_paths;
    }
}

static void ask(struct cluster *c, struct cluster_path *p, usec_t now_us)
{
    struct channel *connector = services_channel(c->m, SERVICE_CONNECTOR);
    usec_t wait_us = p->known ? CLUSTER_RESOLVE_US : ANEW_US;
    struct packer *m;

    if (!p->named || !connector || (p->asked_us > 0 && now_us - p->asked_us < wait_us)) return;
    p->asked_us = now_us;
    m = channel_begin(connector, MSG_RESOLVE, 1);
    pack_kv_text(m, "host", p->host);
    channel_end(connector, NULL, 0);
}

void names_tick(struct cluster *c, usec_t now_us)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        for (size_t k = 0; k < c->nodes[i].n_paths; k++) ask(c, &c->nodes[i].paths[k], now_us);
}

/* true: it is another one. */
static bool take(struct cluster_node *n, struct cluster_path *p, struct span addr)
{
    struct sockaddr_in6 at;
    bool other;

    if (!link_addr(addr, p->port, &at)) return false;
    other = !p->known || memcmp(&at.sin6_addr, &p->at.sin6_addr, sizeof(at.sin6_addr)) != 0;
    if (other)
        log_note(
            "node-address", "node=%u host=%s addr=%s", n->member.id, log_q(span_of(p->host)), log_q(addr));
    p->at = at;
    p->known = true;
    return other;
}

void cluster_resolved(struct master *m, const struct packed *body)
{
    struct span host = packed_str(body, "host"), addr = packed_str(body, "addr");
    struct cluster *c = m->cluster;
    bool others = false;

    for (size_t i = 0; c && i < c->n_nodes; i++)
        for (size_t k = 0; k < c->nodes[i].n_paths; k++)
            if (c->nodes[i].paths[k].named && span_is(host, c->nodes[i].paths[k].host))
                others |= take(&c->nodes[i], &c->nodes[i].paths[k], addr);
    if (others) courier_conf(m);
}
