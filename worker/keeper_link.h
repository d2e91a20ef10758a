/* The worker's side of the keeper (messages 37 to 42). What was said of a closed segment is kept until the
 * keeper has it durably in its index, and said again to a new keeper. */
#ifndef WORKER_KEEPER_LINK_H
#define WORKER_KEEPER_LINK_H

#include "archive/seginfo.h"
#include "common/ipc/channel.h"

#define KLINK_PENDING_MAX 64 /* closed segments not yet stored; older ones the keeper finds by itself */

struct klink_ops {
    /* A folder to write to, the handler takes fd; or fd -1 and why not (positive errno). */
    void (*folder)(void *arg, int fd, int err, const char *storage);
    void (*connected)(void *arg); /* a new keeper: say what is open */
};

struct klink_pending;
struct klink {
    struct loop *loop;
    struct channel *keeper;
    const struct klink_ops *ops;
    void *arg;
    struct klink_pending *first; /* oldest first */
    unsigned n;
};

void klink_init(struct klink *k, struct loop *l, const struct klink_ops *ops, void *arg);
void klink_done(struct klink *k);
void klink_keeper(struct klink *k, int fd); /* takes fd */
void klink_ask(struct klink *k);
void klink_opened(struct klink *k, uint64_t id, const char *storage, const char *path, usec_t start_us);
void klink_closed(struct klink *k, const struct seg_info *info);
void klink_failed(struct klink *k, int err); /* negative */

#endif
