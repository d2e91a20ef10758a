/* Does another node have all footage of a stream that this one has? What decides whether copies may go: each
 * asks its own keeper for its stretches, and they are laid over each other, a window of time after the other,
 * each so wide that the stretches of both fit a message. The other one's are those that it has, and those
 * that the stream's own policy does not keep there. Tests: tests/unit/cluster/test_cover.c, tests/cluster. */
#ifndef CLUSTER_COVER_H
#define CLUSTER_COVER_H

#include "common/base/list.h"
#include "common/ipc/pack.h"

#define COVER_SPANS_MAX 2500            /* of one node in a window: they go in one message */
#define COVER_SLACK_US  US_PER_S        /* stretches so close to each other are one (archive/index.h) */
#define COVER_LEAST_US  (60 * US_PER_S) /* no window is narrower */
#define COVER_EVERY_US  (3 * US_PER_S)  /* looked again, while somebody asks */
#define COVER_FRESH_US  (15 * US_PER_S) /* what was found holds for so long */
#define COVER_LATE_US   (20 * US_PER_S) /* of a window's answers */
#define COVERS_MAX      32

struct master;
struct covers;

struct cover_span { /* wall clock */
    usec_t from_us, to_us;
};
/* Is each moment of `ours` in one of `theirs`, but for COVER_SLACK_US? Sorts both. */
bool cover_holds(struct cover_span *ours, size_t n_ours, struct cover_span *theirs, size_t n_theirs);

/* Between masters. */
struct cover_word {
    bool want; /* he wants ours; else these are his: */
    bool many; /* more than can be told of this window */
    struct cover_span window;
    const struct packed *spans; /* as it comes: an array of from, to, from, to... */
    struct span packed;         /* as it goes: the same */
};
struct cover_ops {
    /* This node's keeper is asked for its stretches in that window: id of its KEEP_ROW and KEEP_END; 0: it
     * does not run. */
    uint64_t (*look)(struct master *m, const char *uid, const struct cover_span *window);
    void (*tell)(struct master *m, uint16_t node, const char *uid, const struct cover_word *word);
};
struct covers *covers_new(struct master *m, const struct cover_ops *ops);
void covers_free(struct covers *c);
/* node has all of the stream that is here, as far as was found lately; looked at again, while it is asked. */
bool covers_ask(struct covers *c, const char *uid, uint16_t node, usec_t now_us);
/* The same by a look that was begun behind the question: true once, then it is another question. Asked again
 * until then; a question that nobody repeats is forgotten. */
bool covers_ask_anew(struct covers *c, const char *uid, uint16_t node, usec_t now_us);
void covers_heard(struct covers *c, uint16_t node, const char *uid, const struct cover_word *word);
bool covers_keep_row(struct covers *c, const struct packed *body);
bool covers_keep_end(struct covers *c, const struct packed *body);

#endif
