/* The other nodes, as the master names them (COURIER_CONF): each is dialled as long as it is one of them,
 * over its addresses in turn, and asked over that connection (calls); what it asks comes on the one that it
 * has dialled. Who proves no key, or is not in the nodes file, changes nothing: he is counted, and one line a
 * minute says so. Tests: tests/unit/courier/test_nodes.c. */
#ifndef COURIER_NODES_H
#define COURIER_NODES_H

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/net/listener.h"
#include "courier/trunk.h"

#define NODES_MAX        256
#define PEER_ADDRS_MAX   4
#define PEER_DIAL_US     (3 * US_PER_S) /* to connect, over one address */
#define PEER_AGAIN_US    US_PER_S       /* between two rounds over its addresses */
#define PEER_CALLS_MAX   256            /* questions to one node at a time */
#define NODES_ACCEPT_MAX 64             /* connections whose other end has not greeted yet */

struct nodes;
struct peer;

/* A question. Zeroed memory is one that is not under way. */
struct call {
    struct list link;
    struct peer *peer;
    uint64_t id;
    usec_t patience_us, until_us;
    /* Each answer; END is the last one. f NULL: it has failed, err: EHOSTUNREACH, ETIMEDOUT. After either of
     * these the call is over. */
    void (*fn)(struct call *c, const struct wire_frame *f, int err);
    void *arg;
};

struct peer {
    struct nodes *nodes;
    uint16_t node;
    struct sockaddr_storage addrs[PEER_ADDRS_MAX];
    size_t n_addrs, next;
    struct loop_timer again;
    struct loop_io connecting;
    int fd;                 /* that connects; -1 */
    struct trunk *out, *in; /* dialled, accepted; NULL: there is none */
    struct list calls;
    size_t n_calls;
    usec_t since_us;              /* wall clock, of the state */
    bool there;                   /* out has greeted: it may be asked */
    char why[64];                 /* it is not */
    uint64_t bytes_in, bytes_out; /* of connections that are over */
    struct log_rate rate;
    void *post, *fill; /* of post.c, fill.c */
};

struct nodes_ops {
    void (*on_there)(void *arg, struct peer *p);
    void (*on_away)(void *arg, struct peer *p);
    void (*on_gone)(void *arg, struct peer *p); /* it is no node any more: what hangs on it has to go */
    /* A question of another node: answered by frames of its id on that link. */
    void (*on_question)(void *arg, struct trunk *l, const struct wire_frame *f);
    void (*on_trunk_room)(void *arg, struct trunk *l);
    void (*on_trunk_end)(void *arg, struct trunk *l); /* nobody may keep it */
};
struct nodes {
    struct loop *loop;
    const struct nodes_ops *ops;
    void *arg;
    struct trunk_self self; /* node 0: COURIER_CONF has not come */
    struct tls_mutual *keys;
    struct peer *v[NODES_MAX];
    size_t n;
    struct listener *listener;
    int listen_fd;
    struct trunk *fresh[NODES_ACCEPT_MAX]; /* accepted, not greeted */
    size_t n_fresh;
    uint64_t last_call, refused;
    struct log_rate refused_rate;
};

struct nodes *nodes_new(struct loop *l, const struct nodes_ops *ops, void *arg);
void nodes_free(struct nodes *p); /* NULL too; what waits in connections needs the loop still */
void nodes_conf(struct nodes *p, const struct packed *body);
void nodes_listen(struct nodes *p, int fd);                    /* takes it */
struct peer *nodes_find(const struct nodes *p, uint64_t node); /* NULL: none of them */
/* Whose connection it is; NULL: it has not greeted. */
struct peer *nodes_of(const struct nodes *p, const struct trunk *l);

/* A question: call_begin, the pairs, call_send. NULL: the node is not there (errno EHOSTUNREACH), or asked
 * too much (EBUSY). patience_us: without any answer for so long it has failed. */
struct packer *call_begin(
    struct peer *p, struct call *c, enum wire_type type, uint32_t pairs, usec_t patience_us);
void call_send(struct call *c);
/* The node need not go on; fn is not called again. Harmless on one that is over. */
void call_drop(struct call *c);
/* A frame behind the question: MORE. */
void call_more(struct call *c, uint64_t bytes);

#endif
