/* What fill.c (streams, the keeper), fill_round.c (what is missing) and fill_copy.c (fetching it) share. */
#ifndef COURIER_FILL_IMPL_H
#define COURIER_FILL_IMPL_H

#include "courier/fill.h"

/* A segment of another node that was still being written when it was found to have something that is missing
 * here. What lies before it may come first, and what is missing then be too short to be seen: it is asked for
 * until it is here, or that node has it no more. */
struct fill_late {
    uint16_t node; /* 0: there is none */
    uint64_t segment;
    struct index_range missing;
    bool seen;       /* in the gap that is asked for */
    usec_t until_us; /* then it is given up */
};
#define FILL_LATES_MAX 4 /* of a stream: a new one takes the place of the one not seen for longest */
struct fill_stream {
    char uid[40];
    bool fill;      /* this node is its first */
    uint16_t first; /* else who is; 0: nobody */
    usec_t duration_us, event_duration_us, due_us;
    struct fill_late lates[FILL_LATES_MAX];
    usec_t known_us;           /* what the first has of ours (FILL_KNOWN) */
    uint64_t left, left_bytes; /* segments that are missing here */
    uint64_t told, told_bytes; /* as the master was told */
};
/* What lies within that time is not to come from that node: what lies on its edge a delete leaves. */
struct fill_hold {
    uint16_t node;
    char uid[40]; /* "": of no stream */
    usec_t from_us, to_us;
};
/* A segment that is missing. */
struct fill_want {
    struct list link;
    uint16_t node;
    char storage[64], uid[40];
    uint64_t segment, bytes;
    usec_t start_us, end_us;
    size_t n;
    uint8_t info[]; /* as it came */
};
/* What is not to be tried again for a while. */
struct fill_refusal {
    uint64_t hash;
    usec_t until_us;
};
#define FILL_REFUSALS 1024

struct fill_copy;
struct fill_round;
struct fill {
    struct loop *loop;
    struct nodes *nodes;
    struct shelves *shelves;
    struct channel *keeper;
    struct map streams;
    struct list wants; /* the newest first */
    size_t n_wants;
    struct fill_hold *holds;
    size_t n_holds;
    struct fill_refusal refusals[FILL_REFUSALS];
    size_t refusal_at;
    struct fill_round *round; /* NULL: none is under way */
    struct list copies;
    size_t n_copies;
    uint64_t last_copy, rate;
    int64_t budget; /* bytes that may be asked for now */
    usec_t paid_us;
    struct pool *writer;
    struct loop_timer tick, pace;
    size_t turn; /* of the streams */
    struct log_rate failures;
};

/* --- fill.c --- */
struct fill_counts *fill_counts_of(struct peer *p);
bool fill_held(const struct fill *f, const struct fill_want *w);
void fill_soon(struct fill *f, const char *uid); /* its keeper is not ready: another round in a moment */
bool fill_refused(const struct fill *f, const char *uid, uint64_t segment);
void fill_refuse(struct fill *f, const char *uid, uint64_t segment);
void fill_stored(struct fill *f, const struct fill_want *w); /* it is here */
/* One is missing; takes nothing. false: it was refused, or is held: it does not come now. */
bool fill_add_want(struct fill *f, const struct fill_want *w, struct span info);

/* --- fill_round.c: one at a time --- */
void fill_round_begin(struct fill *f, struct fill_stream *s);
void fill_round_stop(struct fill *f); /* where there is one; reads under way end first */
void fill_round_pace(struct fill *f); /* goes on, when it rests; where there is one */

/* --- fill_copy.c --- */
void fill_copy_next(struct fill *f);                      /* the newest, if there is room for one more */
void fill_copy_file(struct fill *f, struct incoming *in); /* FILL_FILE */
void fill_copy_stored(struct fill *f, const struct packed *body); /* FILL_STORED */
void fill_copy_pace(struct fill *f);
void fill_copy_watch(struct fill *f); /* once a second */
void fill_copy_hold(struct fill *f);  /* those that are held now */
void fill_copy_stop(struct fill *f);  /* all of them */
bool fill_copy_has(const struct fill *f, const char *uid, uint64_t segment);
/* Of all nodes: 0. */
void fill_copy_each(
    const struct fill *f, uint16_t node, void (*fn)(void *arg, const struct fill_want *w), void *arg);

#endif
