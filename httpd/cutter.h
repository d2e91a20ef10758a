/* From samples to fragments: a fragment is cut before each frame of the video (of a stream without video:
 * each CUTTER_AUDIO_US), of all samples whose duration is known, which is the step to the next sample of
 * their track. Pure: no ring, no viewer. Tests: tests/unit/httpd/test_live.c. */
#ifndef HTTPD_CUTTER_H
#define HTTPD_CUTTER_H

#include "httpd/fragment.h"

#define CUTTER_PENDING_MAX 256               /* samples that wait for the next of their track */
#define CUTTER_AUDIO_US    (200 * US_PER_MS) /* a fragment of a stream without video */
#define CUTTER_GAP_S       10                /* a longer step to the next sample is no duration */

struct cutter {
    const struct init *init; /* of the samples; set by the owner, behind cutter_drop */
    struct sample pending[CUTTER_PENDING_MAX];
    size_t n_pending;
    uint32_t last_dur[TRACK_MAX];                /* ticks; 0: not known */
    uint64_t number;                             /* of the last fragment */
    void (*give)(void *arg, struct fragment *f); /* does not own it */
    void *arg;
};

/* The next frame, with its bytes (taken). false: memory is out, footage is missing from here on. */
bool cutter_add(struct cutter *c, const struct frame *fr, struct chunk *data);
/* Nothing more belongs to what is pending: gives it, with guessed durations. */
void cutter_finish(struct cutter *c);
/* Forgets what is pending. */
void cutter_drop(struct cutter *c);

#endif
