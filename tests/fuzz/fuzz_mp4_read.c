/* A file of any content: boxes, moov, moofs. */
#include "common/base/err.h"
#include "common/media/mp4_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
    uint64_t bytes;
    size_t samples;
};

static bool on_sample(void *arg, const struct mp4_sample *s)
{
    struct seen *seen = arg;

    must(s->offset <= seen->bytes && s->size <= seen->bytes - s->offset);
    must(s->track < TRACK_MAX);
    return ++seen->samples < MP4_SAMPLES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span all = span(data, n);
    struct mp4_movie m = {.tracks = {.n = 1, .t = {{.codec = CODEC_PCMA, .clock_hz = 8000}}}, .id = {1}};
    struct seen seen = {.bytes = n};
    struct mp4_sink sink = {on_sample, &seen};
    struct mp4_box b;
    uint32_t seq;

    for (size_t at = 0; at < n && mp4_box_head(span_from(all, at), n - at, &b) == MP4_OK;
         at += (size_t)b.size) {
        struct span body = span_sub(all, at + b.head, (size_t)b.size - b.head);

        if (b.type == MP4_TYPE('m', 'o', 'o', 'v')) mp4_read_moov(body, &m);
        if (b.type == MP4_TYPE('m', 'o', 'o', 'f')) mp4_read_moof(body, at, n, &m, &sink, &seq);
        must(m.tracks.n <= TRACK_MAX);
    }
    return 0;
}
