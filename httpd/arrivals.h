/* Connections of trusted proxies before their first byte: a header of the PROXY protocol says who the client
 * is (common/wire/proxy.h). From anybody else it is no header. Tests: tests/unit/httpd/test_arrivals.c. */
#ifndef HTTPD_ARRIVALS_H
#define HTTPD_ARRIVALS_H

#include <sys/socket.h>

#include "httpd/http.h"

#define ARRIVAL_WAIT_US HTTP_HEAD_TIMEOUT_US

/* Takes fd; go(door, fd, peer) has it when it is known whose it is: at once for who is no trusted proxy. */
void arrive(
    struct door *door, int fd, void (*go)(struct door *door, int fd, const struct sockaddr_storage *peer));
/* Those that wait are closed. */
void arrivals_stop(struct hub *hub);

#endif
