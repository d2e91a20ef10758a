/* Streams' files on all nodes (docs/cluster.md): whoever pushes one gives it a stamp, and of two versions the
 * newer stamp counts, everywhere. Nodes tell each other what they have and fetch what is newer, so that one
 * that was away catches up. What a node finds wrong it refuses, keeps its last good file, and says why.
 *
 * A push counts when a quorum of the nodes (quorum.h) has promised, each durably, to promise nothing older
 * for this stream (spread_push.c). One that was given a base is refused by whoever has taken, or promised, a
 * newer version than that: so what was begun long ago does not undo what was decided since.
 *
 * Pure: words, time and the answers of struct spread_ops in and out; files.c reads and stores files. Tests:
 * tests/unit/cluster/test_spread.c, test_order_simulation.c. */
#ifndef CLUSTER_SPREAD_H
#define CLUSTER_SPREAD_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/ipc/stamp.h"

#define SPREAD_UID_MAX   40
#define SPREAD_ETAG_MAX  17
#define SPREAD_WHY_MAX   200
#define SPREAD_ROWS_MAX  300             /* of one word */
#define SPREAD_UIDS_MAX  20000           /* as many streams are known by what others say, CONF_STREAMS_MAX */
#define SPREAD_FILES_MAX 50              /* that are fetched at a time */
#define SPREAD_TEXT_MAX  (56u << 10)     /* of a file: it goes in one message */
#define SPREAD_AGAIN_US  (10 * US_PER_S) /* a word without an answer */
#define SPREAD_ROUNDS    6               /* of them: a file that was refused is offered again */
#define SPREAD_NODES_MAX 64
#define SPREAD_ASK_US    (2 * US_PER_S)  /* a promise is asked for again */
#define SPREAD_ONCE_US   (10 * US_PER_S) /* of one who waits: not decided by then, it never is */
#define SPREAD_TRIES     8               /* terms for one push */

/* A version of a stream's file. */
struct spread_file {
    char uid[SPREAD_UID_MAX];
    struct stamp stamp;
    char etag[SPREAD_ETAG_MAX]; /* of its bytes; "": it is gone */
    bool gone;
    uint64_t has;             /* bit i: nodes[i] has said that it has it */
    uint64_t refused;         /* the same: that it does not take it */
    uint16_t why_node;        /* the last that refused it, */
    char why[SPREAD_WHY_MAX]; /* and why */
    /* a newer one that is not here */
    struct stamp wanted;
    usec_t wanted_us; /* asked for, last */
    bool wrong;       /* it came, and was refused */
    /* the highest that was promised here, to whomever */
    struct stamp promised;
    /* this node's own push, not decided yet; mine.term 0: there is none */
    struct stamp mine;
    bool based;                /* it replaces nothing but base: */
    struct stamp base;         /* term 0: what was never pushed */
    bool mine_gone, keep;      /* keep: it is asked for until it is decided, or a newer one is */
    bool agreed_here;          /* this node's own promise is durable */
    uint64_t agreed;           /* bit i: nodes[i] has promised */
    usec_t asked_us, until_us; /* promises count until then; 0: they are not asked for yet */
    unsigned tries;
    char lost[SPREAD_WHY_MAX];          /* why the last one came to nothing; "": it did not */
    struct stamp decided, decided_base; /* the one before, which is said when it is durable; term 0: none */
};

enum spread_word_kind {
    SPREAD_HAVE = 1, /* rows of uid, stamp, etag, gone: these are newest here */
    SPREAD_HAS,      /* rows of uid, stamp: so it is here too */
    SPREAD_WANT,     /* rows of uid */
    SPREAD_FILE,     /* uid, stamp, etag, text */
    SPREAD_REFUSED,  /* uid, stamp, text: why */
    SPREAD_PROMISE,  /* rows of uid, stamp, base: promise it */
    SPREAD_PROMISED, /* rows of uid, stamp, held: its own stamp: promised; another: that is newer here */
    SPREAD_WORDS
};
struct spread_ops {
    void (*tell)(void *arg, uint16_t node, struct span word);
    /* The same, when what `changed` was called for is durable; also to this node itself. */
    void (*tell_kept)(void *arg, uint16_t node, struct span word);
    bool (*there)(void *arg, uint16_t node);
    uint64_t (*next_term)(void *arg, uint64_t above);
    /* The etag of the stream's file as it lies here; "": there is none. false: it is not a file that can be
     * pushed. */
    bool (*look)(void *arg, const char *uid, char ret_etag[static SPREAD_ETAG_MAX]);
    bool (*read)(void *arg, const char *uid, struct buf *ret);
    /* To be stored, when what `changed` was called for is durable: spread_stored is told. text.p NULL: it
     * goes. */
    void (*store)(void *arg, const struct spread_file *f, struct span text);
    void (*changed)(void *arg); /* versions and promises: to be kept */
    /* A quorum has promised: the last moment to change the file that is pushed. NULL, or why it is not to be.
     */
    const char *(*agreed)(void *arg, const struct spread_file *f);
    /* A push of this node is decided (f->decided), and that is durable; or it is lost, and this is why. */
    void (*pushed)(void *arg, const struct spread_file *f, const char *lost);
};

struct spread {
    const struct spread_ops *ops;
    void *arg;
    uint16_t self;
    uint64_t boot;
    uint16_t nodes[SPREAD_NODES_MAX]; /* the others */
    usec_t told_us[SPREAD_NODES_MAX]; /* when each was told what it may lack */
    unsigned rounds[SPREAD_NODES_MAX];
    size_t n_nodes;
    struct map files; /* uid -> struct spread_file */
    size_t fetching;
    bool muted;              /* it does not know what it has promised */
    uint64_t taken, refused; /* so far */
    uint64_t left_out;       /* uids that were named when SPREAD_UIDS_MAX were known */
};

void spread_init(struct spread *s, const struct spread_ops *ops, void *arg, uint16_t self, uint64_t boot);
void spread_done(struct spread *s);
void spread_nodes(struct spread *s, const uint16_t *others, size_t n); /* has and refused are asked anew */
/* A node that has lost what it had promised promises nothing and pushes nothing; it takes what others push.
 */
void spread_mute(struct spread *s, bool muted);
/* --- spread_push.c --- */
struct spread_how {
    bool gone;         /* no node shall have one */
    bool keep;         /* not only while somebody waits for it; late, it only replaces the version of now */
    struct stamp base; /* what it replaces; term 0: whatever there is */
};
/* This node's file is what all shall have. false: it cannot be pushed; else ops->pushed says what came of it.
 */
bool spread_push(struct spread *s, const char *uid, const struct spread_how *how, usec_t now_us);
void spread_push_tick(struct spread *s, usec_t now_us);
bool spread_pushing(const struct spread *s, const char *uid);
/* Why the last push of this node came to nothing, or "". */
const char *spread_lost(const struct spread *s, const char *uid);

/* --- */
void spread_heard(struct spread *s, uint16_t from, struct span word, usec_t now_us);
/* What was given to store; why NULL: it is stored, and its etag is so. */
void spread_stored(
    struct spread *s, const char *uid, const struct stamp *stamp, const char *etag, const char *why);
void spread_tick(struct spread *s, usec_t now_us);
/* Everybody who is there has said what he does with it. */
bool spread_settled(const struct spread *s, const char *uid);
uint64_t spread_bit(const struct spread *s, uint16_t node); /* 0: none of the others */
const struct spread_file *spread_file(
    const struct spread *s, const char *uid); /* NULL: it was never pushed */
/* Versions and promises as they are kept. */
void spread_pack(const struct spread *s, struct packer *p);
bool spread_read(struct spread *s, const struct packed *v); /* false: some of it is not what it should be */

#endif
