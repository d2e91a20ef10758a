/* The policy of the recorder: which frame the next segment begins with, and which one the open segment ends
 * before. */
#include "worker/recorder_impl.h"

void rec_gap(struct recorder *r)
{
    rec_close(r);
    r->discont = true;
    r->go_on = false;
    r->next = MAX(r->next, ring_writer_oldest(r->ring));
}

bool rec_find_start(struct recorder *r)
{
    uint64_t before = r->next;
    struct frame f;
    bool found;

    if (r->go_on) return ring_view(r->ring, r->next, &f) == RING_OK;
    found = rec_batch_entry_behind(&r->batch, r->ring, &r->next);
    r->discont = r->discont || r->next > before;
    return found;
}

void rec_began(struct recorder *r)
{
    const struct frame *first = &r->batch.frames[0];

    r->go_on = false;
    r->seen = 0;
    r->fresh_tracks = false;
    r->gen = r->tracks->gen;
    r->begin_us = rec_batch_media_us(&r->batch, first);
    r->line_us = rec_batch_line_us(&r->batch, first);
}

struct rec_until rec_until(const struct recorder *r)
{
    if (!r->seg) return (struct rec_until){.media_us = INT64_MAX};
    return (struct rec_until){.seen = r->seen,
        .media_us = r->fresh_tracks ? INT64_MIN : r->begin_us + r->chunk_us,
        .line = true,
        .line_us = r->line_us};
}

bool rec_over(struct recorder *r, const struct frame *f)
{
    struct rec_until until = rec_until(r);

    if ((f->flags & FRAME_DISCONT) && (r->seen >> f->track & 1)) {
        r->discont = true;
        return true;
    }
    if (rec_batch_steps(&r->batch, r->ring, f)) {
        /* No frame is missing, the time of day is. */
        r->discont = r->go_on = true;
        return true;
    }
    if (rec_batch_entry_ends(&r->batch, r->ring, f, &until)) return true;
    if (f->gen == r->gen) return false;
    /* More tracks, and the old ones as they were: this segment goes on up to the next key frame. */
    if (rec_batch_is_entry(&r->batch, r->ring, f) ||
        !rec_batch_only_adds(&r->batch, r->ring, f->gen, r->tracks))
        return true;
    r->fresh_tracks = true;
    r->gen = f->gen;
    return false;
}
