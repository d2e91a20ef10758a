/* What the recorder appends at once: frames gathered from the ring, where they lie, up to the place where a
 * fragment has to end. Tests: tests/unit/worker/test_recorder.c. */
#ifndef WORKER_REC_BATCH_H
#define WORKER_REC_BATCH_H

#include "archive/segment.h"
#include "common/ring/ring.h"

#define REC_BATCH_US    US_PER_S   /* of media, */
#define REC_BATCH_BYTES (1u << 20) /* bytes, */
#define REC_BATCH_FIRST 128        /* and frames; room for so many at first */

struct rec_batch {
    struct frame *frames;
    size_t n, cap, bytes;
    struct track_set *tracks; /* of generation gen, for telling entries; scratch besides */
    uint32_t gen;
    uint8_t entry_mask;
};

void rec_batch_init(struct rec_batch *b);
void rec_batch_done(struct rec_batch *b);
/* May a segment begin with this frame: a key frame of a video track, or of any where there is no video? */
bool rec_batch_is_entry(struct rec_batch *b, const struct ring_writer *w, const struct frame *f);
/* The first at or behind *at. false: none yet, *at is then the number of the next frame that will come. */
bool rec_batch_entry_behind(struct rec_batch *b, const struct ring_writer *w, uint64_t *at);
/* Frames from `from` on, at least one, up to: the end of the ring; another gen; a joint in media time of a
 * track in `seen`; an entry at or behind cut_us; a fragment's size. false: the frame is not there. */
bool rec_batch_gather(
    struct rec_batch *b, const struct ring_writer *w, uint64_t from, unsigned seen, usec_t cut_us);
/* Are the tracks of generation gen those of `old`, with others behind them at most? */
bool rec_batch_only_adds(
    struct rec_batch *b, const struct ring_writer *w, uint32_t gen, const struct track_set *old);

#endif
