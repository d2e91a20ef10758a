/* G.711: one byte a sample and channel. Sources: ITU-T G.711, RFC 3551 4.5.14. Tests:
 * tests/unit/media/test_audio.c. */
#ifndef MEDIA_G711_H
#define MEDIA_G711_H

#include "common/base/span.h"

#define G711_HZ 8000u

/* Sampling instants in so many bytes. */
static inline uint32_t g711_samples(size_t bytes, unsigned channels)
{
    return (uint32_t)(bytes / (channels > 1 ? channels : 1));
}
/* The four bytes that HiSilicon's encoder puts before each block (00 01, half the length, 00) are no sound
 * (A6): what is behind them, or all of it where there are none. */
struct span g711_without_header(struct span payload);

#endif
