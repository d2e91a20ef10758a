/* G.711: one packet, one block, of any length (A6). Source: RFC 3551 4.5.14. */
#include "common/media/g711.h"
#include "worker/depay_impl.h"

static void feed(struct depay *d, const struct depay_packet *p)
{
    struct span block = g711_without_header(p->payload);

    if (block.n == 0) return;
    depay_emit_block(d, p, block, 0, g711_samples(block.n, d->channels));
}

static bool track(const struct depay *d, struct track *ret)
{
    ret->sample_rate = d->clock_hz;
    ret->channels = d->channels ? d->channels : 1;
    return true;
}

const struct depay_ops pcma_depay = {
    .codec = CODEC_PCMA, .bytes = sizeof(struct depay), .clock_hz = G711_HZ, .feed = feed, .track = track};
const struct depay_ops pcmu_depay = {
    .codec = CODEC_PCMU, .bytes = sizeof(struct depay), .clock_hz = G711_HZ, .feed = feed, .track = track};
