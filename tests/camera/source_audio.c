/* ADTS, raw G.711, Opus in Ogg, and documents. */
#include "common/base/bits.h"
#include "common/base/rd.h"
#include "tests/camera/source.h"

#define G711_HZ        8000
#define G711_PACKET    160 /* 20 ms */
#define OPUS_HZ        48000
#define ADTS_HDR       7
#define ADTS_CRC       2
#define AAC_SAMPLES    1024
#define OGG_SEGMENTS   255
#define DOCUMENT_TICKS 90000

void source_read_adts(struct source *s, struct span file)
{
    static const uint32_t rates[16] = {
        96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};
    struct rd r = rd_of(file);

    while (rd_left(&r) >= ADTS_HDR) {
        struct bits b = bits_of(rd_peek(&r, ADTS_HDR));
        if (bits_u(&b, 12) != 0xfff) source_bad(s, "not ADTS");
        bits_skip(&b, 3);
        bool crc = !bits_flag(&b);
        unsigned type = bits_u(&b, 2) + 1, rate = bits_u(&b, 4);
        bits_skip(&b, 1);
        unsigned channels = bits_u(&b, 3);
        bits_skip(&b, 4);
        size_t len = bits_u(&b, 13), head = ADTS_HDR + (crc ? ADTS_CRC : 0);
        if (len <= head || len > rd_left(&r) || rates[rate] == 0) break;
        s->sample_rate = s->clock_hz = rates[rate];
        s->channels = (uint16_t)channels;
        s->config_mem[0] = (uint8_t)(type << 3 | rate >> 1);
        s->config_mem[1] = (uint8_t)((rate & 1) << 7 | channels << 3);
        s->config = span(s->config_mem, sizeof s->config_mem);
        rd_skip(&r, head);
        source_add_piece(s, rd_bytes(&r, len - head));
        source_end_au(s, true, (int64_t)s->n_aus * AAC_SAMPLES);
    }
    s->loop_ticks = (int64_t)s->n_aus * AAC_SAMPLES;
}

void source_read_g711(struct source *s, struct span file)
{
    s->sample_rate = s->clock_hz = G711_HZ;
    s->channels = 1;
    for (struct rd r = rd_of(file); rd_left(&r) >= G711_PACKET;) {
        source_add_piece(s, rd_bytes(&r, G711_PACKET));
        source_end_au(s, true, (int64_t)s->n_aus * G711_PACKET);
    }
    s->loop_ticks = (int64_t)s->n_aus * G711_PACKET;
}

/* RFC 6716 3.1: samples at 48 kHz of one packet. */
static int64_t opus_samples(struct span packet)
{
    static const uint16_t silk[4] = {480, 960, 1920, 2880};
    if (packet.n == 0) return 0;
    unsigned config = packet.p[0] >> 3, code = packet.p[0] & 3;
    unsigned frame = config < 12 ? silk[config & 3]
        : config < 16            ? 480u << (config & 1)
                                 : 120u << (config & 3);

    if (code == 3) return packet.n > 1 ? (int64_t)frame * (packet.p[1] & 0x3f) : 0;
    return (int64_t)frame * (code == 0 ? 1 : 2);
}

/* Packets that go over the end of a page do not occur at the rates used here, and are refused. */
void source_read_ogg(struct source *s, struct span file)
{
    struct rd r = rd_of(file);
    size_t packets = 0;

    s->sample_rate = s->clock_hz = OPUS_HZ;
    s->channels = 2;
    while (rd_left(&r) >= 27) {
        if (!span_is(rd_bytes(&r, 4), "OggS")) source_bad(s, "not Ogg");
        rd_skip(&r, 22);
        struct span lacing = rd_bytes(&r, rd_u8(&r));
        size_t len = 0;
        for (size_t i = 0; i < lacing.n; i++) {
            len += lacing.p[i];
            if (lacing.p[i] == OGG_SEGMENTS) continue;
            struct span packet = rd_bytes(&r, len);
            len = 0;
            if (packets++ < 2) continue; /* OpusHead, OpusTags */
            source_add_piece(s, packet);
            source_end_au(s, true, s->loop_ticks);
            s->loop_ticks += opus_samples(packet);
        }
        if (len != 0) source_bad(s, "Opus packet goes over the end of an Ogg page");
    }
}

void source_read_xml(struct source *s, struct span file)
{
    source_add_piece(s, file);
    source_end_au(s, true, 0);
    s->loop_ticks = DOCUMENT_TICKS;
}
