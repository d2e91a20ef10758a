/* Singular acts: what people ask of footage that several nodes hold, and that is to be done once and in one
 * order everywhere: deletes and locks (docs/decisions/033). Pure: messages, answers of the keeper and time
 * in; calls of struct act_ops out. acts.c is the way to it and from it.
 *
 * Whoever is asked passes the act on to the node that records the stream. That one takes a new term for it,
 * has a quorum of all nodes promise, each durably in its index, to do nothing older, and then does it: by a
 * stamp that every keeper holds against what it has promised, in the transaction that does it. Then it goes
 * to the others, until each has done it (act_outbox.c).
 *
 * The quorum is that of quorum.h. A promise is a lease, for one proposer: no other one gets it before
 * ACT_LEASE_US are over, or the act is. The proposer counts from before it asked, and stops ACT_SLACK_US
 * earlier. A node that has just started promises nothing for so long: it may have promised. Nor does one
 * whose number another server has too.
 *
 * Tests: tests/unit/cluster/test_act.c, test_act_simulation.c. */
#ifndef CLUSTER_ACT_H
#define CLUSTER_ACT_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/ipc/stamp.h"

#define ACT_LEASE_US   (10 * US_PER_S)
#define ACT_SLACK_US   (500 * US_PER_MS) /* clocks that drift, and the way to the keeper */
#define ACT_RETRY_US   (500 * US_PER_MS) /* between two requests for the same promise */
#define ACT_PATIENT_US (15 * US_PER_S)   /* of who asks, while another act is being decided */
#define ACT_FAR_US     (18 * US_PER_S)   /* for the node that it was passed on to; the API waits for 20 s */
#define ACT_AGAIN_US   (5 * US_PER_S)    /* a node that is there and has not said that it is done */
#define ACT_LATER_US   (30 * US_PER_S)   /* one that could not do it */
#define ACT_RECOVER_US (600 * US_PER_S)  /* for a keeper that does not say whether it has done an act */
#define ACT_TRIES      8                 /* terms for one act */
#define ACT_NODES_MAX  64
#define ACT_RUNS_MAX   64   /* acts that are being decided here, or passed on */
#define ACT_WAITS_MAX  4096 /* of all nodes: more are refused */

#define ACT_UID_MAX  40
#define ACT_BY_MAX   65
#define ACT_WORD_MAX 24
#define ACT_NOTE_MAX 257
#define ACT_TEXT_MAX 512

enum act_kind { ACT_DELETE = 1, ACT_LOCK = 2, ACT_UNLOCK = 3, ACT_KINDS };
struct act {
    uint64_t id; /* never 0; a lock has it too */
    struct stamp stamp;
    enum act_kind kind;
    char uid[ACT_UID_MAX], by[ACT_BY_MAX];
    char from[ACT_WORD_MAX], to[ACT_WORD_MAX]; /* microseconds; from: of ACT_UNLOCK the lock */
    char note[ACT_NOTE_MAX];
    usec_t at_us; /* wall clock, where it was asked */
};

/* From master to master. */
enum act_word_kind {
    ACT_ASK = 1,  /* do it: act without a stamp, ref */
    ACT_ANSWER,   /* ref, code, text, rows */
    ACT_PROMISE,  /* act */
    ACT_PROMISED, /* act's id and stamp; code CTL_OK, CTL_BUSY: not now, CTL_CHANGED: held is newer,
                     CTL_FAILED */
    ACT_DO,       /* act */
    ACT_DONE,     /* act's id and stamp; code, held */
    ACT_OVER,     /* act's id and stamp: it is not asked of you */
    ACT_WORDS
};
struct act_word {
    enum act_word_kind kind;
    struct act act;
    uint64_t ref;
    int code; /* of ctl.h */
    struct stamp held;
    char text[ACT_TEXT_MAX];
    struct span rows; /* a msgpack array, or SPAN_NONE */
};
void act_word_pack(struct packer *p, const struct act_word *w);
/* false: it is none, or of a later version. What it points to lives as long as u. */
bool act_word_read(const struct packed *v, struct act_word *ret);
void act_pack(struct packer *p, const struct act *a);
bool act_read(const struct packed *v, struct act *ret);

/* What the keeper is asked; acts_kept is its answer. */
enum act_keep { ACT_KEEP_PROMISE, ACT_KEEP_DO, ACT_KEEP_DID /* CTL_OK: it was done; CTL_CHANGED: not */ };
struct act_ops {
    void (*tell)(void *arg, uint16_t node, const struct act_word *w);
    /* until_us: CLOCK_MONOTONIC, 0: at any time. false: there is no keeper. */
    bool (*keep)(void *arg, uint64_t ref, enum act_keep what, const struct act *a, usec_t until_us);
    void (*answer)(void *arg, uint64_t who, int code, const char *text, struct span rows);
    uint16_t (*holder)(void *arg, const char *uid); /* as far as it is known here; 0: nobody who is there */
    bool (*there)(void *arg, uint16_t node);
    bool (*twice)(void *arg); /* another server has this node's number: neither speaks for it */
    uint64_t (*next_term)(void *arg, uint64_t above);
    void (*changed)(void *arg); /* what waits in the outbox, or is being decided: to be kept */
};

/* An act that other nodes have still to do. */
struct act_wait {
    struct list link;
    struct act act;
    uint16_t node;
    usec_t again_us;
    bool stale; /* refused as too old: it needs a new stamp */
    int code;   /* of its last refusal; CTL_OK: it has not answered */
};

struct acts {
    const struct act_ops *ops;
    void *arg;
    uint16_t self;
    uint64_t boot;
    usec_t started_us;
    uint16_t nodes[ACT_NODES_MAX]; /* all of the cluster, this one too, in order */
    size_t n_nodes;
    struct list runs;  /* struct act_run, in the order they were asked */
    struct list works; /* struct act_work: what the keeper does for others */
    struct map grants; /* uid -> struct act_grant */
    struct list waits; /* struct act_wait, oldest first */
    size_t n_runs, n_works, n_waits;
    uint64_t refs;
    uint64_t decided, refused, older; /* so far */
};

void acts_init(
    struct acts *a, const struct act_ops *ops, void *arg, uint16_t self, uint64_t boot, usec_t now_us);
void acts_done(struct acts *a);
/* The cluster's nodes, in any order, this one among them; more than ACT_NODES_MAX: acts are refused. What
 * waited for others ends: so many. */
size_t acts_nodes(struct acts *a, const uint16_t *nodes, size_t n);
bool acts_quorum(const struct acts *a, uint64_t of); /* bit i: nodes[i] */
/* Are there nodes enough, with this one, to decide anything? text: why not. */
bool acts_reach(const struct acts *a, char text[static ACT_TEXT_MAX]);
/* Somebody here asks; who (never 0) gets one answer. */
void acts_ask(struct acts *a, const struct act *act, uint64_t who, usec_t now_us);
void acts_forget(struct acts *a, uint64_t who); /* he has gone; the act goes on */
void acts_heard(struct acts *a, uint16_t from, const struct act_word *w, usec_t now_us);
/* The keeper's answer. */
struct act_kept {
    uint64_t ref;
    int code;
    const char *text;
    struct stamp held; /* the highest that it named; none: term 0 */
    struct span rows;  /* of ACT_KEEP_DO */
};
void acts_kept(struct acts *a, const struct act_kept *k, usec_t now_us);
/* What is being decided here, the i-th; NULL: there are no more. */
const struct act *acts_deciding(const struct acts *a, size_t i);
/* It was being decided when this node was killed: if the keeper has done it, the others get to know. */
void acts_recover(struct acts *a, const struct act *act, usec_t now_us);
/* Now and then, at least twice a second. */
void acts_tick(struct acts *a, usec_t now_us);

/* --- act_outbox.c: what others have still to do --- */
/* A node has to do it; nothing where it waits for it already. */
void acts_wait(struct acts *a, const struct act *act, uint16_t node, usec_t now_us);
bool acts_room(const struct acts *a); /* for one more act */
void acts_waits_heard(struct acts *a, uint16_t from, const struct act_word *done, usec_t now_us);
void acts_waits_tick(struct acts *a, usec_t now_us);
/* Does a stale one anew, by a stamp of now, for that node alone. false: not now. */
bool acts_renew(struct acts *a, const struct act *act, uint16_t node, usec_t now_us);
size_t acts_waiting(const struct acts *a, uint16_t node);
size_t acts_deletes(const struct acts *a, uint16_t node); /* of these */
void acts_each_delete(const struct acts *a, void (*fn)(void *arg, const struct act_wait *w), void *arg);
/* What waits for nodes that are none of the cluster any more will never be done: how many of them went. */
size_t acts_waits_nodes(struct acts *a);

#endif
