/* Messages from master to master (NET_SEND, NET_GOT): each is given to the other master once, or whoever sent
 * it is told that it was not, or that nobody can say. What was on its way when a connection broke is said
 * again over the next one, to the same courier there, which knows what it has had. Tests:
 * tests/unit/courier/test_nodes.c. */
#ifndef COURIER_POST_H
#define COURIER_POST_H

#include "courier/nodes.h"

#define POST_PATIENCE_US (5 * US_PER_S) /* from NET_SEND to its answer */
#define POST_MOST        1024           /* to one node, on their way */
#define POST_WINDOW      4096           /* numbers that are remembered of a node */

struct posts;
struct posts_ops {
    void (*sent)(void *arg, uint64_t id, int err);
    /* Of another node. false: there is no room for it now. */
    bool (*got)(void *arg, uint16_t node, uint64_t boot, uint64_t kind, struct span body);
};
struct posts *posts_new(struct loop *l, struct nodes *nodes, const struct posts_ops *ops, void *arg);
void posts_free(struct posts *p);
void posts_send(struct posts *p, const struct packed *body); /* NET_SEND */
void posts_there(struct posts *p, struct peer *peer);
void posts_gone(struct posts *p, struct peer *peer);
/* POST of another node. */
void posts_take(struct posts *p, struct trunk *l, const struct wire_frame *f);

#endif
