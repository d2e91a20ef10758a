/* Does another node have all footage of a stream that this one has? What decides whether copies may go: each
 * asks its own keeper for its stretches, and they are laid over each other. Tests:
 * tests/unit/cluster/test_cover.c (cover_holds), tests/cluster. */
#ifndef CLUSTER_COVER_H
#define CLUSTER_COVER_H

#include "common/base/list.h"
#include "common/ipc/pack.h"

#define COVER_SPANS_MAX 2500            /* of one node: they go in one message */
#define COVER_SLACK_US  US_PER_S        /* stretches so close to each other are one (archive/index.h) */
#define COVER_EVERY_US  (3 * US_PER_S)  /* looked again, while somebody asks */
#define COVER_FRESH_US  (15 * US_PER_S) /* what was found holds for so long */
#define COVER_LATE_US   (20 * US_PER_S)
#define COVERS_MAX      32

struct master;
struct covers;

struct cover_span {
    usec_t from_us, to_us;
};
/* Is each moment of `ours` in one of `theirs`, but for COVER_SLACK_US? Sorts both. */
bool cover_holds(struct cover_span *ours, size_t n_ours, struct cover_span *theirs, size_t n_theirs);

/* tell: a word to another master, which gives it to covers_heard. */
typedef void cover_tell_fn(struct master *m, uint16_t node, const char *uid, struct span spans, bool want);
struct covers *covers_new(struct master *m, cover_tell_fn *tell);
void covers_free(struct covers *c);
/* node has all of the stream that is here, as far as was found lately; looked at again, while it is asked. */
bool covers_ask(struct covers *c, const char *uid, uint16_t node, usec_t now_us);
/* want: he wants ours; else spans, an array of from, to, from, to... */
void covers_heard(struct covers *c, uint16_t node, const char *uid, const struct packed *spans, bool want);
bool covers_keep_row(struct covers *c, const struct packed *body);
bool covers_keep_end(struct covers *c, const struct packed *body);

#endif
