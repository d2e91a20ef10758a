#include "common/media/opus.h"

/* Frame lengths of the 32 configurations, in samples at 48 kHz (RFC 6716 table 2). */
static uint32_t frame_samples(unsigned config)
{
    static const uint16_t silk[] = {480, 960, 1920, 2880}, hybrid[] = {480, 960},
                          celt[] = {120, 240, 480, 960};

    if (config < 12) return silk[config & 3];
    if (config < 16) return hybrid[config & 1];
    return celt[config & 3];
}

uint32_t opus_samples(struct span packet)
{
    uint32_t frames = 2, samples;

    if (packet.n == 0) return 0;
    if ((packet.p[0] & 3) == 0) frames = 1;
    if ((packet.p[0] & 3) == 3) {
        if (packet.n < 2) return 0;
        frames = packet.p[1] & 63u;
    }
    samples = frames * frame_samples(packet.p[0] >> 3);
    return samples <= OPUS_SAMPLES_MAX ? samples : 0;
}

bool opus_stereo(struct span packet)
{
    return packet.n > 0 && (packet.p[0] & 4) != 0;
}

void opus_config_write(struct wr *w, uint8_t channels)
{
    wr_u8(w, 0);
    wr_u8(w, channels);
    wr_u16(w, 0); /* pre-skip: a live stream is joined where it is */
    wr_u32(w, OPUS_HZ);
    wr_u16(w, 0);
    wr_u8(w, 0);
}
