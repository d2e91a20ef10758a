/* Which streams this node holds by the word of etcd: a lease, and keys under it that only one can make. The
 * revision at which a key was made is the holder's term: it only rises, whoever makes it next. The lease ends
 * LEASE_SLACK_US before etcd may let it go, by CLOCK_MONOTONIC from before it was asked for. Tests:
 * tests/unit/courier/test_lease.c, and test_store.c against a real etcd-server. */
#ifndef COURIER_LEASE_H
#define COURIER_LEASE_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "courier/etcd.h"
#include "courier/gateway.h"

#define LEASE_TTL_MIN_S 5
#define LEASE_SLACK_US  (500 * US_PER_MS)
#define LEASE_ASKS_MAX  32 /* questions for keys at a time */
#define LEASE_UID_MAX   40
#define LEASE_SELF_MAX  32
#define LEASE_KEY_MAX   280

struct lease_ops {
    void (*failed)(void *arg, const char *why);              /* the endpoint is no good */
    void (*held)(void *arg, usec_t until_us);                /* CLOCK_MONOTONIC; 0: it is lost */
    void (*owns)(void *arg, const char *uid, uint64_t term); /* 0: no more */
};
struct lease {
    struct loop *loop;
    struct etcd *etcd;
    const struct lease_ops *ops;
    void *arg;
    char folder[LEASE_KEY_MAX]; /* of the keys, with '/' at its end */
    char self[LEASE_SELF_MAX];
    uint64_t ttl_s, id; /* 0: there is none */
    usec_t asked_us, until_us;
    bool there, asking;
    struct loop_timer beat, end;
    struct map owns;
    struct list todo;
    size_t n_asking;
};

void lease_init(struct lease *l, struct loop *loop, const struct lease_ops *ops, void *arg);
void lease_done(struct lease *l);
/* Another etcd, prefix or self: what was held is forgotten. */
void lease_conf(struct lease *l, struct etcd *e, const char *folder, const char *self, uint64_t ttl_s);
void lease_there(struct lease *l); /* the endpoint answers; what was under way is not any more */
void lease_away(struct lease *l);
void lease_want(struct lease *l, const char *uid, bool wanted);
/* A key of the folder has gone, or is there. */
void lease_heard(struct lease *l, struct span uid, const struct gateway_record *r);

#endif
