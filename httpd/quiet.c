#include "httpd/quiet.h"
#include "httpd/hush.h"

static int64_t us_of(const struct track_set *tracks, const struct frame *f)
{
    return ticks_us((struct ticks){f->dts, tracks->t[f->track].clock_hz});
}

static bool is_sound(const struct track_set *tracks, unsigned i)
{
    return tracks->t[i].kind == TRACK_AUDIO;
}

void quiet_frame(struct quiet *q, const struct track_set *tracks, const struct frame *f)
{
    int64_t us;

    if (f->track >= tracks->n) return;
    us = us_of(tracks, f);
    if (tracks->t[f->track].kind == TRACK_VIDEO) q->main_us = us;
    if (!q->t[f->track].any || us - q->t[f->track].last_us > QUIET_BACK_US || us < q->t[f->track].last_us)
        q->t[f->track].since_us = us;
    q->t[f->track].last_us = us;
    q->t[f->track].any = true;
}

unsigned quiet_now(const struct quiet *q, const struct track_set *tracks)
{
    unsigned out = q->out;

    for (unsigned i = 0; i < tracks->n; i++) {
        unsigned bit = 1u << i;

        if (!is_sound(tracks, i)) continue;
        if (!(out & bit) && !hush_can(&tracks->t[i]) &&
            (!q->t[i].any || q->main_us - q->t[i].last_us > QUIET_AFTER_US))
            out |= bit;
        if (out & bit && q->t[i].any && q->main_us - q->t[i].last_us < QUIET_BACK_US &&
            q->t[i].last_us - q->t[i].since_us >= QUIET_BACK_US)
            out &= ~bit;
    }
    return out;
}

/* Sound of which nothing has come. */
static unsigned unheard(const struct quiet *q, const struct track_set *tracks)
{
    unsigned out = 0;

    for (unsigned i = 0; i < tracks->n; i++)
        if (is_sound(tracks, i) && !q->t[i].any) out |= 1u << i;
    return out;
}

bool quiet_look(
    struct quiet *q, struct ring_reader *r, uint64_t from, const struct track_set *tracks, usec_t now_us)
{
    struct quiet ahead = {.out = 0};
    int video = track_find(tracks, TRACK_VIDEO);
    uint32_t gen = 0;
    usec_t video_us = 0;
    struct frame f;

    for (uint64_t seq = from; video >= 0 && ring_peek(r, seq, &f) == RING_OK; seq++) {
        if (gen == 0) gen = f.gen;
        if (f.gen != gen) break;
        quiet_frame(&ahead, tracks, &f);
        if (f.track == video) video_us = ahead.main_us - ahead.t[video].since_us;
    }
    if (q->begun_us == 0) q->begun_us = now_us;
    ahead.out = unheard(&ahead, tracks);
    if (ahead.out != 0 && video_us < QUIET_US && video >= 0 && now_us - q->begun_us < QUIET_LATE_US)
        return false;
    /* What is left out is decided; what was heard ahead is heard when it comes. */
    *q = (struct quiet){.out = video < 0 ? 0 : ahead.out};
    for (unsigned i = 0; i < tracks->n; i++) {
        if (q->out & 1u << i || !ahead.t[i].any) continue;
        q->t[i] = ahead.t[i];
    }
    return true;
}
