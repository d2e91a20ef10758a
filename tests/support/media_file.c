#include "tests/support/media_file.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <fcntl.h>

#define FILE_MAX (256u << 20)

static bool put(void *arg, const struct mp4_sample *s)
{
    struct media_file *f = arg;

    f->s = mem_renew(f->s, (f->n + 1) * sizeof(*f->s));
    f->s[f->n++] = *s;
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct mp4_sample *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int read_boxes(struct media_file *f)
{
    struct span all = span(f->bytes, f->n_bytes);
    struct mp4_sink sink = {put, f};
    bool moov = false;
    struct mp4_box b;
    uint32_t seq;
    int err = MP4_OK;

    for (size_t at = 0; at < all.n && !err; at += (size_t)b.size) {
        struct span body;

        err = mp4_box_head(span_from(all, at), all.n - at, &b);
        if (err) break;
        body = span_sub(all, at + b.head, (size_t)b.size - b.head);
        if (b.type == MP4_TYPE('m', 'o', 'o', 'v')) {
            err = mp4_read_moov(body, &f->movie);
            moov = true;
        } else if (b.type == MP4_TYPE('m', 'o', 'o', 'f')) {
            err = mp4_read_moof(body, at, all.n, &f->movie, &sink, &seq);
        }
    }
    return !err && !moov ? MP4_E_BAD : err;
}

int media_file_load(const char *path, struct media_file *ret)
{
    int err;

    memset(ret, 0, sizeof(*ret));
    err = fd_read_file(AT_FDCWD, path, FILE_MAX, &ret->bytes, &ret->n_bytes);
    if (!err) err = read_boxes(ret);
    if (ret->n > 0) qsort(ret->s, ret->n, sizeof(*ret->s), by_offset);
    return err;
}

void media_file_done(struct media_file *f)
{
    mem_free(f->bytes);
    mem_free(f->s);
    memset(f, 0, sizeof(*f));
}

struct span media_file_data(const struct media_file *f, size_t sample)
{
    return span_sub(span(f->bytes, f->n_bytes), f->s[sample].offset, f->s[sample].size);
}

struct frame media_file_frame(const struct media_file *f, size_t sample, usec_t wall_us)
{
    const struct mp4_sample *s = &f->s[sample];
    uint32_t hz = f->movie.tracks.t[s->track].clock_hz;

    return (struct frame){.seq = sample,
        .dts = s->dts + scale_i64(wall_us, hz, 1000000),
        .cts = s->cts,
        .dur = s->dur,
        .wall_us = wall_us + ticks_us((struct ticks){s->dts, hz}),
        .gen = f->movie.tracks.gen,
        .flags = s->flags,
        .track = s->track,
        .data = media_file_data(f, sample)};
}

bool media_file_make(const char *path, const char *codec, const char *audio, unsigned seconds)
{
    char source[128], tone[128];
    const char *argv[48];
    size_t n = 0;

    if (!tool_exists("ffmpeg")) return false;
    snprintf(source, sizeof(source), "testsrc2=size=320x240:rate=25:duration=%u", seconds);
    snprintf(tone, sizeof(tone), "sine=frequency=440:sample_rate=48000:duration=%u", seconds);
    for (const char *const *a = (const char *const[]){"ffmpeg", "-nostdin", "-y", "-f", "lavfi", "-i", source,
             "-f", "lavfi", "-i", tone, "-map", "0:v", "-c:v", codec, "-pix_fmt", "yuv420p", "-g", "25",
             "-preset", "ultrafast", "-bf", "2", "-tag:v", strcmp(codec, "libx265") ? "avc1" : "hvc1", NULL};
         *a; a++)
        argv[n++] = *a;
    if (audio)
        for (const char *const *a = (const char *const[]){"-map", "1:a", "-c:a", audio, "-ac", "1", NULL}; *a;
             a++)
            argv[n++] = *a;
    if (strcmp(codec, "libx265") == 0) { /* its advertisement does not fit a track's configuration */
        argv[n++] = "-x265-params";
        argv[n++] = "info=0:log-level=0";
    }
    if (audio && strcmp(audio, "pcm_alaw") == 0) {
        argv[n++] = "-ar";
        argv[n++] = "8000";
    }
    for (const char *const *a =
             (const char *const[]){"-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f",
                 audio && strcmp(audio, "pcm_alaw") == 0 ? "mov" : "mp4", path, NULL};
         *a; a++)
        argv[n++] = *a;
    argv[n] = NULL;
    return tool_run(argv, NULL) == 0;
}
