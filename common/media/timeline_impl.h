/* What timeline.c (media time) and timeline_clock.c (wall time, the camera's clock, tracks among each other)
 * share. */
#ifndef MEDIA_TIMELINE_IMPL_H
#define MEDIA_TIMELINE_IMPL_H

#include "common/media/delay.h"
#include "common/media/timeline.h"

#define GAP_US US_PER_S /* arrival that much behind what is counted: footage is missing */

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

/* What the camera said last of its own clock. */
struct camera_time {
    enum { CAMERA_SILENT, CAMERA_WAITS /* for a unit */, CAMERA_TIED, CAMERA_ARRIVED } state;
    unsigned track;
    uint32_t timestamp;
    usec_t camera_us, wall_us; /* and when it arrived */
    usec_t off_us;             /* camera clock minus media time when tied, else minus wall_us */
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
    struct camera_time camera;
};

static inline usec_t us_of(const struct line *l, int64_t v)
{
    return ticks_us((struct ticks){v, l->hz});
}

static inline int64_t ticks_of(const struct line *l, usec_t us)
{
    return scale_i64(us, l->hz, 1000000);
}

/* --- timeline_clock.c --- */

/* Our clocks at the arrival of a unit; a step of the wall clock is noticed. */
void timeline_clocks(struct timeline *t, const struct timeline_in *in);
/* T8, T9, T10: ties media time to our clock; with units of the reference. */
void timeline_wall_fit(struct timeline *t, const struct line *l, usec_t mono_us);
usec_t timeline_wall_of(const struct timeline *t, struct line *l, int64_t pts);
/* Finds what the camera's last word was about, as soon as that can be known. */
void timeline_camera_tie(struct timeline *t);
/* T9: moves the track towards the reference, slowly. */
void timeline_align(struct timeline *t, struct line *l, usec_t mono_us);

#endif
