/* The timestamp firewall of a stream: RTP timestamps of its tracks in, media time and wall-clock time out.
 * What cameras do wrong with time is repaired and counted here, once, before anybody uses it. No clock: the
 * time of arrival is a parameter.
 *
 * Media time (track.h): the first unit after timeline_init or timeline_restart is anchored at the wall clock,
 * all tracks share that origin; from there it runs by the timestamps. dts is strictly rising within a track,
 * for good. Wall time: media time + an offset fitted to our own clock with the least delay seen (T8, T10: the
 * minimum of the first minute, then of sliding windows, slewed at TIMELINE_SLEW_PPM at most, T9). When our
 * own clock is stepped by more than TIMELINE_STEP_US, wall time follows at once; media time never does.
 * Sender reports serve only to align tracks with each other, and only when two in a row agree and are within
 * TIMELINE_NTP_US of our clock (T8); else tracks are aligned by least arrival delay. The first video track
 * (else the first track) is the reference; the others are slewed towards it, never stepped. A step of more
 * than TIMELINE_JUMP_US that arrival does not bear out, or one backwards that is no reordering, is not waited
 * out: the unit is stamped right behind the last one at once; a stray leaves it at that, a step that lasts
 * three units becomes the new run, joined where it was (T5).
 * Reordered pictures (V15): the timestamp is the presentation time; dts is the smallest presentation time of
 * the last reorder + 1 units, so cts >= 0 where the depth is known from the start. A depth that shows later
 * is learnt; there cts may be negative for some frames. Tests: tests/unit/media/test_timeline.c,
 * fuzz_timeline. */
#ifndef MEDIA_TIMELINE_H
#define MEDIA_TIMELINE_H

#include "common/media/frame.h"
#include "common/media/track.h"

#define TIMELINE_JUMP_US (5 * US_PER_S)
#define TIMELINE_NTP_US  (5 * US_PER_S)
#define TIMELINE_STEP_US (1 * US_PER_S)
#define TIMELINE_AUDIO_US                                                                                    \
    (60 * US_PER_MS) /* counted samples are followed while timestamps are as near (T12) */
#define TIMELINE_SLEW_PPM    500
#define TIMELINE_REORDER_MAX 16

struct timeline_in {
    unsigned track;          /* < TRACK_MAX, set up with timeline_track */
    uint32_t timestamp;      /* RTP */
    uint32_t offset;         /* ticks behind it: later blocks of one packet */
    uint32_t dur;            /* ticks, audio; 0: not known */
    int8_t reorder;          /* by the SPS, -1: not stated; 0 for all but video */
    bool backward;           /* shown before a picture that came earlier, as the picture order count says */
    bool key;                /* FRAME_KEY */
    bool new_run;            /* the source of the timestamps changed (SSRC, resynchronisation) */
    usec_t mono_us, wall_us; /* arrival, both clocks read together */
};

struct timeline_out {
    int64_t dts;
    int32_t cts;
    usec_t wall_us; /* of its presentation */
    uint16_t flags; /* FRAME_DISCONT, FRAME_REPAIRED */
};

struct timeline_counters {
    uint64_t units;
    uint64_t repairs;     /* units with FRAME_REPAIRED, whatever the reason: */
    uint64_t strays;      /* single timestamps far off (T5) */
    uint64_t jumps;       /* lasting steps joined (T5) */
    uint64_t backwards;   /* steps back that are no reordering */
    uint64_t nudges;      /* equal timestamps, one tick added (T11) */
    uint64_t resyncs;     /* audio: timestamps left counted samples and were believed (T12) */
    uint64_t ignored;     /* audio: timestamps left counted samples and were not */
    uint64_t runs;        /* new runs (T6) and restarts */
    uint64_t sr_bad;      /* sender reports that were not believed (T8) */
    uint64_t clock_steps; /* of our own clock */
    uint64_t reorder_learnt;
};

struct timeline;

struct timeline *timeline_new(void);
void timeline_free(struct timeline *t); /* NULL is fine */
/* Declares a track, or another codec on it; before its first unit. hz > 0. */
void timeline_track(struct timeline *t, unsigned track, enum track_kind kind, uint32_t hz);
/* The camera was connected anew: the next unit of each track is anchored at the later of its last one and
 * now, with FRAME_DISCONT. Before the first track: what comes is behind the frames of another timeline. */
void timeline_restart(struct timeline *t);
void timeline_unit(struct timeline *t, const struct timeline_in *in, struct timeline_out *ret);
/* A sender report of the track's SSRC: NTP time as it stands there (64 bit), its RTP timestamp. */
void timeline_sr(struct timeline *t, unsigned track, uint64_t ntp, uint32_t rtp, usec_t wall_us);
/* The camera's own clock at a timestamp of the track, as a packet said (T13: ONVIF replay extension). It
 * counts for timeline_camera_clock only, as timeline_sr does besides. */
void timeline_camera_time(
    struct timeline *t, unsigned track, usec_t camera_us, uint32_t timestamp, usec_t wall_us);
/* Camera clock minus wall time (of the same picture, where its timestamp is known; else of arrival), as the
 * last report said, believable or not: wall time itself never follows it. false: nothing, or only zeros,
 * since the last restart, or that is not a second ago. */
bool timeline_camera_clock(const struct timeline *t, usec_t *ret_us);
const struct timeline_counters *timeline_counters(const struct timeline *t);

#endif
