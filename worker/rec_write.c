#include "worker/recorder_impl.h"
#include "common/base/clock.h"

static bool gather(struct recorder *r)
{
    struct rec_until until = rec_until(r);

    return rec_batch_gather(&r->batch, r->ring, r->next, &until);
}

static bool begin_segment(struct recorder *r)
{
    if (!rec_find_start(r) || !gather(r)) return false;
    if (ring_writer_tracks(r->ring, r->batch.frames[0].gen, r->tracks) != RING_OK) {
        /* Described by what is no longer there. */
        r->next++;
        rec_gap(r);
        return false;
    }
    if (!rec_open(r)) return false;
    rec_began(r);
    return true;
}

/* The batch becomes a fragment. false: nothing more can be done now. */
static bool append(struct recorder *r)
{
    const struct frame *f = r->batch.frames;
    int err = segw_append(r->seg, f, r->batch.n);

    if (err < 0) {
        rec_failed(r, err);
        return false;
    }
    if (err == SEGW_E_LARGE && r->seen != 0) {
        /* The same frames begin the next one, in the middle of a GOP. */
        rec_close(r);
        r->go_on = true;
        return true;
    }
    if (err == SEGW_OK && ring_view_holds(r->ring, f[0].seq)) {
        rec_took(r);
        rec_say_progress(r, r->batch.bytes);
        return true;
    }
    if (err == SEGW_OK) (void)segw_undo_last(r->seg);
    rec_gap(r);
    return true;
}

static bool step(struct recorder *r)
{
    struct frame f;

    if (r->next < ring_writer_oldest(r->ring)) rec_gap(r);
    if (r->seg && ring_view(r->ring, r->next, &f) == RING_OK && rec_over(r, &f)) rec_close(r);
    if (r->seg ? !gather(r) : !begin_segment(r)) return false;
    return append(r);
}

void rec_record(struct recorder *r)
{
    if (!r->ring || !r->on || r->folder_fd < 0 || clock_mono_us() < r->retry_us || !rec_lock_folder(r))
        return;
    while (step(r)) {
    }
    rec_end_stretch(r, clock_wall_us());
    rec_end_session(r);
}
