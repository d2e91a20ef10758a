/* A real etcd-server (Debian's) of this test alone: on a free port of this machine, its data in a folder that
 * goes with it. It ends with the test, however that ends. */
#ifndef SUPPORT_ETCD_SERVER_H
#define SUPPORT_ETCD_SERVER_H

#include "common/base/types.h"

#include <sys/types.h>

struct etcd_server {
    pid_t pid; /* 0: it does not run */
    char dir[64], url[64];
    uint16_t port, peer_port;
};

/* false: there is no etcd here. Whether it answers already is not known. */
bool etcd_server_new(struct etcd_server *s);
void etcd_server_start(struct etcd_server *s); /* again, with the data that it had */
void etcd_server_kill(struct etcd_server *s);  /* by SIGKILL */
void etcd_server_done(struct etcd_server *s);

#endif
