/* A site's etcd as the store of its cluster (cluster-store, docs/cluster.md):
 *
 *   PREFIX/streams/UID    the text of the stream's file
 *   PREFIX/nodes/NUMBER   hosts, as in the nodes file
 *   PREFIX/owners/UID     "NODE BOOT" of who holds the stream, under a lease (lease.h)
 *
 * All is read at one revision, in pages, and then watched from there; what comes goes on as it comes, and is
 * kept nowhere here. Whatever fails ends everything that is under way: the next endpoint is asked, behind a
 * pause that grows once all have failed. A watch that goes on where the last one ended says only what is new;
 * where that is not to be had (it was compacted, it is another store) all is read anew. Tests:
 * tests/unit/courier/test_store.c, against a real etcd-server. */
#ifndef COURIER_STORE_H
#define COURIER_STORE_H

#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/ipc/messages.h"
#include "common/ipc/pack.h"
#include "courier/change.h"
#include "courier/etcd.h"
#include "courier/gateway.h"
#include "courier/lease.h"

#define STORE_PREFIX_MAX 200
#define STORE_USER_MAX   65
#define STORE_FIRST_US   (250 * US_PER_MS) /* pause behind a round over all endpoints, doubled each time */
#define STORE_MOST_US    (5 * US_PER_S)
#define STORE_PAGE_MAX   64 /* keys; fewer where such an answer is too large */
/* Bytes that are not taken yet: more is not read; of a watch, which has to be read, it ends. */
#define STORE_QUEUE_MAX (1u << 20)
#define STORE_WATCH_MAX (16u << 20)

struct store_row {
    enum etcd_kind kind;
    struct span name, text;
    uint64_t revision;
    bool gone, large /* the text is too long, and not here */;
};
struct store_ops {
    void (*begin)(void *arg); /* all is said anew: what is not said until ready is not there */
    void (*row)(void *arg, const struct store_row *r);
    void (*ready)(void *arg, uint64_t revision, uint64_t cluster);
    void (*turned)(void *arg); /* it is there, or away */
    void (*changed)(void *arg, const struct change_done *d);
    void (*held)(void *arg, usec_t until_us);
    void (*owns)(void *arg, const char *uid, uint64_t term);
    size_t (*queued)(void *arg);
};

struct store {
    struct loop *loop;
    const struct store_ops *ops;
    void *arg;
    struct etcd *etcd; /* NULL: there is no store */
    struct lease lease;
    struct changes changes;
    char prefix[STORE_PREFIX_MAX], user[STORE_USER_MAX];
    struct secret password;
    struct loop_timer again; /* to begin, or the next page */
    usec_t pause_us;
    bool there; /* the watch stands */
    uint64_t cluster, revision /* up to which all is said; 0: nothing is */, reading;
    uint64_t page;
    uint8_t after[GATEWAY_KEY_MAX]; /* of the last page */
    size_t after_n;
    char why[ETCD_WHY_MAX]; /* it is not there; "": it is, or was not asked yet */
    struct log_rate rate;
};

void store_init(struct store *s, struct loop *l, const struct store_ops *ops, void *arg);
void store_done(struct store *s);
/* ETCD_CONF: all begins anew. */
void store_conf(struct store *s, const struct packed *body);
void store_own(struct store *s, const char *uid, bool wanted);
void store_commit(struct store *s, const struct packed *body); /* ETCD_COMMIT; changes.h gathers them */

#endif
