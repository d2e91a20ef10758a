/* Footage for figures of the archive, without a camera: `bench/footage RECORDS UID START SECONDS SEGMENT
 * RATE` writes segments of SEGMENT seconds, 25 pictures a second and a key frame every two, of RATE bytes a
 * second, one behind the other from the unix time START on. */
#include "archive/segment.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FPS 25
#define HZ  90000
#define GOP 50

static uint64_t number(const char *text, uint64_t most)
{
    uint64_t v = 0;

    if (!span_u64(span_of(text), most, &v) || v == 0) {
        fprintf(stderr, "usage: footage RECORDS UID START SECONDS SEGMENT RATE\n");
        exit(2);
    }
    return v;
}

static void write_one(int records, const char *uid, usec_t start_us, unsigned seconds, struct span picture)
{
    static const struct track_set tracks = {.n = 1,
        .t = {{.codec = CODEC_H264,
            .kind = TRACK_VIDEO,
            .clock_hz = HZ,
            .width = 1920,
            .height = 1080,
            .config_n = 4,
            .config = {1, 0x64, 0, 0x1f}}}};
    struct frame f[FPS] = {0};
    struct segw_setup setup = {.uid = uid, .tracks = &tracks, .first = f, .n_first = FPS};
    struct seg_info *info = NEW(struct seg_info);
    struct segw *w = NULL;

    for (unsigned s = 0; s < seconds; s++) {
        for (unsigned i = 0; i < FPS; i++) {
            f[i].dts = scale_i64(start_us, HZ, 1000000) + (int64_t)(s * FPS + i) * (HZ / FPS);
            f[i].wall_us = start_us + (usec_t)(s * FPS + i) * (US_PER_S / FPS);
            f[i].dur = HZ / FPS;
            f[i].flags = (s * FPS + i) % GOP == 0 ? FRAME_KEY : 0;
            f[i].data = picture;
        }
        if (!w) must(segw_open(records, &setup, &w) == 0);
        must(segw_append(w, f, FPS) == SEGW_OK);
    }
    must(segw_close(w, info) == 0);
    mem_free(info);
}

int main(int argc, char **argv)
{
    uint64_t start, seconds, segment, n;
    uint8_t *bytes;
    int records;

    if (argc != 7) number("", 1);
    start = number(argv[3], 99999999999ull);
    seconds = number(argv[4], 1000000);
    segment = number(argv[5], 3600);
    n = number(argv[6], 100000000) / FPS;
    bytes = mem_new(n);
    memset(bytes, 'x', n);
    records = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(records >= 0);
    for (uint64_t at = 0; at < seconds; at += segment)
        write_one(records, argv[2], (usec_t)(start + at) * US_PER_S, (unsigned)MIN(segment, seconds - at),
            span(bytes, n));
    close(records);
    return 0;
}
