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

/* Of the stretch under way. */
static usec_t stretch_end(const struct recorder *r)
{
    usec_t from_us, to_us;

    if (r->policy.all) return INT64_MAX;
    return rec_policy_stretch(&r->policy, r->want_us, &from_us, &to_us) && from_us <= r->want_us ? to_us
                                                                                                 : INT64_MIN;
}

/* What the ring has of a stretch, from r->next on. */
struct lead {
    bool has_key, reached;
    uint64_t key;   /* the last at or before its beginning */
    uint64_t seq;   /* the first frame behind its beginning, */
    usec_t wall_us; /* and its time */
};

static struct lead look_for(struct recorder *r, usec_t from_us)
{
    struct lead l = {.seq = r->next};
    struct frame f;

    for (; ring_view(r->ring, l.seq, &f) == RING_OK; l.seq++) {
        if (!rec_batch_decides(&r->batch, r->ring, &f)) continue;
        l.reached = f.wall_us > from_us;
        l.wall_us = f.wall_us;
        if (l.reached) break;
        if (!rec_batch_is_entry(&r->batch, r->ring, &f)) continue;
        l.key = l.seq;
        l.has_key = true;
    }
    return l;
}

/* r->next becomes the frame that the next stretch begins with, or is looked for behind. false: no frame of it
 * is there yet. */
static bool find_stretch(struct recorder *r)
{
    usec_t from_us, to_us;
    struct frame f;

    while (ring_view(r->ring, r->next, &f) == RING_OK &&
        rec_policy_stretch(&r->policy, f.wall_us, &from_us, &to_us)) {
        struct lead l;
        struct frame newest;

        r->want_us = MAX(f.wall_us, from_us);
        if (f.wall_us >= from_us) return true;
        if (ring_view(r->ring, ring_writer_next(r->ring) - 1, &newest) == RING_OK && newest.wall_us < from_us)
            return false;
        l = look_for(r, from_us);
        if (!l.reached) return false;
        if (l.wall_us < to_us) {
            /* A file goes up to here, and no key frame is between: it is gone on with. */
            if (!l.has_key || l.key == r->next) return true;
            r->next = l.key;
            r->go_on = false;
            r->discont = true;
            return true;
        }
        /* The camera was not there meanwhile. */
        r->next = l.seq;
        r->go_on = false;
        r->discont = true;
    }
    return false;
}

bool rec_find_start(struct recorder *r)
{
    uint64_t before = r->next;
    struct frame f;
    bool found;

    if (!r->policy.all && !find_stretch(r)) return false;
    if (r->go_on) return ring_view(r->ring, r->next, &f) == RING_OK;
    found = rec_batch_entry_behind(&r->batch, r->ring, &r->next);
    r->discont = r->discont || r->next > before;
    return found && ring_view(r->ring, r->next, &f) == RING_OK && f.wall_us < stretch_end(r);
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
    if (r->policy.all) r->want_us = first->wall_us;
}

/* Sound that comes so late that players of this segment are not told of it (seginfo.h, SEG_QUIET_US): from
 * the next key frame on another one has it. */
static bool is_late_sound(const struct recorder *r, const struct frame *f)
{
    return (seg_sound(r->tracks) & ~r->seen) >> f->track & 1 &&
        rec_batch_media_us(&r->batch, f) - r->begin_us > SEG_QUIET_US;
}

void rec_took(struct recorder *r)
{
    const struct rec_batch *b = &r->batch;

    for (size_t i = 0; i < b->n; i++) {
        r->fresh_tracks |= is_late_sound(r, &b->frames[i]);
        r->seen |= 1u << b->frames[i].track;
        if (b->entry_mask >> b->frames[i].track & 1) r->want_us = MAX(r->want_us, b->frames[i].wall_us);
    }
    r->next = b->frames[b->n - 1].seq + 1;
}

struct rec_until rec_until(const struct recorder *r)
{
    usec_t wall_us = stretch_end(r);

    if (!r->seg) return (struct rec_until){.media_us = INT64_MAX, .wall_us = wall_us};
    return (struct rec_until){.seen = r->seen,
        .wall_us = wall_us,
        .media_us = r->fresh_tracks ? INT64_MIN : r->begin_us + r->chunk_us,
        .line = true,
        .line_us = r->line_us};
}

bool rec_over(struct recorder *r, const struct frame *f)
{
    struct rec_until until = rec_until(r);

    if (f->wall_us >= until.wall_us && rec_batch_decides(&r->batch, r->ring, f)) {
        r->go_on = true;
        return true;
    }
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

void rec_end_stretch(struct recorder *r, usec_t now_us)
{
    if (!r->seg || rec_until(r).wall_us > now_us - REC_LATE_US) return;
    r->go_on = true;
    rec_close(r);
}

void rec_end_session(struct recorder *r)
{
    if (r->end_seq == 0 || r->next < r->end_seq) return;
    /* A frame of the next session has ended it already, if there is one. */
    if (r->seg && r->next == r->end_seq) {
        r->discont = true;
        rec_close(r);
    }
    r->end_seq = 0;
}
