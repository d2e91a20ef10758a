#include "common/media/nal.h"

#define SAR_EXTENDED 255
#define SEI_RECOVERY 6
#define SEI_TYPE_MAX 4096 /* payload types and sizes beyond this end the reading of an SEI */

static const uint8_t sar_table[][2] = {{1, 1}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11},
    {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1}};

void nal_sar(struct bits *b, uint16_t *ret_w, uint16_t *ret_h)
{
    uint32_t idc = bits_u(b, 8), w = 1, h = 1;

    if (idc == SAR_EXTENDED) {
        w = bits_u(b, 16);
        h = bits_u(b, 16);
    } else if (idc < ARRAY_N(sar_table)) {
        w = sar_table[idc][0];
        h = sar_table[idc][1];
    }
    if (!bits_ok(b) || w == 0 || h == 0) return;
    *ret_w = (uint16_t)w;
    *ret_h = (uint16_t)h;
}

void nal_crop(const uint32_t crop[4], uint32_t unit_x, uint32_t unit_y, uint64_t *w, uint64_t *h)
{
    uint64_t x = (uint64_t)unit_x * ((uint64_t)crop[0] + crop[1]),
             y = (uint64_t)unit_y * ((uint64_t)crop[2] + crop[3]);

    if (x < *w) *w -= x;
    if (y < *h) *h -= y;
}

uint64_t nal_hash(struct bits from, const struct bits *to)
{
    uint64_t h = 0xcbf29ce484222325u;

    while (bits_ok(&from) && (from.at < to->at || (from.at == to->at && from.bit < to->bit)))
        h = (h ^ bits_u(&from, 1)) * 0x100000001b3u;
    return h;
}

uint64_t nal_hash_bytes(struct span nal)
{
    struct bits from = bits_of(nal), to = from;

    to.at = nal.n;
    return nal_hash(from, &to);
}

int32_t nal_poc_msb(int32_t prev_msb, int32_t prev_lsb, int32_t lsb, unsigned bits)
{
    int32_t max = 1 << bits, msb = prev_msb;

    if (lsb < prev_lsb && prev_lsb - lsb >= max / 2)
        msb += max;
    else if (lsb > prev_lsb && lsb - prev_lsb > max / 2)
        msb -= max;
    /* Garbage may count up for ever; only order within some pictures matters. */
    return msb > INT32_MAX / 4 || msb < INT32_MIN / 4 ? 0 : msb;
}

static uint32_t sei_number(struct bits *b)
{
    uint32_t sum = 0, byte;

    do {
        byte = bits_u(b, 8);
        sum += byte;
    } while (byte == 255 && sum < SEI_TYPE_MAX && bits_ok(b));
    return sum;
}

bool nal_sei_recovery(struct bits *b)
{
    while (bits_ok(b) && bits_more_rbsp(b)) {
        uint32_t type = sei_number(b), size = sei_number(b);

        if (type == SEI_RECOVERY) return true;
        bits_skip(b, (size_t)size * 8);
    }
    return false;
}

void nal_write_sets(struct wr *w, const struct params *s, uint8_t kind, enum params_pick pick)
{
    const struct param *p = NULL;

    while ((p = params_next(s, kind, pick, p ? p->id : -1))) {
        wr_u16(w, p->n);
        wr_bytes(w, param_span(p));
    }
}
