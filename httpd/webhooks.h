/* The master's webhooks on their way: HOOKS becomes a POST (outgoing.h), its end HOOKS_DONE. One at a time;
 * the queue, the order and the patience are the master's (master/hooks.h). */
#ifndef HTTPD_WEBHOOKS_H
#define HTTPD_WEBHOOKS_H

#include "common/ipc/channel.h"
#include "httpd/outgoing.h"

#define WEBHOOKS_LIMIT_US (20 * US_PER_S)

struct webhooks {
    struct loop *loop;
    struct channel *master;
    uint64_t id; /* on its way; 0: none */
};
void webhooks_on(struct webhooks *w, struct outgoing *o, const struct packed *body);

#endif
