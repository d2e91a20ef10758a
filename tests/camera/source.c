#include "tests/camera/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"

static const struct format {
    const char *suffix;
    enum codec codec;
    void (*read)(struct source *s, struct span file);
} formats[] = {
    {".h264", CODEC_H264, source_read_annexb},
    {".264", CODEC_H264, source_read_annexb},
    {".avc", CODEC_H264, source_read_annexb},
    {".jsv", CODEC_H264, source_read_annexb},
    {".h265", CODEC_H265, source_read_annexb},
    {".265", CODEC_H265, source_read_annexb},
    {".hevc", CODEC_H265, source_read_annexb},
    {".aac", CODEC_AAC, source_read_adts},
    {".adts", CODEC_AAC, source_read_adts},
    {".alaw", CODEC_PCMA, source_read_g711},
    {".ulaw", CODEC_PCMU, source_read_g711},
    {".opus", CODEC_OPUS, source_read_ogg},
    {".ogg", CODEC_OPUS, source_read_ogg},
    {".xml", CODEC_ONVIF, source_read_xml},
};

static struct map loaded;

void source_bad(const struct source *s, const char *why)
{
    fprintf(stderr, "ms-camera: %s: %s\n", s->path, why);
    exit(1);
}

/* Room for one more item in an array that doubles. */
static void *grown(void *p, size_t n, size_t item)
{
    if (n < 64 ? n != 0 : (n & (n - 1)) != 0) return p;
    return mem_renew(p, (n == 0 ? 64 : n * 2) * item);
}

void source_add_piece(struct source *s, struct span piece)
{
    s->pieces = grown(s->pieces, s->n_pieces, sizeof *s->pieces);
    s->pieces[s->n_pieces++] = piece;
}

void source_end_au(struct source *s, bool key, int64_t pts)
{
    uint32_t first = s->n_aus == 0 ? 0 : s->aus[s->n_aus - 1].first + s->aus[s->n_aus - 1].n;

    if (s->n_pieces == first) return;
    if (s->n_aus == SOURCE_AUS_MAX) source_bad(s, "too many access units");
    s->aus = grown(s->aus, s->n_aus, sizeof *s->aus);
    s->aus[s->n_aus++] = (struct source_au){first, (uint32_t)(s->n_pieces - first), pts, key};
}

/* Times of Annex B: FILE.pts, or evenly spaced. */
static void time_frames(struct source *s, unsigned fps_milli)
{
    char path[4096];
    uint8_t *text;
    size_t n, i = 0;

    for (size_t k = 0; k < s->n_aus; k++) s->aus[k].pts = (int64_t)k * 90000 * 1000 / fps_milli;
    s->loop_ticks = (int64_t)s->n_aus * 90000 * 1000 / fps_milli;
    snprintf(path, sizeof path, "%s.pts", s->path);
    if (fd_read_file(AT_FDCWD, path, SOURCE_FILE_MAX, &text, &n) < 0) return;

    struct span rest = span(text, n), line;
    while (span_split(&rest, '\n', &line)) {
        int64_t v;
        line = span_trim(line);
        if (line.n == 0) continue;
        bool end = span_istarts(line, "end ");
        if (!span_i64(end ? span_trim(span_from(line, 4)) : line, &v)) source_bad(s, "bad line in .pts file");
        if (end)
            s->loop_ticks = v;
        else if (i < s->n_aus)
            s->aus[i++].pts = v;
        else
            source_bad(s, "more lines in .pts file than access units");
    }
    if (i != s->n_aus || s->loop_ticks <= 0) source_bad(s, "fewer lines in .pts file than access units");
    mem_free(text);
}

const struct source *source_load(const char *path, unsigned fps_milli)
{
    struct source *s = map_get(&loaded, span_of(path));
    const struct format *f = NULL;
    size_t n;

    if (s != NULL) return s;
    s = NEW(struct source);
    s->path = mem_strdup(path);
    for (size_t i = 0; i < ARRAY_N(formats) && f == NULL; i++)
        if (span_ends(span_of(path), span_of(formats[i].suffix))) f = &formats[i];
    if (f == NULL) source_bad(s, "unknown kind of file");
    int err = fd_read_file(AT_FDCWD, path, SOURCE_FILE_MAX, &s->bytes, &n);
    if (err < 0) source_bad(s, err_text(err));
    s->codec = f->codec;
    s->clock_hz = 90000;
    f->read(s, span(s->bytes, n));
    if (s->n_aus == 0) source_bad(s, "nothing to play");
    if (source_is_video(s)) time_frames(s, fps_milli);
    map_set(&loaded, span_of(path), s);
    return s;
}

static void source_free(struct source *s)
{
    mem_free(s->path);
    mem_free(s->bytes);
    mem_free(s->pieces);
    mem_free(s->aus);
    mem_free(s);
}

void source_free_all(void)
{
    struct map_slot slot;

    for (size_t at = 0; map_next(&loaded, &at, &slot);) source_free(slot.value);
    map_done(&loaded);
}
