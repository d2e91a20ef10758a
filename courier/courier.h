/* ms-courier: what nodes of a cluster say to each other beside heartbeats, over TLS, in a process of its own,
 * so that neither the master nor who serves viewers or owns the archive meets a stranger's bytes. It carries
 * messages between masters, finds and fetches footage of other nodes for httpd, and fills the archive of this
 * node with what others recorded for it, file by file, which the keeper makes, checks and puts into the
 * index. One loop; disks are read in pools of threads. Its death costs a reconnect.
 *
 *   courier.c   the process: what the master, httpd and the keeper ask
 *   nodes.c     the other nodes, each with a connection that was dialled and one that was accepted (trunk.c)
 *   wire.c      what goes over these
 *   post.c      messages from master to master
 *   away.c      what httpd asks about footage that is elsewhere; cache.c: segments of other nodes
 *   fill.c      what others recorded for this node: fill_round.c finds it, fill_copy.c fetches it,
 * fill_plan.c compares serve.c     what others ask about footage that is here; shelves.c: the storages,
 * look.c: what is on one
 *   store.c     records of a site's etcd, and keys of it by a lease (lease.c); change.c: records that are
 * changed
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include "common/ipc/child.h"
#include "courier/away.h"
#include "courier/fill.h"
#include "courier/post.h"
#include "courier/serve.h"
#include "courier/store.h"

struct courier {
    struct loop *loop;
    struct child *master;
    struct nodes *nodes;
    struct posts *posts;
    struct shelves shelves;
    struct serve serve;
    struct away away;
    struct fill *fill;
    struct channel *keeper; /* NULL: it does not run */
    struct loop_timer second;
    struct store store;
};

/* false: not started by a master. */
bool courier_start(struct loop *l);

#endif
