/* Who watches, for the API: the sessions that run and what runs of streams that are open to everybody, of all
 * hubs; and their end, at once and on every road. Players of HLS are listed where they have a session: of a
 * stream that is private, limited, or decided upon by a site's script. An id is a name here and opens
 * nothing. Called by scripts (api_calls.h), on the main loop. Tests: tests/e2e/test_viewers.py. */
#ifndef HTTPD_VIEWERS_H
#define HTTPD_VIEWERS_H

#include "httpd/hub.h"
#include "httpd/lua_calls.h"

#define VIEWERS_MAX    1000 /* of one answer */
#define VIEWERS_ID_MAX 32

/* "<hub>-<number>". false: it is none. */
bool viewers_id(struct span text, unsigned n_hubs, unsigned *ret_hub, uint64_t *ret_serial);

void viewers_start(struct server *server, struct loop *main);
/* Who watches at this hub now, by road; a player of HLS between two requests counts. On the hub's loop. */
void viewers_by_road(struct hub *hub, uint32_t v[static ROADS]);
/* Rows of the table of calls (api_calls.c).
 * { uid, user }, each may be missing: { rows = { { id, uid, user, address, agent, roads, since, last } },
 * total } */
void viewers_list(const struct lua_call *c, const struct packed *args);
/* { id } or { user }: { ended = how many } */
void viewers_end(const struct lua_call *c, const struct packed *args);

#endif
