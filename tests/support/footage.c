#include "tests/support/footage.h"
#include "common/base/mem.h"

#include "common/base/err.h"

static const struct stream_row {
    struct track track;
    uint32_t dur;     /* ticks */
    uint32_t size;    /* bytes, roughly */
    usec_t behind_us; /* against the video */
} rows[] = {
    {{.codec = CODEC_H264,
         .kind = TRACK_VIDEO,
         .clock_hz = 90000,
         .width = 640,
         .height = 360,
         .sar_w = 1,
         .sar_h = 1,
         .config_n = 4,
         .config = {1, 0x64, 0, 0x1f}},
        3600, 900, 0},
    {{.codec = CODEC_AAC,
         .kind = TRACK_AUDIO,
         .clock_hz = 16000,
         .sample_rate = 16000,
         .channels = 1,
         .config_n = 2,
         .config = {0x14, 0x08}},
        1024, 90, -7000},
    {{.codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000, .sample_rate = 8000, .channels = 1}, 160,
        160, 3000},
};

static int by_wall(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;

    return x->wall_us < y->wall_us ? -1 : x->wall_us > y->wall_us ? 1 : x->track - y->track;
}

static struct frame frame_of(
    const struct stream_row *r, unsigned track, unsigned i, unsigned gop, usec_t start_us)
{
    struct frame f = {.track = (uint8_t)track, .gen = 1, .dur = r->dur};
    int64_t begin = scale_i64(start_us + r->behind_us, r->track.clock_hz, 1000000);

    f.dts = begin + (int64_t)i * r->dur;
    f.wall_us = start_us + r->behind_us + ticks_us((struct ticks){(int64_t)i * r->dur, r->track.clock_hz});
    f.flags = track > 0 || i % gop == 0 ? FRAME_KEY : 0;
    f.data.n = r->size + i % 7 + (track == 0 && i % gop == 0 ? 20000 : 0);
    /* Shown right before the one after the next, and none behind the next key frame. */
    if (track == 0 && i % gop % 3 == 1 && i % gop + 2 <= gop) f.cts = 7199;
    return f;
}

void footage_make(struct footage *f, unsigned seconds, unsigned gop, usec_t start_us)
{
    size_t total = 0, at = 0;

    memset(f, 0, sizeof(*f));
    for (unsigned t = 0; t < ARRAY_N(rows); t++) {
        unsigned n = (unsigned)((uint64_t)seconds * rows[t].track.clock_hz / rows[t].dur);

        f->tracks.t[f->tracks.n++] = rows[t].track;
        f->f = mem_renew(f->f, (f->n + n) * sizeof(*f->f));
        for (unsigned i = 0; i < n; i++) {
            f->f[f->n] = frame_of(&rows[t], t, i, gop, start_us);
            total += f->f[f->n++].data.n;
        }
    }
    f->tracks.gen = 1;
    /* The ring begins with the key frame: earlier sound comes right behind it. */
    qsort(f->f + 1, f->n - 1, sizeof(*f->f), by_wall);
    f->bytes = mem_new(total);
    for (size_t i = 0; i < f->n; i++) {
        f->f[i].seq = i + 1;
        f->f[i].data.p = f->bytes + at;
        for (size_t k = 0; k < f->f[i].data.n; k++) f->bytes[at++] = (uint8_t)(i * 31 + k);
    }
    must(at == total);
}

void footage_done(struct footage *f)
{
    mem_free(f->f);
    mem_free(f->bytes);
    memset(f, 0, sizeof(*f));
}

size_t footage_second(const struct footage *f, size_t at)
{
    size_t n = 0;

    while (at + n < f->n && (n == 0 || f->f[at + n].wall_us < f->f[at].wall_us + US_PER_S)) n++;
    return n;
}
