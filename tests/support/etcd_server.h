/* A real etcd-server (Debian's) of this test alone: on a free port of this machine, its data in a folder that
 * goes with it. It ends with the test, however that ends. */
#ifndef SUPPORT_ETCD_SERVER_H
#define SUPPORT_ETCD_SERVER_H

#include "common/base/types.h"

#include <sys/types.h>

struct etcd_server {
    pid_t pid; /* 0: it does not run */
    char dir[64], url[64];
    const char *pki; /* a folder with ca.pem, server.pem and server.key: it speaks TLS, and asks clients for a
                        certificate of that authority. NULL: plain */
    uint16_t port, peer_port;
};

/* The one of a test's process, and what a group of cmocka makes and takes it away by. Without an etcd here
 * the group fails: scripts/deps test installs it. Whether it answers already is not known. */
extern struct etcd_server etcd_server;
int etcd_server_up(void **state);
int etcd_server_up_tls(const char *pki);
int etcd_server_down(void **state);

void etcd_server_start(struct etcd_server *s); /* again, with the data that it had */
void etcd_server_kill(struct etcd_server *s);  /* by SIGKILL */

#endif
