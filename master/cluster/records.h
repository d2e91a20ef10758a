/* What a site's etcd says (cluster-store): stream and node records, and which streams this node holds by its
 * lease. The courier reads them (courier/store.h); here they are judged. A stream's text goes the way of
 * files that another node has pushed (files.h): refused as a whole where it is wrong, the last good one
 * stays. Nodes are kept in state-dir, where the configuration finds them. So without etcd what was last read
 * counts, also over restarts, and nothing here waits for it. Tests: tests/unit/cluster/test_records.c,
 * tests/cluster/test_store.py. */
#ifndef CLUSTER_RECORDS_H
#define CLUSTER_RECORDS_H

#include "common/base/types.h"

struct cluster;
struct master;
struct packed;
struct records;

/* 0 or -errno: what was kept in state-dir cannot be read. */
int records_start(struct cluster *c);
void records_stop(struct cluster *c);
void records_begin(struct cluster *c); /* the courier has shaken hands */
void records_conf(struct cluster *c);  /* the configuration is another */
void records_tick(struct cluster *c);
/* Of the courier: ETCD_BEGIN, ETCD_ROW, ETCD_READY, ETCD_OWNS, ETCD_HELD. */
void records_on_begin(struct master *m, const struct packed *body);
void records_on_row(struct master *m, const struct packed *body);
void records_on_ready(struct master *m, const struct packed *body);
void records_on_owns(struct master *m, const struct packed *body);
void records_on_held(struct master *m, const struct packed *body);
/* What became of a stream's text of this revision; why NULL: it runs. */
void records_stored(struct master *m, const char *uid, uint64_t revision, const char *why);
/* Until when this node may act on the stream's footage for all: no later than until_us. With a store that is
 * as long as it holds the stream's key there, else 1: it has been over for long. */
usec_t records_until(const struct cluster *c, const char *uid, usec_t until_us);

#endif
