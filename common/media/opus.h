/* Opus packets and their description in MP4. Sources: RFC 6716 3.1 and 3.2 (TOC, frames), RFC 7845 5.1,
 * "Encapsulation of Opus in ISO Base Media File Format" 4.3.2 (dOps). Tests: tests/unit/media/test_audio.c.
 */
#ifndef MEDIA_OPUS_H
#define MEDIA_OPUS_H

#include "common/base/wr.h"

#define OPUS_HZ          48000u
#define OPUS_SAMPLES_MAX 5760 /* 120 ms */

/* Samples at 48 kHz. 0: not a packet (empty, or longer than 120 ms). */
uint32_t opus_samples(struct span packet);
bool opus_stereo(struct span packet);
/* Body of dOps: version to channel mapping family 0. */
void opus_config_write(struct wr *w, uint8_t channels);

#endif
