/* A stream moves to other nodes, with its archive (docs/cluster.md): its file gets the new order everywhere
 * (files.h), the new nodes record before the old ones stop, the first of them fetches all footage (the
 * courier), then the old nodes leave the order, and keep their copies or let them go. The node where it was
 * asked for leads; what it is at stands in state-dir, and goes on after a restart. Asked again, it goes on
 * too. Tests: tests/cluster. */
#ifndef CLUSTER_TRANSFER_H
#define CLUSTER_TRANSFER_H

#include "common/ipc/pack.h"
#include "master/cluster/place.h"

#define TRANSFERS_MAX     200 /* of which those that are done go first */
#define TRANSFER_TEXT_MAX 200

struct cluster;
struct master;
struct session;
struct spread_file;
struct transfers;

enum transfer_phase {
    TRANSFER_SPREAD = 0, /* the file with the new order goes to all nodes */
    TRANSFER_TAKE,       /* the first of the new nodes records, the old ones stop */
    TRANSFER_FILL,       /* it fetches what was recorded before */
    TRANSFER_SETTLE,     /* the old nodes leave the order */
    TRANSFER_FREE,       /* and let their copies go */
    TRANSFER_DONE,
    TRANSFER_FAILED,
    TRANSFER_PHASES
};

/* 0 or -errno: what was kept in state-dir cannot be read. */
int transfers_open(struct cluster *c);
void transfers_close(struct cluster *c);
void transfers_tick(struct cluster *c, usec_t now_us);
void transfers_got(struct master *m, uint16_t node, uint64_t boot, struct span body);
/* A push of the stream's file is agreed upon (spread.h): now the file gets the order that it is pushed for.
 * f->based: it replaces the transfer's own first one alone. NULL, or why it could not be changed. */
const char *transfers_agreed(struct master *m, const struct spread_file *f);
/* KEEP_ROW, KEEP_END; false: it was not asked here. */
bool transfers_keep_row(struct master *m, const struct packed *body);
bool transfers_keep_end(struct master *m, const struct packed *body);
/* transfer UID NODES [keep|free]; transfers [UID] */
int transfers_run(struct session *s);
int transfers_run_list(struct session *s);
bool transfers_row(struct session *s, struct packer *p);

#endif
