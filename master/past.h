/* What a stream's worker has told of its attempts to reach the camera: those that are over, the steps of the
 * newest, and the session description that came. Kept by the master, so that it outlives a worker. Tests:
 * tests/unit/master/test_past.c. */
#ifndef MASTER_PAST_H
#define MASTER_PAST_H

#include "common/ipc/pack.h"

#define PAST_ATTEMPTS 32
#define PAST_STEPS    16
#define PAST_SDP_MAX  6000 /* bytes; the rest is cut: it has to fit a row */
#define PAST_TEXT_MAX 128

struct past;
void past_free(struct past *x); /* NULL too */
/* MSG_STEP, MSG_SDP of a worker; *x is made by need. */
void past_step(struct past **x, const struct packed *body, usec_t wall_us);
void past_sdp(struct past **x, const struct packed *body);
/* How long the camera took to answer OPTIONS, or DESCRIBE where it wanted a password first; 0: it has not. x
 * may be NULL. */
usec_t past_ping_us(const struct past *x);
/* Is the newest attempt over, and since when (wall clock)? 0: it goes on, or there was none. */
usec_t past_over_us(const struct past *x);
/* Row `at` of "api stream": attempts (newest first), steps, the description. false: there are no more. x may
 * be NULL. */
bool past_row(const struct past *x, size_t at, struct packer *p);

#endif
