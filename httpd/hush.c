#include "httpd/hush.h"
#include "common/media/aac.h"

#define OPUS_HZ    48000
#define OPUS_FRAME 960 /* samples of OPUS_HZ: 20 ms */

static bool aac_of(const struct track *t, struct aac_config *ret)
{
    return t->codec == CODEC_AAC && aac_config_parse(span(t->config, t->config_n), ret) &&
        ret->object == AAC_LC && (ret->channels == 1 || ret->channels == 2);
}

bool hush_can(const struct track *t)
{
    struct aac_config aac;

    return t->codec == CODEC_OPUS || aac_of(t, &aac);
}

/* One element without a spectral line: all its fields are 0 but its id; then the terminator. Single channel
 * element: id 0 and 29 zeros in all; pair: id 1, a common window, and two channels, 43 bits. */
static const uint8_t aac_mono[] = {0x00, 0x00, 0x00, 0x07},
                     aac_stereo[] = {0x21, 0x00, 0x00, 0x00, 0x00, 0x1c};
/* CELT, 20 ms, one channel; a packet says itself how many it has. */
static const uint8_t opus[] = {0xf8, 0xff, 0xfe};

struct span hush_silence(const struct track *t)
{
    struct aac_config aac;

    if (!aac_of(t, &aac)) return span(opus, sizeof(opus));
    return aac.channels == 1 ? span(aac_mono, sizeof(aac_mono)) : span(aac_stereo, sizeof(aac_stereo));
}

/* Of a frame; 0: silence of it is not known. */
static int64_t ticks_of(const struct track *t)
{
    struct aac_config aac;

    if (t->codec == CODEC_OPUS) return scale_i64(OPUS_FRAME, t->clock_hz, OPUS_HZ);
    return aac_of(t, &aac) ? scale_i64(aac.frame, t->clock_hz, aac.rate) : 0;
}

static usec_t us_of(const struct track_set *tracks, unsigned track, int64_t ticks)
{
    return ticks_us((struct ticks){ticks, tracks->t[track].clock_hz});
}

bool hush_heard(struct hush *h, const struct track_set *tracks, const struct frame *f)
{
    usec_t *habit_us = &h->t[f->track].habit_us, paused_us = h->main_us - h->t[f->track].since_us;
    int64_t ticks = ticks_of(&tracks->t[f->track]);
    bool filled = h->t[f->track].silent && f->dts < h->t[f->track].next;

    if (ticks == 0 || !h->t[f->track].begun) return true;
    if (paused_us > 0) *habit_us -= *habit_us / 8; /* of a portion the first */
    if (paused_us <= HUSH_HABIT_US) *habit_us = MAX(*habit_us, paused_us);
    h->t[f->track].last_us = us_of(tracks, f->track, f->dts);
    h->t[f->track].since_us = MAX(h->main_us, h->t[f->track].last_us);
    if (filled) return false;
    h->t[f->track].silent = false;
    h->t[f->track].next = f->dts + ticks;
    return true;
}

void hush_picture(struct hush *h, const struct track_set *tracks, unsigned mask, const struct frame *f)
{
    h->main_us = us_of(tracks, f->track, f->dts);
    for (unsigned i = 0; i < tracks->n; i++) {
        if (h->t[i].begun || !(mask & 1u << i) || ticks_of(&tracks->t[i]) == 0) continue;
        h->t[i].begun = true;
        h->t[i].silent = false;
        h->t[i].since_us = h->t[i].last_us = h->main_us;
        h->t[i].next = scale_i64(h->main_us, tracks->t[i].clock_hz, 1000000);
    }
}

bool hush_next(struct hush *h, const struct track_set *tracks, unsigned track, struct frame *ret)
{
    usec_t paused_us = h->main_us - h->t[track].since_us, habit_us = h->t[track].habit_us;
    int64_t ticks = ticks_of(&tracks->t[track]);

    if (ticks == 0 || !h->t[track].begun || paused_us <= MAX(HUSH_US, habit_us + habit_us / 2)) return false;
    if (us_of(tracks, track, h->t[track].next + ticks) > h->t[track].last_us + paused_us) return false;
    *ret = (struct frame){
        .dts = h->t[track].next, .dur = (uint32_t)ticks, .flags = FRAME_KEY, .track = (uint8_t)track};
    h->t[track].next += ticks;
    h->t[track].silent = true;
    return true;
}

void hush_break(struct hush *h)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) h->t[i].begun = false;
}
