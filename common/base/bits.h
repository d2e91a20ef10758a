/* Sticky bit reader, most significant bit first, for NAL unit payloads and audio configurations. It can skip
 * emulation prevention bytes (ITU-T H.264 7.3.1, H.265 7.3.1.1) while it reads. Refuses Exp-Golomb codes of
 * more than 32 leading zeros (H.264 9.1). */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include "common/base/span.h"

struct bits {
    struct span s;
    size_t at;    /* next byte */
    unsigned bit; /* bits of that byte already taken */
    unsigned zeros;
    bool unescape;
    bool bad;
};

struct bits bits_of(struct span s);
struct bits bits_of_nal(struct span s); /* 00 00 03 read as 00 00 */
static inline bool bits_ok(const struct bits *b)
{
    return !b->bad;
}

uint32_t bits_u(struct bits *b, unsigned n); /* n <= 32 */
bool bits_flag(struct bits *b);
void bits_skip(struct bits *b, size_t n);
uint32_t bits_ue(struct bits *b);
int32_t bits_se(struct bits *b);
/* Whole bits left, an upper bound where emulation prevention bytes are skipped. */
size_t bits_left(const struct bits *b);
/* Is there more than the trailing bits (H.264 7.2 more_rbsp_data)? */
bool bits_more_rbsp(const struct bits *b);

#endif
