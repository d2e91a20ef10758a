/* Records of streams that somebody changes by call (ETCD_CHANGE, ETCD_COMMIT): gathered, and put into the
 * site's etcd by one transaction that asks for the revisions they were read at. Nothing is kept for later:
 * where no endpoint answers, or one has gone while it was asked, that is the answer. Tests:
 * tests/unit/courier/test_store.c, against a real etcd-server. */
#ifndef COURIER_CHANGE_H
#define COURIER_CHANGE_H

#include "common/base/list.h"
#include "common/ipc/messages.h"
#include "common/ipc/pack.h"
#include "courier/etcd.h"
#include "courier/gateway.h"

#define CHANGES_MAX 32 /* transactions that are gathered or under way */
/* Of a transaction, keys and texts: etcd takes 1.5 MiB, and base64 adds a third. */
#define CHANGE_BYTES_MAX (1u << 20)

struct change_done {
    uint64_t id;
    enum etcd_changed how;
    uint64_t revision;
    const char *why;
};
typedef void change_fn(void *arg, const struct change_done *d);
struct changes {
    struct list v;
    size_t n;
    change_fn *fn;
    void *arg;
};

void changes_init(struct changes *c, change_fn *fn, void *arg);
void changes_done(struct changes *c);
void changes_add(struct changes *c, const struct packed *body); /* ETCD_CHANGE */
/* ETCD_COMMIT. e NULL: nobody answers. */
void changes_commit(struct changes *c, struct etcd *e, const char *prefix, const struct packed *body);
void changes_away(struct changes *c); /* what was under way has been dropped */

#endif
