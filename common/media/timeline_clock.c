#include "common/media/timeline_impl.h"
#include "common/base/err.h"

#define SR_AGREE_US      (100 * US_PER_MS)
#define SETTLED_US       US_PER_S /* the first drains of a socket know the delay too badly */
#define NTP_UNIX_S       2208988800u
#define ALIGN_SR_US      (10 * US_PER_MS)  /* tracks are left alone within, by sender reports */
#define ALIGN_ARRIVAL_US (200 * US_PER_MS) /* and by arrival, which knows no better */
#define ALIGN_IN_S       20 /* an error is to be gone in about so long, within the limits below */
#define ALIGN_MIN_PPM    500
#define ALIGN_MAX_PPM    50000

/* --- wall clock --- */

void timeline_wall_fit(struct timeline *t, const struct line *l, usec_t mono_us)
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

void timeline_clocks(struct timeline *t, const struct timeline_in *in)
{
    usec_t between = in->wall_us - in->mono_us, moved = between - t->clocks_us;

    if (t->has_clocks && (moved > TIMELINE_STEP_US || moved < -TIMELINE_STEP_US)) {
        t->c.clock_steps++;
        for (unsigned i = 0; i < TRACK_MAX; i++) t->l[i].wall_us = 0;
    }
    t->clocks_us = between;
    t->has_clocks = true;
}

usec_t timeline_wall_of(const struct timeline *t, struct line *l, int64_t pts)
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

/* Media time at the track's timestamp, as it was handed out. */
static usec_t media_us(const struct line *l, uint32_t timestamp)
{
    return us_of(l, l->ext + (int32_t)(timestamp - l->ts) + l->offset);
}

void timeline_camera_tie(struct timeline *t)
{
    struct camera_time *c = &t->camera;
    const struct line *l = &t->l[c->track];
    usec_t at_us, late_us;

    if (c->state != CAMERA_WAITS || !l->run || !t->has_fit) return;
    at_us = media_us(l, c->timestamp) + us_of(l, l->shift);
    late_us = c->wall_us - (at_us + t->fit_us + t->clocks_us);
    c->state = late_us < TIMELINE_NTP_US && late_us > -TIMELINE_NTP_US ? CAMERA_TIED : CAMERA_ARRIVED;
    c->off_us = c->camera_us - (c->state == CAMERA_TIED ? at_us : c->wall_us);
}

void timeline_camera_time(
    struct timeline *t, unsigned track, usec_t camera_us, uint32_t timestamp, usec_t wall_us)
{
    must(track < TRACK_MAX);
    /* A track without units says nothing where another one has. */
    if (!t->l[track].run && (t->camera.state == CAMERA_TIED || t->camera.state == CAMERA_ARRIVED)) return;
    t->camera = (struct camera_time){.state = CAMERA_WAITS,
        .track = track,
        .timestamp = timestamp,
        .camera_us = camera_us,
        .wall_us = wall_us};
    timeline_camera_tie(t);
}

void timeline_sr(struct timeline *t, unsigned track, uint64_t ntp, uint32_t rtp, usec_t wall_us)
{
    struct line *l = &t->l[track];
    usec_t camera = ntp_us(ntp), skew, off = camera - wall_us;

    must(track < TRACK_MAX);
    if (ntp != 0) timeline_camera_time(t, track, camera, rtp, wall_us);
    if (ntp == 0 || off > TIMELINE_NTP_US || off < -TIMELINE_NTP_US) {
        t->c.sr_bad++;
        l->sr = (struct reports){0};
        return;
    }
    if (!l->run) return;
    skew = media_us(l, rtp) - camera;
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
    const struct camera_time *c = &t->camera;

    if (c->state == CAMERA_SILENT || c->state == CAMERA_WAITS) return false;
    if (t->ref < 0 || t->fit_at_us - t->l[t->ref].delay.first_us < SETTLED_US) return false;
    *ret_us = c->off_us - (c->state == CAMERA_TIED ? t->fit_us + t->clocks_us : 0);
    return true;
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

void timeline_align(struct timeline *t, struct line *l, usec_t mono_us)
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
