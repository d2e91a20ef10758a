/* What the fuzz targets of the depacketisers share: input is a list of packets, each u8 flags (1 marker, 2
 * lost, 4 detach behind it, 8 reset, 16 flush), u8 timestamp step, u16 length, payload. */
#ifndef SUPPORT_DEPAY_FUZZ_H
#define SUPPORT_DEPAY_FUZZ_H

#include "worker/depay.h"

/* Feeds data and checks every unit: sizes agree, NAL units are whole, bytes can be read, limits are kept. */
void depay_fuzz(enum codec codec, const char *fmtp, struct span data);

#endif
