/* archive.elsewhere, for scripts: what the other nodes of the cluster have recorded of a stream, as ranges or
 * as segments, each with its node. Asked in the nodes' pools. Tests: tests/cluster/test_archive.py. */
#ifndef HTTPD_API_ELSEWHERE_H
#define HTTPD_API_ELSEWHERE_H

#include "httpd/hub.h"
#include "httpd/lua_calls.h"
#include "httpd/master_ask.h"

#define ELSEWHERE_ROWS_MOST 20000 /* of each node */

/* args: uid, from_us, to_us, segments (else ranges), limit. said is told with a copy of *call, as master_ask
 * tells it: a row with this node's number (`self`; none where there is no cluster), those of ranges or
 * segments, then one for each node that has not answered, or not all of which is there (`missing`). */
void api_elsewhere(struct server *server, struct loop *loop, const struct lua_call *call,
    const struct packed *args, void (*said)(void *arg, struct master_answer *a));

#endif
