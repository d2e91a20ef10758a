#include "worker/state.h"
#include "common/base/err.h"
#include "common/base/log.h"

#define BIT(state) (1u << STREAM_##state)
#define ENDS       (BIT(DISABLED) | BIT(IDLE))

/* From each state: where it may go. */
static const unsigned moves[STREAM_STATES] = {
    [STREAM_CONNECTING] = BIT(ACTIVE) | BIT(STALE) | BIT(DOWN) | BIT(INVALID) | ENDS,
    [STREAM_ACTIVE] = BIT(CONNECTING) | BIT(STALE) | BIT(DOWN) | BIT(INVALID) | ENDS,
    [STREAM_STALE] = BIT(CONNECTING) | BIT(ACTIVE) | BIT(DOWN) | BIT(INVALID) | ENDS,
    [STREAM_DOWN] = BIT(CONNECTING) | BIT(ACTIVE) | BIT(STALE) | BIT(INVALID) | ENDS,
    [STREAM_INVALID] = BIT(CONNECTING) | BIT(ACTIVE) | BIT(STALE) | BIT(DOWN) | ENDS,
    [STREAM_DISABLED] = BIT(CONNECTING) | BIT(IDLE),
    [STREAM_IDLE] = BIT(CONNECTING) | BIT(DISABLED),
};

bool state_may(enum stream_state from, enum stream_state to)
{
    return (unsigned)from < STREAM_STATES && (unsigned)to < STREAM_STATES && (moves[from] >> to & 1) != 0;
}

void state_set(struct state *s, enum stream_state to, const char *reason, usec_t wall_us)
{
    enum stream_state from = s->now;

    if (to == from && strcmp(reason, s->reason) == 0) return;
    must(to == from || state_may(from, to));
    span_copy(span_of(reason), s->reason, sizeof(s->reason));
    s->now = to;
    if (to != from) {
        s->since_us = wall_us;
        log_note("state", "from=%s to=%s why=%s", ring_state_word(from), ring_state_word(to),
            log_q(span_of(reason)));
    } else {
        log_info("state", "is=%s why=%s", ring_state_word(to), log_q(span_of(reason)));
    }
    if (s->changed) s->changed(s->arg, s);
}
