#include "common/media/timeline.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/media/delay.h"

#define ODD_UNITS        3        /* a step that lasts so long is the new run (T5) */
#define REORDER_US       US_PER_S /* pictures are shown at most so much earlier than one before them */
#define GAP_US           US_PER_S /* arrival that much behind what is counted: footage is missing */
#define SLACK_US         (20 * US_PER_MS) /* timestamps more ahead of arrival than that lie */
#define AHEAD_US         (5 * US_PER_S)   /* a count of samples so much ahead since the run began does */
#define STEP_GUESS_HZ    25               /* units a second before two were seen */
#define STEP_MAX_US      (2 * US_PER_S)
#define SR_AGREE_US      (100 * US_PER_MS)
#define NTP_UNIX_S       2208988800u
#define ALIGN_SR_US      (10 * US_PER_MS)  /* tracks are left alone within, by sender reports */
#define ALIGN_ARRIVAL_US (200 * US_PER_MS) /* and by arrival, which knows no better */
#define ALIGN_IN_S       20 /* an error is to be gone in about so long, within the limits below */
#define ALIGN_MIN_PPM    500
#define ALIGN_MAX_PPM    50000

/* Sender reports of a track. skew: media time minus camera clock. */
struct reports {
    unsigned agree;
    usec_t skew_us;
};

struct line {
    bool set;
    enum track_kind kind;
    uint32_t hz;
    bool run;        /* timestamps are tied to media time: offset is good */
    bool any;        /* something was handed out, ever */
    bool join;       /* the next unit is behind a join */
    uint32_t ts;     /* of the last believed timestamp, */
    int64_t ext;     /* the same unwrapped, */
    usec_t ts_us;    /* its arrival */
    int64_t offset;  /* ext + offset = media time in ticks */
    int64_t run_pts; /* where the run began, */
    usec_t run_us;   /* and when */
    int64_t pts;     /* of the last unit, before alignment */
    int64_t top;     /* the largest pts */
    int64_t dts;     /* of the last unit, handed out */
    uint32_t dur;    /* of the last unit, audio */
    uint32_t step;   /* usual distance of two units */
    unsigned odd_n;  /* units in a row that step out of line, */
    int64_t odd;     /* the last one unwrapped */
    unsigned depth, n;
    int64_t shown[TIMELINE_REORDER_MAX + 1]; /* presentation times not yet used as dts, rising */
    struct delay delay;
    struct reports sr;
    int64_t shift;      /* ticks added for alignment */
    usec_t shifted_us;  /* when it was last looked at */
    int64_t shift_rest; /* millionths of a tick */
    usec_t wall_us;     /* of `top` */
};

struct timeline {
    struct line l[TRACK_MAX];
    struct timeline_counters c;
    bool anchored;
    int ref; /* index of the reference, -1: none */
    /* Wall time = media time + fit_us + (wall - mono). */
    usec_t fit_us, fit_at_us;
    usec_t clocks_us; /* wall - mono, last seen */
    bool has_clocks, has_fit;
    bool has_camera;
    usec_t camera_us;
};

static usec_t us_of(const struct line *l, int64_t v)
{
    return ticks_us((struct ticks){v, l->hz});
}

static int64_t ticks_of(const struct line *l, usec_t us)
{
    return scale_i64(us, l->hz, 1000000);
}

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
    *l = (struct line){.set = true, .kind = kind, .hz = hz, .any = any, .step = MAX(hz / STEP_GUESS_HZ, 1u)};
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
        l->delay = (struct delay){0};
        l->shift = l->shift_rest = 0;
    }
    t->c.runs++;
    t->anchored = t->has_fit = false;
    t->ref = -1;
}

const struct timeline_counters *timeline_counters(const struct timeline *t)
{
    return &t->c;
}

/* --- wall clock --- */

/* T8, T9, T10. */
static void wall_fit(struct timeline *t, const struct line *l, usec_t mono_us)
{
    usec_t least = delay_least(&l->delay), room;

    if (!t->has_fit || delay_young(&l->delay, mono_us)) {
        t->fit_us = least;
        t->has_fit = true;
    } else {
        room = (mono_us - t->fit_at_us) * TIMELINE_SLEW_PPM / 1000000;
        /* What is too small to move by is kept for the next time. */
        if (room == 0) return;
        t->fit_us += CLAMP(least - t->fit_us, -room, room);
    }
    t->fit_at_us = mono_us;
}

static void clocks(struct timeline *t, const struct timeline_in *in)
{
    usec_t between = in->wall_us - in->mono_us, moved = between - t->clocks_us;

    if (t->has_clocks && (moved > TIMELINE_STEP_US || moved < -TIMELINE_STEP_US)) {
        t->c.clock_steps++;
        for (unsigned i = 0; i < TRACK_MAX; i++) t->l[i].wall_us = 0;
    }
    t->clocks_us = between;
    t->has_clocks = true;
}

bool timeline_wall_offset(const struct timeline *t, usec_t *ret_us)
{
    if (!t->has_fit) return false;
    *ret_us = t->fit_us + t->clocks_us;
    return true;
}

static usec_t wall_of(const struct timeline *t, struct line *l, int64_t pts)
{
    usec_t wall = us_of(l, pts) + t->fit_us + t->clocks_us;

    if (pts < l->top) return wall;
    wall = MAX(wall, l->wall_us);
    l->wall_us = wall;
    return wall;
}

/* --- sender reports and alignment --- */

static usec_t ntp_us(uint64_t ntp)
{
    usec_t s = (usec_t)(ntp >> 32) - NTP_UNIX_S;

    /* Seconds of era 1 (from 2036-02-07) have the top bit clear. */
    if (ntp >> 63 == 0) s += (usec_t)1 << 32;
    return s * US_PER_S + (usec_t)((ntp & UINT32_MAX) * 1000000 >> 32);
}

void timeline_sr(struct timeline *t, unsigned track, uint64_t ntp, uint32_t rtp, usec_t wall_us)
{
    struct line *l = &t->l[track];
    usec_t camera = ntp_us(ntp), skew, off;

    must(track < TRACK_MAX);
    if (ntp != 0) {
        t->camera_us = camera - wall_us;
        t->has_camera = true;
    }
    off = camera - wall_us;
    if (ntp == 0 || off > TIMELINE_NTP_US || off < -TIMELINE_NTP_US) {
        t->c.sr_bad++;
        l->sr = (struct reports){0};
        return;
    }
    if (!l->run) return;
    skew = us_of(l, l->ext + (int32_t)(rtp - l->ts) + l->offset) - camera;
    off = skew - l->sr.skew_us;
    if (l->sr.agree > 0 && (off > SR_AGREE_US || off < -SR_AGREE_US)) {
        t->c.sr_bad++;
        l->sr.agree = 0;
    }
    l->sr.agree++;
    l->sr.skew_us = skew;
}

bool timeline_camera_clock(const struct timeline *t, usec_t *ret_us)
{
    if (t->has_camera) *ret_us = t->camera_us;
    return t->has_camera;
}

/* How much the track is ahead of the reference; 0 within what is left alone. */
static usec_t misaligned(const struct timeline *t, const struct line *l)
{
    const struct line *ref = &t->l[t->ref];
    usec_t ahead, alone = ALIGN_ARRIVAL_US;

    if (l->sr.agree >= 2 && ref->sr.agree >= 2) {
        ahead = l->sr.skew_us + us_of(l, l->shift) - ref->sr.skew_us;
        alone = ALIGN_SR_US;
    } else {
        if (!l->delay.any || !ref->delay.any) return 0;
        ahead = delay_least(&ref->delay) - (delay_least(&l->delay) - us_of(l, l->shift));
    }
    return ahead > alone || ahead < -alone ? ahead : 0;
}

/* T9: moves the track towards the reference, slowly. */
static void align(struct timeline *t, struct line *l, usec_t mono_us)
{
    usec_t ahead, past = mono_us - l->shifted_us;
    int64_t ppm, part;

    if (t->ref < 0 || l == &t->l[t->ref]) return;
    l->shifted_us = mono_us;
    ahead = misaligned(t, l);
    if (ahead == 0 || past <= 0 || past > GAP_US) return;
    ppm = CLAMP((ahead < 0 ? -ahead : ahead) / ALIGN_IN_S, ALIGN_MIN_PPM, ALIGN_MAX_PPM);
    part = ticks_of(l, past) * ppm + l->shift_rest;
    l->shift_rest = part % 1000000;
    l->shift += (ahead > 0 ? -1 : 1) * (part / 1000000);
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
    unsigned need = (unsigned)CLAMP(in->reorder, 0, TIMELINE_REORDER_MAX);

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
    clocks(t, in);
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
    align(t, l, in->mono_us);
    if (in->track == (unsigned)t->ref) wall_fit(t, l, in->mono_us);
    dts = dts_of(t, l, in, pts) + l->shift;
    if (l->any) dts = MAX(dts, l->dts + 1);
    if (l->any && !first) learn_step(l, pts);
    if (l->join) flags |= FRAME_DISCONT;
    l->join = false;
    *ret = (struct timeline_out){.dts = dts, .cts = clamp32(pts + l->shift - dts), .flags = flags};
    /* An alignment that moves back may reach the unit before: presentation follows decoding then. */
    if (l->kind != TRACK_VIDEO) ret->cts = 0;
    ret->wall_us = wall_of(t, l, pts + l->shift);
    l->pts = pts;
    l->top = first ? pts : MAX(l->top, pts);
    l->dur = in->dur;
    l->dts = dts;
    l->any = true;
    t->c.units++;
    if (flags & FRAME_REPAIRED) t->c.repairs++;
}
