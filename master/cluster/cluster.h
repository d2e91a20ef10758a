/* The cluster, as this node takes part in it: who the others are and how they are, and which streams are
 * recorded here because of that. docs/decisions/030 and docs/cluster.md say how; what is decided is pure
 * (member.h, place.h), this is the way to it and from it.
 *
 *   cluster.c   its life: the configuration, the clock's beat, terms, draining
 *   hear.c      datagrams that come        tell.c     those that go
 *   streams.c   what runs here             health.c   how that is
 *   names.c     addresses of the nodes     show.c     msctl and /metrics
 *   courier.c   the process ms-courier     net.c      messages from master to master
 *   singular.c  deletes and locks of people, by act.c, act_outbox.c, act_word.c, which are pure
 *   files.c     streams' files on all nodes, by spread.c, which is pure
 *   transfer.c  streams that move to other nodes with their archive
 *   records.c   records of the site's etcd; takes.c puts them into files
 *
 * Without cluster-enable there is none (struct master's cluster is NULL), and every stream runs. Tests:
 * tests/unit/cluster, tests/cluster. */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "common/base/bucket.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/ring/ring.h"
#include "master/cluster/courier.h"
#include "master/cluster/link.h"
#include "master/cluster/net.h"
#include "master/cluster/place.h"
#include "master/state_file.h"

struct master;
struct stream;
struct packed;
struct metrics;
struct singular;
struct files;
struct transfers;
struct records;
struct takes;

#define CLUSTER_BEAT_US    (200 * US_PER_MS) /* decisions are made so often, however seldom heartbeats go */
#define CLUSTER_CLOCK_US   (2 * US_PER_S)    /* clocks that differ by more are shown */
#define CLUSTER_RESOLVE_US (60 * US_PER_S)   /* names are looked up anew */

/* Why a datagram changed nothing. */
enum cluster_bad {
    CLUSTER_BAD_LENGTH = 0,
    CLUSTER_BAD_FORM,
    CLUSTER_BAD_KEY,
    CLUSTER_BAD_FORGED,
    CLUSTER_BAD_FOREIGN,  /* of another cluster, or for another node */
    CLUSTER_BAD_STRANGER, /* of a node that is not in the nodes file */
    CLUSTER_BAD_MIRRORED, /* our own */
    CLUSTER_BAD_REPLAYED,
    CLUSTER_BAD_UNPROVEN,
    CLUSTER_BAD_TWICE,
    CLUSTER_BADS
};
const char *cluster_bad_word(enum cluster_bad b);

/* A way to a node. */
struct cluster_path {
    char host[256];
    uint16_t port;
    bool named; /* host is looked up */
    bool known; /* at holds */
    struct sockaddr_in6 at;
    usec_t asked_us; /* of the connector, last */
};
struct cluster_node {
    struct member member;
    struct cluster_path paths[MEMBER_PATHS_MAX];
    size_t n_paths;
    struct bucket replies;
    struct log_rate clock_rate;
    uint64_t sent, heard;
    struct courier_seen courier;
    /* revocations.c: so many rows it has, from the first on; some are on their way */
    size_t revoked_told, revoked_sent; /* rows of tokens.v: it has; it has once it answers */
    bool revoked_asked;
};

/* A stream of more than one node. */
struct cluster_stream {
    struct stream *s;
    uint64_t id;
    int64_t nodes[PLACE_NODES_MAX]; /* numbers of place.nodes; 0: nobody's */
    struct place place;
    enum place_why why;
    size_t by;                  /* who has it instead; place.n: nobody */
    char text[RING_REASON_MAX]; /* why it rests here */
    bool followed;              /* the stream knows of it */
    struct heartbeat_stream is; /* as the others are told */
    usec_t changed_us;          /* when that was another */
    /* health.c */
    usec_t run_us, grown_us, refused_us; /* 0: it does not; never */
    uint64_t grown, refusals, recorded_us, frames;
    usec_t full_us,
        asked_us;   /* since when the camera is full for nobody else's sake, 0: it is not; asked last */
    uint64_t in;    /* bytes of the camera, when it refused last; */
    usec_t came_us; /* since then it sends; 0: it does not */
    bool was_good;
    usec_t taken_us; /* from another: since then; 0: it was not */
    int64_t taken_from;
    bool courier_told;                   /* of it; also when nothing is left to tell */
    uint64_t fill_left, fill_left_bytes; /* segments that are known to be missing here (COURIER_LEFT) */
    bool key_wanted;                     /* of this node, in the site's etcd; */
    uint64_t key_term;                   /* it is ours, since that revision; 0: it is not */
};

struct cluster {
    struct master *m;
    struct link link;
    int listen_fd;         /* of the courier; -1 */
    usec_t ports_us;       /* tried to open, last */
    struct list net_waits; /* net.c: messages without an answer */
    size_t net_waiting;
    uint64_t net_id, net_ignored, channel_refused;
    uint64_t holds; /* hash of what the courier was told (COURIER_HOLD) */
    struct loop_timer beat;
    struct heartbeat_key keys[2]; /* the first seals */
    size_t n_keys;
    uint8_t secret[32]; /* of our challenges */
    uint64_t boot, counter, term;
    struct state_file *file;
    struct member_times times;
    struct cluster_node *nodes; /* the others */
    size_t n_nodes;
    struct cluster_stream **streams; /* by id; only those with a place */
    size_t n_streams;
    size_t told_stream, told_node; /* where the turns are */
    struct singular *singular;
    struct files *files;
    struct transfers *transfers;
    struct records *records;
    struct takes *takes;
    usec_t beat_us, told_us, started_us;
    usec_t twice_us; /* when this node's number was seen twice */
    bool drained, leaving, full, tight;
    uint64_t rate, rate_taken; /* bit/s of the cameras that this node has; of those it has taken over */
    struct log_rate bad_rate, twice_rate, term_rate;
    uint64_t bad[CLUSTER_BADS], taken, returned, late;
};

/* --- the master's calls; without a cluster they do nothing --- */

/* Before there are children. 0 or -errno: the port, or state-dir. */
int cluster_open(struct master *m);
void cluster_start(struct master *m); /* the streams are known */
void cluster_conf(struct master *m);  /* they or the nodes are others */
void cluster_leave(struct master *m); /* the server ends: the others are told */
void cluster_close(struct master *m);
/* A stream comes; goes. */
void cluster_add(struct stream *s);
void cluster_remove(struct stream *s);
/* Why the stream does not run here; NULL: it runs. */
const char *cluster_rests(const struct stream *s);
/* Where its viewers are sent, "": nowhere (cluster-redirect). */
const char *cluster_elsewhere(const struct stream *s);
/* The other nodes that are named for it, into ret; how many. 0: none is, or there is no cluster. */
size_t cluster_others(const struct stream *s, int64_t ret[PLACE_NODES_MAX]);
void cluster_resolved(struct master *m, const struct packed *body); /* RESOLVED */
void cluster_metrics(const struct master *m, struct metrics *to);

/* --- among its files --- */

struct cluster_node *cluster_node(const struct cluster *c, int64_t id); /* NULL: none of the others */
bool cluster_warming(const struct cluster *c, usec_t now_us);
bool cluster_twice(const struct cluster *c, usec_t now_us);
/* A term above all that were heard of, on its way to state-dir. */
uint32_t cluster_next_term(struct cluster *c);
/* false: it is none that a cluster gets to, and counts for nothing. */
bool cluster_heard_term(struct cluster *c, uint64_t term);

void hear_datagram(void *arg, struct span datagram, const struct sockaddr_in6 *from);
void tell_all(struct cluster *c, usec_t now_us);
/* One datagram without streams, to where another came from. */
void tell_back(
    struct cluster *c, uint16_t to, const struct sockaddr_in6 *at, uint64_t challenge, uint64_t answer);
/* Gives every stream its place, by the configuration that holds. */
void streams_place(struct cluster *c);
void streams_heard(struct cluster *c, const struct cluster_node *n, const struct heartbeat *h, usec_t now_us);
void streams_forget(
    struct cluster *c, const struct cluster_node *n); /* what it has said: it has started anew */
void streams_tick(struct cluster *c, usec_t now_us);
/* Where msctl wants it: how many are left to be given away. */
size_t streams_left(const struct cluster *c);
/* Looks at the stream's ring; what it found is in s->is. */
void health_look(struct cluster_stream *s, usec_t now_us);
void names_place(struct cluster *c); /* addresses of the nodes that hold now */
void names_tick(struct cluster *c, usec_t now_us);

#endif
