/* Cameras that push inside TLS (publish-tls). This process alone has the key, so it takes TLS off: what comes
 * out goes through a pair of sockets, whose other end the master hands to the connector (PUSH_TLS), and that
 * to the stream's worker, as a connection to the plain listener. Neither request nor media is looked at here.
 * Tests: tests/unit/httpd/test_push_tls.c, tests/e2e/test_push.py. */
#ifndef HTTPD_PUSH_TLS_H
#define HTTPD_PUSH_TLS_H

#include "httpd/http.h"

/* Takes what it comes on. */
void push_tls_accept(struct door *door, struct conn_over over);
void push_tls_close_all(struct hub *hub);

#endif
