#include "worker/rec_batch.h"
#include "common/base/mem.h"

void rec_batch_init(struct rec_batch *b)
{
    *b = (struct rec_batch){.tracks = NEW(struct track_set)};
}

void rec_batch_done(struct rec_batch *b)
{
    mem_free(b->frames);
    mem_free(b->tracks);
    *b = (struct rec_batch){0};
}

static bool learn(struct rec_batch *b, const struct ring_writer *w, uint32_t gen)
{
    bool video;

    if (b->gen == gen && gen != 0) return true;
    b->gen = 0;
    if (gen == 0 || ring_writer_tracks(w, gen, b->tracks) != RING_OK) return false;
    b->gen = gen;
    b->entry_mask = 0;
    video = track_find(b->tracks, TRACK_VIDEO) >= 0;
    for (unsigned i = 0; i < b->tracks->n; i++)
        if (!video || b->tracks->t[i].kind == TRACK_VIDEO) b->entry_mask |= (uint8_t)(1u << i);
    return true;
}

bool rec_batch_is_entry(struct rec_batch *b, const struct ring_writer *w, const struct frame *f)
{
    return (f->flags & FRAME_KEY) && f->data.n > 0 && learn(b, w, f->gen) && (b->entry_mask >> f->track & 1);
}

bool rec_batch_decides(struct rec_batch *b, const struct ring_writer *w, const struct frame *f)
{
    return learn(b, w, f->gen) && (b->entry_mask >> f->track & 1);
}

bool rec_batch_entry_behind(struct rec_batch *b, const struct ring_writer *w, uint64_t *at)
{
    uint64_t limit = ring_writer_next(w);
    struct frame f;

    for (; *at < limit; ++*at)
        if (ring_view(w, *at, &f) == RING_OK && rec_batch_is_entry(b, w, &f)) return true;
    return false;
}

static bool room(struct rec_batch *b)
{
    size_t cap = b->cap ? b->cap * 2 : REC_BATCH_FIRST;
    struct frame *frames;

    if (b->n < b->cap) return true;
    frames = mem_retry(b->frames, MIN(cap, SEG_FRAGMENT_MAX) * sizeof(*frames));
    if (!frames) return false;
    b->frames = frames;
    b->cap = MIN(cap, SEG_FRAGMENT_MAX);
    return true;
}

static usec_t ticks_of(const struct rec_batch *b, const struct frame *f, int64_t v)
{
    uint32_t hz = f->gen == b->gen && f->track < b->tracks->n ? b->tracks->t[f->track].clock_hz : 0;

    return hz > 0 ? ticks_us((struct ticks){v, hz}) : 0;
}

usec_t rec_batch_media_us(const struct rec_batch *b, const struct frame *f)
{
    return ticks_of(b, f, f->dts);
}

usec_t rec_batch_line_us(const struct rec_batch *b, const struct frame *f)
{
    return f->wall_us - ticks_of(b, f, f->dts + f->cts);
}

static bool far(usec_t a_us, usec_t b_us)
{
    return a_us - b_us > REC_CLOCK_US || b_us - a_us > REC_CLOCK_US;
}

bool rec_batch_entry_ends(
    struct rec_batch *b, const struct ring_writer *w, const struct frame *f, const struct rec_until *until)
{
    if (!rec_batch_is_entry(b, w, f)) return false;
    return rec_batch_media_us(b, f) >= until->media_us ||
        (until->line && far(rec_batch_line_us(b, f), until->line_us));
}

bool rec_batch_steps(struct rec_batch *b, const struct ring_writer *w, const struct frame *f)
{
    return (b->has_clock >> f->track & 1) && learn(b, w, f->gen) &&
        far(rec_batch_line_us(b, f), b->clock_us[f->track]);
}

void rec_batch_forget_clock(struct rec_batch *b)
{
    b->has_clock = 0;
}

/* Does a fragment end before this frame? */
static bool ends_before(struct rec_batch *b, const struct ring_writer *w, const struct frame *f,
    const struct rec_until *until, unsigned seen)
{
    const struct frame *first = &b->frames[0];

    if (b->n >= SEG_FRAGMENT_MAX || b->bytes + f->data.n > REC_BATCH_BYTES || f->gen != first->gen)
        return true;
    if ((f->flags & FRAME_DISCONT) && (seen >> f->track & 1)) return true;
    return rec_batch_media_us(b, f) - rec_batch_media_us(b, first) >= REC_BATCH_US ||
        rec_batch_steps(b, w, f) || rec_batch_entry_ends(b, w, f, until) ||
        (f->wall_us >= until->wall_us && rec_batch_decides(b, w, f));
}

static void take(struct rec_batch *b, const struct frame *f)
{
    b->frames[b->n++] = *f;
    b->bytes += f->data.n;
    b->clock_us[f->track] = rec_batch_line_us(b, f);
    b->has_clock |= 1u << f->track;
}

bool rec_batch_gather(
    struct rec_batch *b, const struct ring_writer *w, uint64_t from, const struct rec_until *until)
{
    unsigned seen = until->seen;
    struct frame f;

    b->n = b->bytes = 0;
    for (uint64_t seq = from; ring_view(w, seq, &f) == RING_OK; seq++) {
        if ((b->n > 0 && ends_before(b, w, &f, until, seen)) || !room(b)) break;
        if (b->n == 0) (void)learn(b, w, f.gen);
        take(b, &f);
        seen |= 1u << f.track;
    }
    return b->n > 0;
}

bool rec_batch_only_adds(
    struct rec_batch *b, const struct ring_writer *w, uint32_t gen, const struct track_set *old)
{
    struct track_set *cut;
    bool same;

    if (!learn(b, w, gen) || b->tracks->n < old->n) return false;
    cut = mem_dup(b->tracks, sizeof(*cut));
    cut->n = old->n;
    same = track_set_same(cut, old);
    mem_free(cut);
    return same;
}
