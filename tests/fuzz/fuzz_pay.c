/* Frames as a ring or a segment may hold them, with any decoder configuration, as RTP: what is counted is
 * what is written, and every packet can be read. Input: codec, flags, length of the configuration, the
 * configuration, the frame. */
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/proto/rtp.h"
#include "httpd/rtsp/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_packets(struct span rest, const struct pay *p, uint32_t packets)
{
    struct span packet;
    uint32_t found = 0;

    for (; pay_next(&rest, &packet); found++) {
        struct rtp_packet r;
        int err = rtp_parse(packet, &r);

        if ((err != 0 && err != RTP_E_EMPTY) || r.ssrc != p->ssrc || r.pt != p->pt) __builtin_trap();
    }
    if (rest.n > 0 || found != packets) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rd r = rd_of(span(data, n));
    struct track t = {.codec = (enum codec)(rd_u8(&r) % (CODEC_ONVIF + 1)), .clock_hz = 8000};
    uint8_t flags = rd_u8(&r);
    struct pay_replay replay = {.clean = flags & 2};
    static char text[DESCRIBE_MAX];
    struct span config = rd_bytes(&r, rd_u16(&r) % TRACK_CONFIG_MAX);
    struct frame f = {.flags = flags & FRAME_KEY, .wall_us = US_PER_S};
    struct describe d = {.n = 1, .name = "x"};
    struct wr w = wr_of(text, sizeof(text));
    size_t bytes;
    struct pay p;

    if (!rd_ok(&r)) return 0;
    f.data = rd_rest(&r);
    t.kind = codec_kind(t.codec);
    t.channels = flags >> 6;
    memcpy(t.config, config.p, config.n);
    t.config_n = (uint16_t)config.n;
    if (!pay_init(&p, &t, flags >> 2 & 3, 7)) return 0;
    d.pay = &p;
    describe_write(&d, &w);
    bytes = pay_size(&p, &f, flags & 8 ? &replay : NULL);
    if (bytes > 0) {
        CLEANUP(mem_freep) uint8_t *mem = mem_new(bytes);

        w = wr_of(mem, bytes);
        pay_write(&p, &f, 5, flags & 8 ? &replay : NULL, &w);
        if (!wr_ok(&w) || w.n != bytes) __builtin_trap();
        pay_rechannel(mem, bytes, 9);
        check_packets(wr_span(&w), &p, p.packets);
    }
    return 0;
}
