/* The keeper on its loop: which storages there are, which worker records where, and what passes between them,
 * the master and the storages' threads (disk.h). Nothing here waits for a disk. */
#ifndef ARCHIVE_KEEPER_H
#define ARCHIVE_KEEPER_H

#include "common/ipc/child.h"

struct keeper;
/* Messages go out by c's control channel. */
struct keeper *keeper_new(struct loop *l, struct child *c);
/* A message of the master. 0, or -EPROTO. */
int keeper_message(struct keeper *k, struct incoming *in);
/* Commits and closes all; done(arg) comes when the last storage has ended. */
void keeper_stop(struct keeper *k, void (*done)(void *arg), void *arg);

#endif
