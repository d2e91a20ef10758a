/* Streams' files that are the same on all nodes (spread.h), as the master reads and stores them: by the edits
 * (master/edits.h), which refuse what is wrong and keep what was there as a revision. Tests: tests/cluster.
 */
#ifndef CLUSTER_FILES_H
#define CLUSTER_FILES_H

#include "master/cluster/spread.h"

struct cluster;
struct files;
struct master;
struct session;

/* 0 or -errno: what was kept in state-dir cannot be read. */
int files_open(struct cluster *c);
void files_close(struct cluster *c);
void files_conf(struct cluster *c);
void files_tick(struct cluster *c, usec_t now_us);
void files_got(struct master *m, uint16_t node, uint64_t boot, struct span body);

/* May this node change what all nodes are to have? With cluster-push only where a quorum is there; text: at
 * least EDITS_TEXT_MAX. */
bool files_may_edit(const struct master *m, char *text);
/* May this node push at all, whatever cluster-push says? text as above. */
bool files_may_push(const struct master *m, char *text);
/* Streams' files were changed here by call: with cluster-push, everywhere. */
void files_edited(struct master *m, const char *uid, bool gone);
/* Whatever cluster-push says; base: spread.h. false: it cannot be pushed. */
bool files_push(struct master *m, const char *uid, const struct stamp *base);
bool files_pushing(const struct master *m, const char *uid); /* it is not decided yet */
const char *files_lost(
    const struct master *m, const char *uid); /* why the last push from here was not, or "" */
/* How a stream's file is elsewhere; NULL: it was never pushed. */
const struct spread_file *files_version(const struct master *m, const char *uid);
/* Another node has this version; it does not take it. */
bool files_has(const struct master *m, const struct spread_file *f, uint16_t node);
bool files_refuses(const struct master *m, const struct spread_file *f, uint16_t node);

/* msctl config push [UID], cluster files. */
int files_run_push(struct session *s);
bool files_row_push(struct session *s, struct packer *p);
bool files_row(struct session *s, struct packer *p);

#endif
