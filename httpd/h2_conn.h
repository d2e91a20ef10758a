/* HTTP/2 on a connection of a hub: each stream is a pipe with a connection of HTTP/1.1 at its other end
 * (http.h), which moves to the home of the camera that is asked for, as any other does. Decision 014. Tests:
 * tests/e2e/test_tls.py. */
#ifndef HTTPD_H2_CONN_H
#define HTTPD_H2_CONN_H

#include "httpd/http.h"

#define H2_PROTOCOL "\x02h2" /* as ALPN writes it */

/* Takes what it comes on. */
void h2_accept(struct door *door, struct conn_over over);
/* GOAWAY to all of a hub's; for server_each. */
void h2_goodbye_all(struct hub *hub, void *unused);
void h2_close_all(struct hub *hub);

#endif
