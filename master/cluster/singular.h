/* Singular acts of people (act.h), as the master carries them: questions of msctl and the API, what the
 * keeper is asked for them, words between masters, and what waits for nodes that were away, in state-dir.
 * Without a cluster, and for a stream that names no node, a question goes to the keeper as ever. Tests:
 * tests/cluster. */
#ifndef CLUSTER_SINGULAR_H
#define CLUSTER_SINGULAR_H

#include "master/cluster/act.h"

struct cluster;
struct master;
struct metrics;
struct session;
struct singular;

/* 0 or -errno: what was kept in state-dir cannot be read. */
int singular_open(struct cluster *c);
void singular_close(struct cluster *c);
void singular_conf(struct cluster *c); /* the nodes are others */
void singular_tick(struct cluster *c, usec_t now_us);
void singular_metrics(const struct cluster *c, struct metrics *to);
/* Could an act be decided with the nodes that are there? text: why not, at least ACT_TEXT_MAX. */
bool singular_reach(const struct cluster *c, char *text);
/* Acts that wait for a node. */
size_t singular_waiting(const struct cluster *c, uint16_t node);
size_t singular_deletes(const struct cluster *c, uint16_t node); /* of these */
void singular_each_delete(
    const struct cluster *c, void (*fn)(void *arg, const struct act_wait *w), void *arg);
/* Of another master. */
void singular_got(struct master *m, uint16_t node, uint64_t boot, struct span body);

/* May footage of it lie on several nodes? */
bool singular_shared(const struct master *m, const char *uid);
/* Of a shared stream, on the server's own account; who (a number of control.asks): exports_acted gets the
 * answer, perhaps at once. */
void singular_unlock(struct master *m, const char *uid, const char *lock, const char *by, uint64_t who);
/* Runs a command: uid and two times in microseconds, and a note; or uid and a lock. CONTROL_WAITS, or a code.
 */
int singular_run(struct session *s, enum act_kind kind);
void singular_forget(struct session *s); /* who asked has gone */
/* KEEP_ROW and KEEP_END of what was asked here; false: it was not. */
bool singular_keep_row(struct master *m, const struct packed *body);
bool singular_keep_end(struct master *m, const struct packed *body);
void singular_keeper_gone(struct master *m);
/* msctl cluster acts: a row an act and node. */
bool singular_row(struct session *s, struct packer *p);

#endif
