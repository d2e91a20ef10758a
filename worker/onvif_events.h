/* What notification messages mean: states that begin and end, and moments. Pure. Known are the last
 * ONVIF_STATES_MAX sources of a camera; ONVIF_MINUTE_MAX beginnings a minute are passed on, ends always.
 *
 * Times are ours, of arrival: a camera's UtcTime may be hours off (T8); it stands in the payload. Tests:
 * tests/unit/worker/test_onvif_xml.c. */
#ifndef WORKER_ONVIF_EVENTS_H
#define WORKER_ONVIF_EVENTS_H

#include "common/ipc/event.h"
#include "worker/onvif_xml.h"

#define ONVIF_STATES_MAX 64
#define ONVIF_MINUTE_MAX 30
#define ONVIF_AGAIN_US   (300 * US_PER_S) /* a state that the camera repeats is said again */

struct onvif_state {
    uint64_t key; /* of topic and source */
    usec_t start_us, said_us;
    bool on;
    char kind[EVENT_KIND_MAX];
};
struct onvif_events {
    struct onvif_state v[ONVIF_STATES_MAX];
    unsigned n, next;
    usec_t minute_us;
    unsigned begun; /* in this minute */
    uint64_t held;  /* not passed on, so far */
};

enum onvif_tell {
    ONVIF_TELL_NOT = 0,
    ONVIF_TELL,     /* *ret begins, goes on, or was a moment */
    ONVIF_TELL_OVER /* it ends, if it goes on at all: a worker before us may have told of it */
};
/* ret: id (the key), kind, source, start, end, payload; uid is the caller's. */
enum onvif_tell onvif_events_take(
    struct onvif_events *ev, const struct onvif_message *m, usec_t wall_us, struct event *ret);
/* The session with the camera is over: one state after another ends. false: no more. */
bool onvif_events_end(struct onvif_events *ev, usec_t wall_us, struct event *ret);

#endif
