/* The recorder: a thread of the worker that alone waits for disks. It gathers frames from the ring where they
 * lie and appends them, a fragment a second or so, to the open segment (archive/segment.h); it asks
 * afterwards whether they held. The loop's thread pokes it when there is enough to write, and never waits for
 * it.
 *
 * A segment begins with a key frame: at the start, behind every gap, when the tracks change, and at the first
 * key frame after dvr-chunk of media. Inside a GOP fragments go on, however long it is (K14). After a start
 * behind a dead worker, after a pause, and where a segment takes no more, it goes on with the very next
 * frame, if the ring still holds that: nothing is missing, nothing is there twice. A failed write closes the
 * segment, and the recorder waits for the keeper's word.
 *
 * What is wanted is rec_policy.h's matter. A stretch begins with the last key frame at or before it that the
 * ring holds and no file does, and ends before the first picture that is behind it.
 *
 * What a segment says of the time of day is its start and media time from there. So it ends at once, and the
 * next one goes on, where the wall clock is stepped by more than REC_CLOCK_US either way; where it slides
 * away as far (drift, a burst after PLAY), at the next key frame. Set back, segments lie over older ones: ids
 * are the time of the start and a counter, and a file that is there is never opened.
 *
 * The functions below are the loop's. Tests: tests/unit/worker/test_recorder.c. */
#ifndef WORKER_RECORDER_H
#define WORKER_RECORDER_H

#include "archive/segment.h"
#include "common/net/loop.h"
#include "common/ring/ring.h"
#include "worker/rec_policy.h"

#define RECORDER_POKE_US    (900 * US_PER_MS) /* of media, before it is woken, */
#define RECORDER_POKE_BYTES (256u << 10)      /* or so many bytes */
#define RECORDER_STACK      (128u << 10)

#define RECORDER_STORAGE_MAX 48

/* The segment that is open. */
struct rec_open {
    uint64_t id;
    usec_t start_us;
    char storage[RECORDER_STORAGE_MAX];
    char path[SEG_PATH_MAX];
};

struct recorder;
struct recorder_ops { /* in the loop's thread */
    void (*opened)(void *arg, const struct rec_open *o);
    void (*closed)(void *arg, const struct seg_info *info);
    void (*failed)(void *arg, int err); /* negative */
    void (*stopped)(void *arg);
};

struct recorder *recorder_new(struct loop *l, const char *uid, const struct recorder_ops *ops, void *arg);
/* Waits for the thread if it runs: only behind stopped(), or when the process ends anyway. */
void recorder_free(struct recorder *r);

/* The ring to record from; the first one, or `from` is moved to `to` here, together with what the recorder
 * says in its status. The recorder owns both from now on, and closes `from` when it no longer looks at it. */
void recorder_ring(struct recorder *r, struct ring_writer *from, struct ring_writer *to);
/* Recording on or off; off closes the segment. chunk_us: media of a segment. */
void recorder_set(struct recorder *r, bool on, usec_t chunk_us);
/* What is wanted; everything until this is called. */
void recorder_policy(struct recorder *r, const struct rec_policy *p);
/* What is known of the camera's clock now; the open segment takes it when it knows nothing yet. */
void recorder_clock(struct recorder *r, enum seg_clock clock, usec_t offset_us);
/* The folder to write to, on that storage; takes fd. -1: none now, err says why (positive errno). */
void recorder_folder(struct recorder *r, const char *storage, int fd, int err);
void recorder_poke(struct recorder *r);
/* The camera's session is over, next_seq the ring's next frame: the segment ends before it, and is not left
 * open for as long as the camera is away. */
void recorder_end(struct recorder *r, uint64_t next_seq);
/* Writes what is there, closes the segment; stopped() comes. At once where no thread runs. */
void recorder_stop(struct recorder *r);
/* Is it at work since so long? 0: it waits for us. */
usec_t recorder_busy_us(const struct recorder *r, usec_t now_us);
/* The segment that is open now; false: none. For a new keeper. */
bool recorder_open_segment(struct recorder *r, struct rec_open *ret);
/* Text of the ring's status: the recorder writes there too. */
void recorder_text(struct recorder *r, char *field, size_t cap, const char *text);

#endif
