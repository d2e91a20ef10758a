/* What records.c (judging what the site's etcd says), records_kept.c (state-dir), records_change.c (changes
 * by call) and records_show.c share. */
#ifndef CLUSTER_RECORDS_IMPL_H
#define CLUSTER_RECORDS_IMPL_H

#include "common/base/bucket.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/conf.h"
#include "master/cluster/records.h"
#include "master/state_file.h"

#define RECORDS_HOSTS_MAX 600
#define RECORDS_UID_MAX   40
#define RECORDS_NODES_MAX 256
#define RECORDS_AT_MAX    320
#define RECORDS_WHY_MAX   200

/* A stream that the store has, or had. */
struct stored {
    char uid[RECORDS_UID_MAX];
    uint64_t revision, sum; /* of the text that was judged last; 0: of none */
    uint64_t asked, asked_sum;
    char *why;          /* what is there now is refused; NULL: it is not */
    uint64_t why_named; /* revision that the log has named as refused */
    bool ours;          /* its file is from there */
    bool kept;          /* the store had lost it: no read takes it away, only a delete that is seen */
    bool was;           /* before all was read anew */
    bool seen, gone;
};
struct stored_node {
    char id[8], hosts[RECORDS_HOSTS_MAX];
    bool kept, was, seen; /* as of a stream */
};
/* As the courier said it last. */
struct store_state {
    bool there;
    char at[RECORDS_AT_MAX], why[RECORDS_WHY_MAX];
    uint64_t revision, cluster;
    usec_t answered_us, heard_us; /* CLOCK_MONOTONIC; 0: never */
};
struct records {
    struct cluster *c;
    struct state_file *file;
    struct map streams;
    struct stored_node *nodes;
    size_t n_nodes;
    uint64_t told; /* hash of the settings that the courier has; 0: none */
    bool reading, unsaved, nodes_changed;
    uint64_t revision; /* highest that the store has said */
    uint64_t cluster;  /* cluster_id of the etcd that was read last; 0: none was */
    usec_t until_us;   /* of the lease */
    struct store_state state;
    struct list changes; /* records_change.c */
    size_t n_changes;
    struct log_rate rate;
    struct bucket named; /* refused records that the log may name */
    uint32_t unnamed;
};

bool records_wanted(const struct cluster *c);       /* cluster-store is set */
struct records *records_of(const struct master *m); /* NULL: no cluster */
struct stored *records_stream(struct records *r, struct span uid, bool make);
struct stored_node *records_node(struct records *r, struct span id, bool make);

/* records_kept.c */
void records_load(struct records *r, int state_dir);
void records_save(struct records *r);
int records_write_nodes(const struct records *r);
void records_apply_nodes(struct records *r); /* into state-dir, and into what runs */

/* records_change.c: a record has come back, and what became of it. */
void records_change_taken(struct records *r, const struct stored *v, const char *why, uint64_t revision);
void records_change_tick(struct records *r, usec_t now_us);
void records_change_stop(struct records *r);
/* A record that the store has no more, as nobody else would say. */
void records_take_gone(struct records *r, struct stored *v, uint64_t revision);

#endif
