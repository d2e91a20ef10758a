#include "common/media/timeline_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define ODD_UNITS     3                /* a step that lasts so long is the new run (T5) */
#define REORDER_US    US_PER_S         /* pictures are shown at most so much earlier than one before them */
#define SLACK_US      (20 * US_PER_MS) /* timestamps more ahead of arrival than that lie */
#define AHEAD_US      (5 * US_PER_S)   /* a count of samples so much ahead since the run began does */
#define STEP_GUESS_HZ 25               /* units a second before two were seen */
#define STEP_MAX_US   (2 * US_PER_S)

struct timeline *timeline_new(void)
{
    struct timeline *t = NEW(struct timeline);

    t->ref = -1;
    return t;
}

void timeline_free(struct timeline *t)
{
    mem_free(t);
}

void timeline_track(struct timeline *t, unsigned track, enum track_kind kind, uint32_t hz)
{
    struct line *l = &t->l[track];
    usec_t last_us = l->any ? us_of(l, l->dts) : 0;
    bool any = l->any;

    must(track < TRACK_MAX && hz > 0);
    if (l->set && l->kind == kind && l->hz == hz) return;
    *l = (struct line){.set = true,
        .kind = kind,
        .hz = hz,
        .any = any,
        .join = l->join,
        .step = MAX(hz / STEP_GUESS_HZ, 1u)};
    if (any) l->dts = l->pts = l->top = ticks_of(l, last_us) + 1;
    if (t->ref == (int)track) t->ref = -1;
}

/* Forgets how timestamps are tied to media time. */
static void line_break(struct line *l)
{
    l->run = false;
    l->join = l->any;
    l->odd_n = 0;
    l->n = 0;
    l->sr = (struct reports){0};
}

void timeline_restart(struct timeline *t)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        struct line *l = &t->l[i];

        line_break(l);
        l->join = true; /* of a track that is declared later too: a new process joins what another left */
        l->delay = (struct delay){0};
        l->shift = l->shift_rest = 0;
    }
    t->c.runs++;
    t->anchored = t->has_fit = false;
    t->camera = (struct camera_time){0};
    t->ref = -1;
}

const struct timeline_counters *timeline_counters(const struct timeline *t)
{
    return &t->c;
}

/* --- presentation time --- */

/* Where media time should be by arrival, in ticks of the track; behind what was handed out at least. */
static int64_t by_arrival(const struct timeline *t, const struct line *l, usec_t mono_us)
{
    const struct delay *d = l->delay.any ? &l->delay : t->ref >= 0 ? &t->l[t->ref].delay : NULL;

    return d && d->any ? ticks_of(l, mono_us - delay_least(d)) : INT64_MIN;
}

/* The stamp for a unit that comes without a good one: right behind the last, or later where arrival shows a
 * hole. */
static int64_t behind_last(const struct timeline *t, const struct line *l, usec_t mono_us)
{
    int64_t next = l->top + (l->dur ? l->dur : l->step), now = by_arrival(t, l, mono_us);

    return now != INT64_MIN && us_of(l, now - next) > GAP_US ? now : next;
}

static void believe(struct line *l, const struct timeline_in *in, int64_t ext)
{
    l->ts = in->timestamp;
    l->ext = ext;
    l->ts_us = in->mono_us;
    l->odd_n = 0;
}

/* The first unit of a run. */
static int64_t begin_run(struct timeline *t, struct line *l, const struct timeline_in *in)
{
    int64_t room = (int64_t)(l->depth + 1) * l->step, pts = by_arrival(t, l, in->mono_us);

    if (!t->anchored) {
        usec_t at = in->wall_us;

        for (unsigned i = 0; i < TRACK_MAX; i++)
            if (t->l[i].any) at = MAX(at, us_of(&t->l[i], t->l[i].dts + t->l[i].step));
        pts = ticks_of(l, at);
        t->anchored = true;
    } else if (pts == INT64_MIN) {
        pts = ticks_of(l, in->wall_us);
    }
    if (l->any) pts = MAX(pts, l->dts - l->shift + room);
    l->offset = pts - in->offset;
    l->run_pts = pts;
    l->run_us = in->mono_us;
    l->run = true;
    l->n = 0;
    believe(l, in, 0);
    return pts;
}

/* A new run joined where the track is, without a hole. */
static void rebase(struct line *l, const struct timeline_in *in, int64_t ext, int64_t pts)
{
    l->offset = pts - ext - in->offset;
    l->sr = (struct reports){0};
    believe(l, in, ext);
}

/* Is the step from the last believed timestamp one that a camera may take? */
static bool in_line(const struct timeline_in *in, const struct line *l, int64_t raw)
{
    int64_t last = l->ext + l->offset;
    usec_t step = us_of(l, raw - last), gap = in->mono_us - l->ts_us, off = step - gap;

    if (step >= 0)
        return step <= TIMELINE_JUMP_US || (off < MAX(GAP_US, gap / 4) && -off < MAX(GAP_US, gap / 4));
    return step >= -REORDER_US && (in->backward || in->reorder > 0);
}

static int64_t pts_video(struct timeline *t, struct line *l, const struct timeline_in *in, uint16_t *flags)
{
    int64_t ext = l->ext + (int32_t)(in->timestamp - l->ts), raw = ext + l->offset + in->offset, pts;
    usec_t from_odd = us_of(l, ext - l->odd);

    if (in_line(in, l, raw)) {
        t->c.strays += l->odd_n;
        believe(l, in, ext);
        return raw;
    }
    *flags |= FRAME_REPAIRED;
    if (raw < l->ext + l->offset) t->c.backwards++;
    pts = behind_last(t, l, in->mono_us);
    l->odd_n = l->odd_n > 0 && from_odd > -REORDER_US && from_odd < TIMELINE_JUMP_US ? l->odd_n + 1 : 1;
    l->odd = ext;
    if (l->odd_n < ODD_UNITS) return pts;
    t->c.jumps++;
    rebase(l, in, ext, pts);
    return pts;
}

/* T12: counted samples are followed while the timestamps agree more or less. What is ahead of them is a hole,
 * if it is not ahead of arrival too; the rest are lies. When the count itself runs away from arrival (a false
 * sample rate), the timestamps are followed. */
static int64_t pts_audio(struct timeline *t, struct line *l, const struct timeline_in *in, uint16_t *flags)
{
    int64_t ext = l->ext + (int32_t)(in->timestamp - l->ts), raw = ext + l->offset + in->offset;
    int64_t counted = l->pts + (l->dur ? l->dur : l->step), now = by_arrival(t, l, in->mono_us);
    usec_t off = us_of(l, raw - counted);
    bool runs_away = us_of(l, counted - l->run_pts) - (in->mono_us - l->run_us) > AHEAD_US;

    if (off < TIMELINE_AUDIO_US && (runs_away ? raw > l->pts : off > -TIMELINE_AUDIO_US)) {
        believe(l, in, ext);
        return runs_away ? raw : counted;
    }
    if (off > 0 && us_of(l, raw - now) < SLACK_US) {
        t->c.resyncs++;
        believe(l, in, ext);
        return raw;
    }
    if (us_of(l, now - counted) > GAP_US) counted = now;
    *flags |= FRAME_REPAIRED;
    t->c.ignored++;
    rebase(l, in, ext, counted);
    return counted;
}

/* --- decode time (V15) --- */

static void shown_add(struct line *l, int64_t pts)
{
    unsigned at = l->n;

    while (at > 0 && l->shown[at - 1] > pts) at--;
    memmove(&l->shown[at + 1], &l->shown[at], (l->n - at) * sizeof l->shown[0]);
    l->shown[at] = pts;
    l->n++;
}

static int64_t shown_take(struct line *l)
{
    int64_t first = l->shown[0];

    l->n--;
    memmove(&l->shown[0], &l->shown[1], l->n * sizeof l->shown[0]);
    return first;
}

/* How many pictures must be held back so that this one is not too late. */
static void learn_depth(struct timeline *t, struct line *l, const struct timeline_in *in, int64_t pts)
{
    unsigned need = (unsigned)CLAMP((int)in->reorder, 0, TIMELINE_REORDER_MAX);

    if (pts < l->top) {
        unsigned later = 0;

        for (unsigned i = 0; i < l->n; i++) later += l->shown[i] > pts;
        if (later == 0 || l->depth == 0) later++;
        if (later > MAX(need, l->depth)) t->c.reorder_learnt++;
        need = MAX(need, MIN(later, TIMELINE_REORDER_MAX));
    }
    l->depth = MAX(l->depth, need);
}

static int64_t dts_of(struct timeline *t, struct line *l, const struct timeline_in *in, int64_t pts)
{
    int64_t dts;

    if (us_of(l, pts - l->top) > TIMELINE_JUMP_US) l->n = 0;
    learn_depth(t, l, in, pts);
    if (l->depth == 0) return pts;
    shown_add(l, pts);
    if (l->n <= l->depth) return l->shown[0] - (int64_t)(l->depth + 1 - l->n) * l->step;
    do {
        dts = shown_take(l);
    } while (l->n > l->depth);
    return dts;
}

static void learn_step(struct line *l, int64_t pts)
{
    int64_t step = pts - l->top;

    /* A hole does not make the usual step longer at once. */
    if (step > 0 && us_of(l, step) < STEP_MAX_US) l->step = (uint32_t)MAX((l->step * 7 + step) / 8, 1);
}

static int32_t clamp32(int64_t v)
{
    return (int32_t)CLAMP(v, INT32_MIN, INT32_MAX);
}

/* A timestamp that another unit has already (T11), or that lies behind it where there is no reordering. */
static int64_t nudge(
    struct timeline *t, const struct line *l, const struct timeline_in *in, int64_t pts, uint16_t *flags)
{
    bool reorders = l->kind == TRACK_VIDEO && (l->depth > 0 || in->reorder > 0 || in->backward);

    if (!l->any || pts > l->top || (reorders && pts != l->pts)) return pts;
    t->c.nudges++;
    *flags |= FRAME_REPAIRED;
    return (reorders ? pts : l->top) + 1;
}

static void choose_ref(struct timeline *t, unsigned track)
{
    if (t->ref < 0 || (t->l[track].kind == TRACK_VIDEO && t->l[t->ref].kind != TRACK_VIDEO)) {
        t->ref = (int)track;
        t->has_fit = false;
        t->l[track].shift = 0;
    }
}

void timeline_unit(struct timeline *t, const struct timeline_in *in, struct timeline_out *ret)
{
    struct line *l = &t->l[in->track];
    uint16_t flags = 0;
    int64_t pts, dts;
    bool first;

    must(in->track < TRACK_MAX && l->set);
    timeline_clocks(t, in);
    if (in->new_run && l->run) {
        line_break(l);
        t->c.runs++;
    }
    first = !l->run;
    if (first)
        pts = begin_run(t, l, in);
    else
        pts = l->kind == TRACK_AUDIO ? pts_audio(t, l, in, &flags) : pts_video(t, l, in, &flags);
    pts = nudge(t, l, in, pts, &flags);
    delay_add(&l->delay, in->mono_us, in->mono_us - us_of(l, pts));
    choose_ref(t, in->track);
    timeline_align(t, l, in->mono_us);
    if (in->track == (unsigned)t->ref) timeline_wall_fit(t, l, in->mono_us);
    dts = dts_of(t, l, in, pts) + l->shift;
    if (l->any) dts = MAX(dts, l->dts + 1);
    if (l->any && !first) learn_step(l, pts);
    if (l->join) flags |= FRAME_DISCONT;
    l->join = false;
    *ret = (struct timeline_out){.dts = dts, .cts = clamp32(pts + l->shift - dts), .flags = flags};
    /* An alignment that moves back may reach the unit before: presentation follows decoding then. */
    if (l->kind != TRACK_VIDEO) ret->cts = 0;
    ret->wall_us = timeline_wall_of(t, l, pts + l->shift);
    l->pts = pts;
    l->top = first ? pts : MAX(l->top, pts);
    l->dur = in->dur;
    l->dts = dts;
    l->any = true;
    timeline_camera_tie(t);
    t->c.units++;
    if (flags & FRAME_REPAIRED) t->c.repairs++;
}
