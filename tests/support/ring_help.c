#include "tests/support/ring_help.h"
#include "common/base/err.h"
#include "common/base/mem.h"

int ring_help_create(uint32_t generation, struct ring_geom geom)
{
    int fd = -1;

    must(ring_mem_create("cam-1", generation, 7, geom, &fd) == 0);
    return fd;
}

void ring_help_tracks(struct track_set *ret)
{
    static const uint8_t avcc[] = {
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce};
    static const uint8_t asc[] = {0x14, 0x08};

    *ret = (struct track_set){.n = 2};
    ret->t[0] = (struct track){.codec = CODEC_H264,
        .kind = TRACK_VIDEO,
        .clock_hz = 90000,
        .width = 640,
        .height = 480,
        .sar_w = 1,
        .sar_h = 1,
        .config_n = sizeof(avcc)};
    memcpy(ret->t[0].config, avcc, sizeof(avcc));
    ret->t[1] = (struct track){.codec = CODEC_AAC,
        .kind = TRACK_AUDIO,
        .clock_hz = 16000,
        .sample_rate = 16000,
        .channels = 1,
        .sar_w = 1,
        .sar_h = 1,
        .config_n = sizeof(asc)};
    memcpy(ret->t[1].config, asc, sizeof(asc));
}

static uint8_t content(uint64_t seq, size_t i)
{
    return (uint8_t)(seq * 31 + i * 7 + (i >> 8));
}

uint64_t ring_help_put(struct ring_writer *w, uint8_t track, uint16_t flags, size_t n)
{
    uint64_t seq = ring_writer_next(w), got = 0;
    uint8_t *data = mem_new(n);
    struct frame f = {.dts = (int64_t)seq * 3600,
        .cts = -5,
        .dur = 3600,
        .flags = flags,
        .track = track,
        .wall_us = (usec_t)seq * 40000};
    struct piece piece = {.s = span(data, n)};

    for (size_t i = 0; i < n; i++) data[i] = content(seq, i);
    must(ring_put(w, &f, &piece, 1, &got) == RING_OK && got == seq);
    mem_free(data);
    return seq;
}

bool ring_help_check(uint64_t seq, struct span data)
{
    for (size_t i = 0; i < data.n; i++)
        if (data.p[i] != content(seq, i)) return false;
    return true;
}
