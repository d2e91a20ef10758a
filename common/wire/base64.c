#include "common/wire/base64.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void write_with(struct wr *w, struct span s, const char *alphabet, bool pad)
{
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = MIN((size_t)3, s.n - i);
        uint32_t v = (uint32_t)s.p[i] << 16;

        if (n > 1) v |= (uint32_t)s.p[i + 1] << 8;
        if (n > 2) v |= s.p[i + 2];
        for (size_t k = 0; k < 4; k++) {
            if (k <= n)
                wr_u8(w, (uint8_t)alphabet[v >> (18 - 6 * k) & 63]);
            else if (pad)
                wr_u8(w, '=');
        }
    }
}

void base64_write(struct wr *w, struct span s)
{
    write_with(w, s, STANDARD, true);
}

void base64url_write(struct wr *w, struct span s)
{
    write_with(w, s, URL_SAFE, false);
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

bool base64_read(struct span s, struct wr *w)
{
    uint32_t v = 0;
    unsigned chars = 0, pads = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        int d = value_of(c);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
        if (c == '=' && chars % 4 + pads >= 2 && chars % 4 + pads < 4) {
            pads++;
            continue;
        }
        if (d < 0 || pads > 0) return false;
        v = v << 6 | (uint32_t)d;
        chars++;
        if (chars % 4 != 0) continue;
        wr_u24(w, v);
        v = 0;
    }
    if (chars % 4 == 1) return false;
    if (chars % 4 >= 2) wr_u8(w, (uint8_t)(v << 6 * (4 - chars % 4) >> 16));
    if (chars % 4 == 3) wr_u8(w, (uint8_t)(v << 6 >> 8));
    return wr_ok(w);
}
