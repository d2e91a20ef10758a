#include "common/media/aac.h"
#include "common/base/bits.h"

#define RATE_EXPLICIT 15
#define SYNC_SBR      0x2b7
#define SYNC_PS       0x548

static const uint32_t rates[] = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};
static const uint8_t channels_of[] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0};

static uint32_t read_object(struct bits *b)
{
    uint32_t object = bits_u(b, 5);

    return object == 31 ? 32 + bits_u(b, 6) : object;
}

static uint32_t read_rate(struct bits *b)
{
    uint32_t index = bits_u(b, 4);

    if (index == RATE_EXPLICIT) return bits_u(b, 24);
    return index < ARRAY_N(rates) ? rates[index] : 0;
}

/* The backward compatible way to state SBR and PS, behind the core's own configuration (1.6.6.1). */
static void read_extension(struct bits *b, struct aac_config *c)
{
    uint32_t rate;

    if (bits_left(b) < 16 || bits_u(b, 11) != SYNC_SBR || read_object(b) != AAC_SBR || !bits_flag(b)) return;
    rate = read_rate(b);
    if (!bits_ok(b) || rate == 0) return;
    c->sbr = true;
    c->out_rate = rate;
    if (bits_left(b) >= 12 && bits_u(b, 11) == SYNC_PS) c->ps = bits_flag(b);
}

bool aac_config_parse(struct span s, struct aac_config *ret)
{
    struct bits b = bits_of(s);
    struct aac_config c = {0};
    uint32_t object = read_object(&b), channels;

    c.rate = c.out_rate = read_rate(&b);
    channels = bits_u(&b, 4);
    c.channels = channels_of[channels & 15];
    if (object == AAC_SBR || object == AAC_PS) {
        c.sbr = true;
        c.ps = object == AAC_PS;
        c.out_rate = read_rate(&b);
        object = read_object(&b);
    }
    c.object = (uint8_t)object;
    c.frame = bits_flag(&b) ? 960 : 1024; /* frameLengthFlag of GASpecificConfig */
    if (bits_flag(&b)) bits_skip(&b, 14); /* dependsOnCoreCoder */
    bits_flag(&b);
    if (!bits_ok(&b)) {
        /* Two bytes carry everything but the last flags of some encoders. */
        if (s.n < 2 || c.rate == 0) return false;
        c.frame = 1024;
    }
    if (c.rate == 0 || object == 0) return false;
    if (channels != 0 && !c.sbr && bits_ok(&b)) read_extension(&b, &c);
    *ret = c;
    return true;
}

static unsigned rate_index(uint32_t rate)
{
    for (unsigned i = 0; i < ARRAY_N(rates); i++)
        if (rates[i] == rate) return i;
    return RATE_EXPLICIT;
}

static unsigned layout_of(uint8_t channels)
{
    for (unsigned i = 0; i < ARRAY_N(channels_of); i++)
        if (channels_of[i] == channels) return i;
    return 0;
}

void aac_config_write(struct wr *w, uint8_t object, uint32_t rate, uint8_t channels)
{
    unsigned index = rate_index(rate), layout = layout_of(channels);

    if (index != RATE_EXPLICIT) {
        wr_u16(w, (uint16_t)(object << 11 | index << 7 | layout << 3));
        return;
    }
    /* 5 bits object, 4 bits 15, 24 bits rate, 4 bits channels, 3 bits flags */
    wr_u8(w, (uint8_t)(object << 3 | RATE_EXPLICIT >> 1));
    wr_u8(w, (uint8_t)((RATE_EXPLICIT & 1) << 7 | rate >> 17));
    wr_u16(w, (uint16_t)(rate >> 1));
    wr_u8(w, (uint8_t)((rate & 1) << 7 | layout << 3));
}

bool aac_adts_parse(struct span s, struct aac_adts *ret)
{
    struct bits b = bits_of(s);
    bool protection_absent;
    uint32_t profile, index, channels;

    if (bits_u(&b, 12) != 0xfff) return false;
    bits_flag(&b);                        /* MPEG-2 or 4 */
    if (bits_u(&b, 2) != 0) return false; /* layer */
    protection_absent = bits_flag(&b);
    profile = bits_u(&b, 2);
    index = bits_u(&b, 4);
    bits_flag(&b);
    channels = bits_u(&b, 3);
    bits_skip(&b, 4);
    *ret = (struct aac_adts){.object = (uint8_t)(profile + 1),
        .rate = index < ARRAY_N(rates) ? rates[index] : 0,
        .channels = channels_of[channels],
        .head_n = protection_absent ? 7 : 9,
        .frame_n = (uint16_t)bits_u(&b, 13)};
    bits_skip(&b, 13); /* fullness, number of blocks */
    return bits_ok(&b) && ret->rate != 0 && ret->frame_n > ret->head_n;
}
