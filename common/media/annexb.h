/* Byte streams of NAL units with start codes. Source: ITU-T H.264 annex B, H.265 annex B. */
#ifndef MEDIA_ANNEXB_H
#define MEDIA_ANNEXB_H

#include "common/base/span.h"

/* The next NAL unit, without start code and trailing zeros. Start with *rest = the stream. What stands before
 * the first start code counts as a NAL unit when it is not all zeros (V6: the first one often has none).
 * Empty units are left out. false: no more. */
bool annexb_next(struct span *rest, struct span *ret_nal);
/* Does a start code (00 00 01) stand in it? A NAL unit proper never holds one. */
bool annexb_within(struct span nal);
/* Does it begin with a start code, of three or four bytes? */
bool annexb_at_start(struct span nal);
/* Without zero bytes at the end (trailing_zero_8bits); a NAL unit never ends with one. */
struct span annexb_trim(struct span nal);

#endif
