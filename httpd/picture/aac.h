/* G.711 as AAC-LC frames of a constant size: PICTURE_AAC_BYTES a channel. Runs in the cage only.
 *
 * Time: frame i of the answer decodes, behind its predecessor, to the samples [i * 1024, (i + 1) * 1024) from
 * the end of the run-in on: the encoder's delay of 1024 samples is taken off here, and nothing is left to an
 * edit list. A frame's transform reaches 1024 samples beyond its end, hence the frame behind the last one.
 * The two frames of run-in are encoded and thrown away, so that what an encoder remembers does not start anew
 * at every segment.
 *
 * Size: in front of ID_END stand fill elements (ISO 14496-3 4.4.2.7), so that a decoder finds a whole raw
 * data block of that size; behind it fewer than eight zero bits. A frame that the encoder makes larger (it
 * may not, by ISO 14496-3 4.5.3.1) is a frame of silence. Tests: tests/unit/picture/test_aac.c. */
#ifndef PICTURE_AAC_H
#define PICTURE_AAC_H

#include "httpd/picture/wire.h"

/* bytes: picture_aac_in(a). On PICTURE_OK `to` has picture_aac_out(a) more. */
enum picture_err picture_aac(const struct picture_ask *a, struct span bytes, struct buf *to);

/* One raw data block, padded to `size` bytes in dst. false: it is none, or does not fit. */
bool aac_pad(struct span frame, uint8_t *dst, size_t size);
/* A raw data block of silence, padded. channels: 1 or 2. */
void aac_silence(unsigned channels, uint8_t *dst, size_t size);

#endif
