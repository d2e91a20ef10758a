/* Opus: one packet, one block. The clock is 48 kHz whatever the session description says, channels are those
 * of the packets (A7): mono until a stereo packet comes. Source: RFC 7587. */
#include "common/media/opus.h"
#include "worker/depay_impl.h"

struct opus_state {
    struct depay base;
    uint8_t channels; /* 0: no packet yet */
};

static int init(struct depay *d, const struct depay_media *m)
{
    (void)m;
    d->clock_hz = OPUS_HZ;
    return DEPAY_OK;
}

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct opus_state *o = (struct opus_state *)(void *)d;
    uint32_t samples = opus_samples(p->payload);
    uint8_t channels = opus_stereo(p->payload) ? 2 : 1;

    if (p->payload.n == 0) return;
    if (samples == 0) {
        d->c.bad++;
        return;
    }
    if (channels > o->channels) {
        o->channels = channels;
        depay_changed(d);
    }
    depay_emit_block(d, p, p->payload, 0, samples);
}

static bool track(const struct depay *d, struct track *ret)
{
    const struct opus_state *o = (const struct opus_state *)(const void *)d;
    struct wr w = wr_of(ret->config, sizeof ret->config);

    opus_config_write(&w, o->channels);
    ret->config_n = (uint16_t)w.n;
    ret->sample_rate = OPUS_HZ;
    ret->channels = o->channels;
    return o->channels > 0;
}

const struct depay_ops opus_depay = {.codec = CODEC_OPUS,
    .bytes = sizeof(struct opus_state),
    .clock_hz = OPUS_HZ,
    .init = init,
    .feed = feed,
    .track = track};
