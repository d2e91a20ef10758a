/* Cameras that push by a token (`publish://`): their workers ask through the master (PUSH_ASK), the answer is
 * that of the one access function, on the stream's home hub, and the grant is held as long as the camera
 * pushes. Whatever ends it (revoked, expired, another key) is said at once: PUSH_MAY again, with another
 * status. A login (user and password of stream-url) never comes here. Tests:
 * tests/unit/httpd/test_access_table.c, tests/unit/httpd/test_pushes.c, tests/e2e/test_push.py. */
#ifndef HTTPD_PUSHES_H
#define HTTPD_PUSHES_H

#include "httpd/hub.h"

/* From the main thread; the answer comes by server->push_said. The same uid and id again: asked anew. */
void pushes_ask(
    struct server *server, struct span uid, uint64_t id, const struct addr *addr, struct span token);
/* id 0: all of the stream. What was asked and is not answered is not answered any more. */
void pushes_over(struct server *server, struct span uid, uint64_t id);
void pushes_close_all(struct hub *hub);

#endif
