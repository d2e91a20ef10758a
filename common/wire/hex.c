#include "common/wire/hex.h"

int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void hex_write(struct wr *w, struct span s)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < s.n; i++) {
        wr_u8(w, (uint8_t)digits[s.p[i] >> 4]);
        wr_u8(w, (uint8_t)digits[s.p[i] & 15]);
    }
}
