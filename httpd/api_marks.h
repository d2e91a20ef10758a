/* archive.marks, for scripts: events or locks that other nodes of the cluster have, of one stream or of all,
 * with the newest first. Asked in the nodes' pools. Tests: tests/unit/httpd/test_archive_away.c,
 * tests/cluster/test_archive.py. */
#ifndef HTTPD_API_MARKS_H
#define HTTPD_API_MARKS_H

#include "common/ipc/event.h"
#include "httpd/hub.h"
#include "httpd/lua_calls.h"
#include "httpd/master_ask.h"

#define MARKS_ROWS_MOST 5000 /* of all nodes; older ones are left out, and of locks their nodes said */

/* args: [uid], from_us, to_us, [kind], [locks] (bool; else events), [limit] (the newest so many). said is
 * told with a copy of *call, as master_ask tells it: a row with this node's number (`self`; none where there
 * is no cluster), those of away_said.h, then one for each node that has not answered, or not all of which is
 * there (`missing`). */
void api_marks(struct server *server, struct loop *loop, const struct lua_call *call,
    const struct packed *args, void (*said)(void *arg, struct master_answer *a));

#endif
