/* The listening sockets, of viewers and of cameras that push: bound by the master before anybody else runs,
 * kept over httpd's deaths, handed down with LISTEN. A reload binds the new ones first and closes the old
 * ones only when all of them stand. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "common/conf/conf.h"
#include "common/ipc/channel.h"

struct listener_row {
    const char *kind; /* of LISTEN */
    char *host, *base;
    uint16_t port;
    bool tls;
    int fd;
};
struct listeners {
    struct listener_row *v;
    size_t n;
};

/* All that c asks for, taking over from old what is the same (old keeps its own). 0, or -errno of the first
 * that could not be bound, which is logged. */
int listeners_open(const struct conf *c, const struct listeners *old, struct listeners *ret);
void listeners_done(struct listeners *l);
void listeners_send(const struct listeners *l, struct channel *httpd);
/* Those of cameras that push. */
void listeners_send_push(const struct listeners *l, struct channel *connector);

#endif
