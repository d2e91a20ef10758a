/* The nodes of the cluster, and what the cluster's keys ask of each other. */
#include "common/conf/nodes.h"
#include "common/base/mem.h"
#include "common/conf/load.h"
#include "common/conf/report.h"
#include "common/conf/store.h"
#include "common/conf/value.h"

#define NODE_ID_MAX 65535
#define HOST_MAX    255
#define KEY_CHARS   43 /* 256 bits as base64 */

/* --- the nodes file --- */

/* "host", "host:7445", "10.0.0.1", "[::1]:7445", "::1". */
static bool path_of(struct span s, struct conf_node_path *ret)
{
    bool bracket = s.n > 0 && s.p[0] == '[';
    ssize_t end = span_find(s, bracket ? ']' : ':');
    struct span host = s, port = SPAN_NONE;
    uint64_t number = 0;

    if (bracket && end < 2) return false;
    /* more than one colon, and no bracket: an address of IPv6 */
    if (end >= 0 && (bracket || span_find(span_from(s, (size_t)end + 1), ':') < 0)) {
        host = bracket ? span_sub(s, 1, (size_t)end - 1) : span_sub(s, 0, (size_t)end);
        port = span_from(s, (size_t)end + (bracket ? 1 : 0));
    }
    if (host.n == 0 || host.n > HOST_MAX) return false;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] <= ' ' || host.p[i] >= 0x7f) return false;
    if (port.n > 0 && (port.p[0] != ':' || !span_u64(span_from(port, 1), 65535, &number) || number == 0))
        return false;
    *ret = (struct conf_node_path){span_dup(host), (uint16_t)number};
    return true;
}

static void node_done(struct conf_node *n)
{
    for (size_t i = 0; i < n->n_paths; i++) mem_free(n->paths[i].host);
    *n = (struct conf_node){0};
}

static bool paths_read(struct span value, struct conf_node *n)
{
    struct span piece;

    if (value.n == 0) return false;
    while (span_split(&value, ',', &piece)) {
        if (n->n_paths == CONF_NODE_PATHS_MAX || !path_of(span_trim(piece), &n->paths[n->n_paths]))
            return false;
        n->n_paths++;
    }
    return true;
}

void load_nodes(struct load *l, const struct source *s, const struct source_section *sec)
{
    struct conf *c = l->c;

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];
        struct conf_node n = {0};
        uint64_t id;

        if (strcmp(item->key, "include") == 0) continue;
        if (!span_u64(span_of(item->key), NODE_ID_MAX, &id) || id == 0) {
            load_mistake(l, s, item->line, "nodes", item->key, "is not the number of a node, from 1 to %d",
                NODE_ID_MAX);
            continue;
        }
        if (item->torn || !paths_read(item->value, &n)) {
            load_mistake(l, s, item->line, "nodes", item->key,
                "is not a host name of 1 to %d characters, or up to %d of them, each with or without :port",
                HOST_MAX, CONF_NODE_PATHS_MAX);
            node_done(&n);
            continue;
        }
        for (size_t k = 0; k < c->n_nodes; k++)
            if (c->nodes[k].id == (int64_t)id)
                load_mistake(l, s, item->line, "nodes", item->key, "this node is named before");
        if (c->n_nodes == LOAD_NODES_MAX) {
            load_mistake(
                l, s, item->line, "nodes", item->key, "there are more than %d nodes", LOAD_NODES_MAX);
            node_done(&n);
            return;
        }
        n.id = (int64_t)id;
        c->nodes = mem_renew(c->nodes, (c->n_nodes + 1) * sizeof(*c->nodes));
        c->nodes[c->n_nodes++] = n;
    }
}

/* As the store named them, and the master has judged them: each in place of the one of its number. */
static void replace_node(struct conf *c, struct conf_node n)
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (c->nodes[i].id != n.id) continue;
        node_done(&c->nodes[i]);
        c->nodes[i] = n;
        return;
    }
    if (c->n_nodes == LOAD_NODES_MAX) {
        node_done(&n);
        return;
    }
    c->nodes = mem_renew(c->nodes, (c->n_nodes + 1) * sizeof(*c->nodes));
    c->nodes[c->n_nodes++] = n;
}

void load_store_nodes(struct load *l, const struct source_section *sec)
{
    for (size_t i = 0; i < sec->n; i++) {
        struct conf_node n = {0};
        uint64_t id;

        if (span_u64(span_of(sec->items[i].key), NODE_ID_MAX, &id) && id > 0 &&
            paths_read(sec->items[i].value, &n)) {
            n.id = (int64_t)id;
            replace_node(l->c, n);
        } else {
            node_done(&n);
        }
    }
}

bool conf_node_ok(struct span id, struct span hosts)
{
    struct conf_node n = {0};
    uint64_t number;
    bool ok = span_u64(id, NODE_ID_MAX, &number) && number > 0 && paths_read(hosts, &n);

    for (size_t i = 0; i < hosts.n; i++) ok = ok && hosts.p[i] >= ' ' && !strchr("\"'#;[", hosts.p[i]);
    node_done(&n);
    return ok;
}

void load_nodes_done(struct conf *c)
{
    for (size_t i = 0; i < c->n_nodes; i++) node_done(&c->nodes[i]);
    mem_free(c->nodes);
}

/* --- names --- */

int64_t conf_node_id(const struct conf *c, struct span name)
{
    uint64_t number;

    if (c->server.node_host[0] && span_iis(name, c->server.node_host)) return c->server.node_id;
    for (size_t i = 0; i < c->n_nodes; i++)
        for (size_t k = 0; k < c->nodes[i].n_paths; k++)
            if (span_iis(name, c->nodes[i].paths[k].host)) return c->nodes[i].id;
    if (!span_u64(name, NODE_ID_MAX, &number)) return 0;
    if ((int64_t)number == c->server.node_id) return c->server.node_id;
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].id == (int64_t)number) return c->nodes[i].id;
    return 0;
}

bool conf_clustered(const struct conf *c)
{
    return c->server.cluster_enable && secret_set(&c->server.cluster_key);
}

/* --- what asks for what --- */

static unsigned line_of(const struct load *l, const char *name)
{
    return l->given.lines[conf_row_index(conf_row_find(SCOPE_CONF, "server", name))];
}

static void check_key(struct load *l, const char *name, const struct secret *key)
{
    char path[48];

    if (!secret_set(key) || key->n >= KEY_CHARS) return;
    snprintf(path, sizeof(path), "server/%s", name);
    report_add(l->r, CONF_MISTAKE, l->c->file, line_of(l, name), path,
        "is too short to be a key: %d characters or more, as `openssl rand -base64 32` makes them",
        KEY_CHARS);
}

static void check_store(struct load *l, const struct secret *url)
{
    struct conf_store store;
    const char *why = secret_set(url) ? conf_store_read(secret_reveal(url), &store) : NULL;

    if (secret_set(url)) explicit_bzero(&store, sizeof(store));
    if (why)
        report_add(
            l->r, CONF_MISTAKE, l->c->file, line_of(l, "cluster-store"), "server/cluster-store", "%s", why);
    else if (secret_set(url) && !conf_clustered(l->c))
        report_add(l->r, CONF_WARNING, l->c->file, line_of(l, "cluster-store"), "server/cluster-store",
            "has no effect without cluster-enable and cluster-key");
}

static void check_names(struct load *l, const struct conf_stream *st, const struct conf_list *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (conf_node_id(l->c, span_of(names->v[i])) == 0)
            load_lack(l, LACK_NODE, st->file, st->line, st->uid);
}

void load_cluster_check(struct load *l)
{
    const struct conf_server *s = &l->c->server;

    check_key(l, "cluster-key", &s->cluster_key);
    check_key(l, "cluster-key-also", &s->cluster_key_also);
    if (s->cluster_enable && !secret_set(&s->cluster_key))
        report_add(l->r, CONF_WARNING, l->c->file, line_of(l, "cluster-enable"), "server/cluster-enable",
            "has no effect without cluster-key, which all nodes share: this node works alone");
    check_store(l, &s->cluster_store);
    if (!conf_clustered(l->c)) return;
    if (s->cluster_tolerance_us < 5 * s->cluster_ping_interval_us)
        report_add(l->r, CONF_WARNING, l->c->file, line_of(l, "cluster-tolerance"),
            "server/cluster-tolerance",
            "is less than five times cluster-ping-interval: a few lost datagrams take a node for dead");
    for (size_t i = 0; i < l->c->n_streams; i++) {
        check_names(l, l->c->streams[i], &l->c->streams[i]->primary_node);
        check_names(l, l->c->streams[i], &l->c->streams[i]->secondary_node);
    }
}
