/* What the recorder appends at once: frames gathered from the ring, where they lie, up to the place where a
 * fragment has to end. Tests: tests/unit/worker/test_recorder.c. */
#ifndef WORKER_REC_BATCH_H
#define WORKER_REC_BATCH_H

#include "archive/segment.h"
#include "common/ring/ring.h"

#define REC_BATCH_US    US_PER_S   /* of media, */
#define REC_BATCH_BYTES (1u << 20) /* bytes, */
#define REC_BATCH_FIRST 128        /* and frames; room for so many at first */
/* So much a frame's wall clock may be off the line that its segment's start and its media time make. */
#define REC_CLOCK_US US_PER_S

struct rec_batch {
    struct frame *frames;
    size_t n, cap, bytes;
    struct track_set *tracks; /* of generation gen, for entries and media time; scratch besides */
    uint32_t gen;
    uint8_t entry_mask;
    unsigned has_clock;         /* bit i: clock_us[i] is known: */
    usec_t clock_us[TRACK_MAX]; /* the line of the track's last frame */
};

/* Where a batch for a segment ends, at the latest. */
struct rec_until {
    unsigned seen;   /* tracks with a frame in the segment: there is a joint in media time to look for */
    usec_t wall_us;  /* nothing is wanted from this time of day on; */
    usec_t media_us; /* an entry at or behind this media time begins another segment, */
    bool line;       /* and one that is off this line: */
    usec_t line_us;
};

void rec_batch_init(struct rec_batch *b);
void rec_batch_done(struct rec_batch *b);
/* May a segment begin with this frame: a key frame of a video track, or of any where there is no video? */
bool rec_batch_is_entry(struct rec_batch *b, const struct ring_writer *w, const struct frame *f);
/* A frame of a track that segments begin with: its time of day counts for all. */
bool rec_batch_decides(struct rec_batch *b, const struct ring_writer *w, const struct frame *f);
/* The first at or behind *at. false: none yet, *at is then the number of the next frame that will come. */
bool rec_batch_entry_behind(struct rec_batch *b, const struct ring_writer *w, uint64_t *at);
/* Is it an entry that `until` ends with? */
bool rec_batch_entry_ends(
    struct rec_batch *b, const struct ring_writer *w, const struct frame *f, const struct rec_until *until);
/* Was the wall clock stepped between this frame and the last one of its track that was gathered? */
bool rec_batch_steps(struct rec_batch *b, const struct ring_writer *w, const struct frame *f);
/* What comes next begins a segment: no frame before it counts. */
void rec_batch_forget_clock(struct rec_batch *b);
/* Media time of a frame of the batch (decoding), and wall clock minus media time of its presentation. */
usec_t rec_batch_media_us(const struct rec_batch *b, const struct frame *f);
usec_t rec_batch_line_us(const struct rec_batch *b, const struct frame *f);
/* Frames from `from` on, at least one, up to: the end of the ring; another gen; a joint in media time or a
 * step of the wall clock; what until says; a fragment's size. false: the frame is not there. */
bool rec_batch_gather(
    struct rec_batch *b, const struct ring_writer *w, uint64_t from, const struct rec_until *until);
/* Are the tracks of generation gen those of `old`, with others behind them at most? */
bool rec_batch_only_adds(
    struct rec_batch *b, const struct ring_writer *w, uint32_t gen, const struct track_set *old);

#endif
