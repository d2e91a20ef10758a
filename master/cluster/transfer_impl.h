/* What transfer.c (phases), transfer_talk.c (what masters say, and copies that go), transfer_file.c
 * (state-dir) and transfer_ctl.c (who asks) share. */
#ifndef CLUSTER_TRANSFER_IMPL_H
#define CLUSTER_TRANSFER_IMPL_H

#include "master/cluster/cover.h"
#include "master/cluster/transfer.h"
#include "master/master.h"

#define TRANSFER_SIDES_MAX PLACE_NODES_MAX
#define TRANSFER_ORDER_MAX 48          /* numbers of as many nodes */
#define TRANSFER_FILE_NAME "transfers" /* in state-dir */
#define TRANSFER_ASK_US    US_PER_S    /* each node of it is asked so often how it is */

/* A node of a transfer. */
struct side {
    uint16_t node;
    bool freed;
    /* as it said last */
    usec_t heard_us; /* 0: never */
    bool runs, ready;
    bool covered;              /* of one that leaves: the first of the new nodes has all that it has */
    uint64_t left, left_bytes; /* segments that it has to fetch */
};
struct transfer {
    char uid[CONF_UID_MAX + 1], by[CONTROL_BY_MAX], text[TRANSFER_TEXT_MAX];
    enum transfer_phase phase;
    struct side to[TRANSFER_SIDES_MAX], from[TRANSFER_SIDES_MAX]; /* from: those that leave */
    size_t n_to, n_from;
    bool keep, pushed;               /* pushed: the file of this phase */
    unsigned pushes;                 /* of this phase */
    struct stamp order;              /* of the file that has its order; it is over when another one has */
    char before[TRANSFER_ORDER_MAX]; /* "1,2": what is replaced in the site's etcd; "": it is not begun */
    usec_t began_us, since_us;       /* wall clock */
    usec_t asked_us, put_us;         /* CLOCK_MONOTONIC; put_us: into the site's etcd, last */
};
/* The keeper lets copies go, for another node's transfer or our own. */
struct freeing {
    uint64_t ask; /* 0: none */
    char uid[CONF_UID_MAX + 1];
    uint16_t for_node;
    usec_t until_us;
};
struct transfers {
    struct cluster *c;
    struct state_file *file;
    struct transfer *v[TRANSFERS_MAX];
    size_t n;
    struct freeing freeing[TRANSFER_SIDES_MAX];
    struct covers *covers;
};

/* --- transfer.c --- */
struct transfers *transfers_of(const struct master *m); /* NULL: this node works alone */
uint16_t transfers_self(const struct transfers *t);
struct transfer *transfers_find(const struct transfers *t, struct span uid);
bool transfer_is_over(const struct transfer *x);
struct side *transfer_side(struct transfer *x, uint16_t node); /* NULL: it is not of it; x NULL too */
/* What of the stream's order this node goes by: the version that was pushed, or of the record in the site's
 * etcd (node 0). false: neither. */
bool transfer_version(const struct transfers *t, const char *uid, struct stamp *ret);
bool side_fresh(const struct side *s, usec_t now_us);          /* what it said last holds */
void sides_text(struct wr *w, const struct side *v, size_t n); /* "3,2" */
const char *transfer_phase_word(enum transfer_phase phase);
void transfer_enter(struct transfers *t, struct transfer *x, enum transfer_phase phase, const char *text);

/* --- transfer_file.c --- */
void transfers_save(struct transfers *t);
void transfers_load(struct transfers *t, int state_dir);

/* --- transfer_talk.c --- */
/* Each of its nodes is asked how it is: what they say comes into its sides. */
void transfer_ask_sides(struct transfers *t, struct transfer *x, usec_t now_us);
/* The node lets its copies go, when it finds that `first` has all of them; it is asked again until it says
 * so. */
void transfer_ask_free(
    struct transfers *t, const struct transfer *x, uint16_t node, const struct stamp *stamp);
extern const struct cover_ops transfer_cover_ops;

#endif
