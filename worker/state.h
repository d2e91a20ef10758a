/* The state of a stream: enum stream_state (ring.h), a table of legal moves, one setter. A state has a
 * reason, empty only when active, and a time since when. Tests: tests/unit/worker/test_state.c. */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include "common/ring/ring.h"

struct state {
    enum stream_state now;
    usec_t since_us; /* wall clock of the last move; another reason is no move */
    char reason[RING_REASON_MAX];
    void (*changed)(void *arg, const struct state *s); /* state or reason */
    void *arg;
};

bool state_may(enum stream_state from, enum stream_state to);
/* Moves, logs old, new and why, and tells. The same state with the same reason: nothing happens. An illegal
 * move is an error of ours. */
void state_set(struct state *s, enum stream_state to, const char *reason, usec_t wall_us);

#endif
