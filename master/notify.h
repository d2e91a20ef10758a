/* sd_notify(3), by hand: datagrams to NOTIFY_SOCKET. Without one everything here does nothing. */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include "common/net/loop.h"

struct notify {
    int fd; /* -1: nobody listens */
    struct loop_timer watchdog;
};

/* Connects, and beats WATCHDOG=1 at half of WATCHDOG_USEC from now on. */
void notify_init(struct notify *n, struct loop *l);
void notify_done(struct notify *n);
void notify_ready(struct notify *n, size_t streams);
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);

#endif
