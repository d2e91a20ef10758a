/* What a site's etcd says (cluster-store): stream and node records, and which streams this node holds by its
 * lease. The courier reads them (courier/store.h); here they are judged. A stream's text goes the way of
 * files that another node has pushed (files.h): refused as a whole where it is wrong, the last good one
 * stays. Nodes are kept in state-dir, where the configuration finds them. So without etcd what was last read
 * counts, also over restarts, and nothing here waits for it. Tests: tests/unit/cluster/test_records.c,
 * tests/cluster/test_store.py. */
#ifndef CLUSTER_RECORDS_H
#define CLUSTER_RECORDS_H

#include "common/base/span.h"

struct cluster;
struct master;
struct metrics;
struct packed;
struct packer;
struct records;
struct session;

/* 0 or -errno: what was kept in state-dir cannot be read. */
int records_start(struct cluster *c);
void records_stop(struct cluster *c);
void records_begin(struct cluster *c); /* the courier has shaken hands */
void records_conf(struct cluster *c);  /* the configuration is another */
void records_tick(struct cluster *c);
/* Of the courier: ETCD_BEGIN, ETCD_ROW, ETCD_READY, ETCD_STATE, ETCD_OWNS, ETCD_HELD, ETCD_CHANGED. */
void records_on_begin(struct master *m, const struct packed *body);
void records_on_row(struct master *m, const struct packed *body);
void records_on_ready(struct master *m, const struct packed *body);
void records_on_state(struct master *m, const struct packed *body);
void records_on_changed(struct master *m, const struct packed *body);
void records_on_owns(struct master *m, const struct packed *body);
void records_on_held(struct master *m, const struct packed *body);
/* What became of a stream's text of this revision of the store; why NULL: it runs. kept: the revision of this
 * node by which it can be undone, 0: none. */
void records_stored(struct master *m, const char *uid, uint64_t revision, const char *why, uint64_t kept);
/* Of a text that came from there: who has asked this node for it. false: somebody else. */
struct records_by {
    const char *by, *why;
    uint64_t id; /* of all that he asked for at once */
};
bool records_by(const struct master *m, const char *uid, struct records_by *ret);

/* --- streams that are changed by call --- */

#define RECORDS_TEXT_MAX    (56u << 10)
#define RECORDS_CHANGES_MAX 128
#define RECORDS_BYTES_MAX   (512u << 10)

/* Where a stream is changed: in its file here, or, where it is kept or new, in the store. */
enum records_home { RECORDS_FILE, RECORDS_STORE };
#define RECORDS_NOBODY UINT64_MAX /* of records_order.who: it is asked, and nobody is answered */
/* Of the record by which this node's file is; 0: there is none, or what is there now is refused. */
uint64_t records_revision(const struct master *m, const char *uid);
bool records_has(const struct master *m, const char *uid); /* it is kept there, as far as is known */
enum records_home records_home(const struct master *m, const char *uid);
struct records_change {
    const char *uid;
    struct span text; /* of its file; p NULL: it goes */
};
struct records_order {
    const struct records_change *v;
    size_t n;
    uint64_t who; /* the act_id of a session, which is answered; 0: of none */
    const char *by, *why /* as in edits.h */;
};
/* All of them, or none. NULL: etcd is asked, and the answer goes to who waits, once this node runs by it; or
 * why nothing was changed. */
const char *records_change(struct master *m, const struct records_order *o);

/* --- msctl cluster store, cluster refused; /metrics --- */

int records_run(struct session *s);
bool records_row(struct session *s, struct packer *p);
bool records_row_refused(struct session *s, struct packer *p);
void records_metrics(const struct cluster *c, struct metrics *to);

/* Until when this node may act on the stream's footage for all: no later than until_us. With a store that is
 * as long as it holds the stream's key there, else 1: it has been over for long. */
usec_t records_until(const struct cluster *c, const char *uid, usec_t until_us);

#endif
