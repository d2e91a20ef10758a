/* The nodes of the cluster, as the nodes file names them. Tests: tests/unit/conf/test_nodes.c. */
#ifndef CONF_NODES_H
#define CONF_NODES_H

#include "common/conf/conf.h"

#define CONF_NODE_PATHS_MAX 4
struct conf_node_path {
    char *host;    /* a name, or an address without brackets */
    uint16_t port; /* 0: cluster-port */
};
struct conf_node {
    int64_t id;
    struct conf_node_path paths[CONF_NODE_PATHS_MAX]; /* the first is its name */
    size_t n_paths;
};

/* By host name or number, this node too. 0: nobody. */
int64_t conf_node_id(const struct conf *c, struct span name);
/* Is it a number and hosts, as a line of the nodes file has them? '[' is none: addresses of IPv6 without
 * brackets. */
bool conf_node_ok(struct span id, struct span hosts);
bool conf_clustered(const struct conf *c); /* cluster-enable, and a key */

#endif
