#include "common/base/bits.h"

#define UE_ZEROS_MAX 32

struct bits bits_of(struct span s)
{
    return (struct bits){.s = s};
}

struct bits bits_of_nal(struct span s)
{
    return (struct bits){.s = s, .unescape = true};
}

/* Steps over an emulation prevention byte that stands at the read position. */
static void settle(struct bits *b)
{
    if (b->unescape && b->bit == 0 && b->zeros >= 2 && b->at < b->s.n && b->s.p[b->at] == 3) {
        b->at++;
        b->zeros = 0;
    }
}

static bool one(struct bits *b)
{
    bool v;

    settle(b);
    if (b->bad || b->at >= b->s.n) {
        b->bad = true;
        return false;
    }
    v = b->s.p[b->at] >> (7 - b->bit) & 1;
    if (++b->bit == 8) {
        b->zeros = b->s.p[b->at] == 0 ? b->zeros + 1 : 0;
        b->bit = 0;
        b->at++;
    }
    return v;
}

uint32_t bits_u(struct bits *b, unsigned n)
{
    uint32_t v = 0;

    while (n-- > 0) v = v << 1 | one(b);
    return b->bad ? 0 : v;
}

bool bits_flag(struct bits *b)
{
    return bits_u(b, 1) != 0;
}

void bits_skip(struct bits *b, size_t n)
{
    while (n-- > 0 && !b->bad) one(b);
}

uint32_t bits_ue(struct bits *b)
{
    unsigned zeros = 0;
    uint64_t v;

    while (!b->bad && !one(b))
        if (++zeros > UE_ZEROS_MAX) b->bad = true;
    if (b->bad) return 0;
    v = ((uint64_t)1 << zeros) - 1;
    v += bits_u(b, zeros);
    if (v > UINT32_MAX) b->bad = true;
    return b->bad ? 0 : (uint32_t)v;
}

int32_t bits_se(struct bits *b)
{
    uint32_t k = bits_ue(b);

    return k & 1 ? (int32_t)(k / 2 + 1) : -(int32_t)(k / 2);
}

size_t bits_left(const struct bits *b)
{
    return b->bad || b->at >= b->s.n ? 0 : (b->s.n - b->at) * 8 - b->bit;
}

bool bits_more_rbsp(const struct bits *b)
{
    size_t last = b->s.n;
    unsigned low = 0;

    if (b->bad) return false;
    while (last > 0 && b->s.p[last - 1] == 0) last--;
    if (last == 0) return false;
    while ((b->s.p[last - 1] >> low & 1) == 0) low++;
    return b->at * 8 + b->bit < (last - 1) * 8 + (7 - low);
}
