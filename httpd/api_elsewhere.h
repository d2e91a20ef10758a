/* archive.elsewhere, for scripts: what the other nodes of the cluster have recorded of a stream, as ranges or
 * as segments, each with its node. Asked in the nodes' pools. Tests: tests/cluster/test_archive.py. */
#ifndef HTTPD_API_ELSEWHERE_H
#define HTTPD_API_ELSEWHERE_H

#include "httpd/hub.h"
#include "httpd/lua_calls.h"

#define ELSEWHERE_ROWS_MOST 1000 /* of each node */

/* args: uid, from_us, to_us, segments (else ranges), limit. Answer: self (this node's number; 0: there is no
 * cluster), rows, missing (nodes that do not answer). */
void api_elsewhere(
    struct server *server, struct loop *loop, const struct lua_call *call, const struct packed *args);

#endif
