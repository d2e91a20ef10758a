#include "worker/state.h"
#include "common/base/err.h"
#include "common/base/log.h"

#define STATES     (STREAM_IDLE + 1)
#define BIT(state) (1u << STREAM_##state)
#define ENDS       (BIT(DISABLED) | BIT(IDLE))

static const struct {
    const char *name;
    unsigned to;
} states[STATES] = {
    [STREAM_CONNECTING] = {"connecting", BIT(ACTIVE) | BIT(STALE) | BIT(DOWN) | BIT(INVALID) | ENDS},
    [STREAM_ACTIVE] = {"active", BIT(CONNECTING) | BIT(STALE) | BIT(DOWN) | BIT(INVALID) | ENDS},
    [STREAM_STALE] = {"stale", BIT(CONNECTING) | BIT(ACTIVE) | BIT(DOWN) | BIT(INVALID) | ENDS},
    [STREAM_DOWN] = {"down", BIT(CONNECTING) | BIT(ACTIVE) | BIT(STALE) | BIT(INVALID) | ENDS},
    [STREAM_INVALID] = {"invalid", BIT(CONNECTING) | BIT(ACTIVE) | BIT(STALE) | BIT(DOWN) | ENDS},
    [STREAM_DISABLED] = {"disabled", BIT(CONNECTING) | BIT(IDLE)},
    [STREAM_IDLE] = {"idle", BIT(CONNECTING) | BIT(DISABLED)},
};

const char *state_name(enum stream_state s)
{
    return (unsigned)s < STATES ? states[s].name : "?";
}

bool state_may(enum stream_state from, enum stream_state to)
{
    return (unsigned)from < STATES && (unsigned)to < STATES && (states[from].to >> to & 1) != 0;
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
        log_note("state", "from=%s to=%s why=%s", state_name(from), state_name(to), log_q(span_of(reason)));
    } else {
        log_info("state", "is=%s why=%s", state_name(to), log_q(span_of(reason)));
    }
    if (s->changed) s->changed(s->arg, s);
}
