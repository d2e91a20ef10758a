#include "tests/camera/truth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/wire/crypto.h"

static FILE *log_file;
static char log_name[STREAM_NAME_MAX];

/* Delimiter, parameter sets, filler, end of sequence and stream: not part of a sample. */
static bool kept(enum codec codec, struct span nal)
{
    unsigned t = source_nal_type(codec, nal);

    if (source_is_param(codec, nal)) return false;
    return codec == CODEC_H264 ? t != 9 && t != 10 && t != 11 && t != 12 : t < 35 || t > 38;
}

static size_t gather(const struct source *s, const struct source_au *au, struct span *v,
    uint8_t (*lengths)[4], size_t *ret_bytes)
{
    size_t n = 0;

    *ret_bytes = 0;
    for (uint32_t i = 0; i < au->n; i++) {
        struct span piece = s->pieces[au->first + i];
        if (source_is_video(s)) {
            if (!kept(s->codec, piece)) continue;
            for (int b = 0; b < 4; b++) lengths[i][b] = (uint8_t)(piece.n >> (24 - 8 * b));
            v[n++] = span(lengths[i], 4);
            *ret_bytes += 4;
        }
        v[n++] = piece;
        *ret_bytes += piece.n;
    }
    return n;
}

int truth_write(const struct source *s, const char *path)
{
    static struct span v[2 * SOURCE_NALS_MAX];
    static uint8_t lengths[SOURCE_NALS_MAX][4];
    FILE *f = fopen(path, "w");

    if (f == NULL) return -errno;
    for (size_t i = 0; i < s->n_aus; i++) {
        const struct source_au *au = &s->aus[i];
        char hex[2 * CRYPTO_HASH_MAX + 1];
        size_t bytes;
        if (au->n > SOURCE_NALS_MAX) continue;
        size_t n = gather(s, au, v, lengths, &bytes);
        crypto_hash_hex(CRYPTO_SHA1, v, n, hex);
        fprintf(f, "{\"au\":%zu,\"key\":%s,\"pts\":%lld,\"bytes\":%zu,\"sha1\":\"%s\"}\n", i,
            au->key ? "true" : "false", (long long)au->pts, bytes, hex);
    }
    return fclose(f) == 0 ? 0 : -errno;
}

int truth_log(struct span name, const char *path)
{
    if (log_file != NULL) fclose(log_file);
    log_file = NULL;
    if (path[0] == '\0') return 0;
    if (!span_copy(name, log_name, sizeof log_name)) return -EINVAL;
    log_file = fopen(path, "w");
    if (log_file == NULL) return -errno;
    setvbuf(log_file, NULL, _IOLBF, 0);
    return 0;
}

void truth_sent(const struct stream *s, unsigned track, uint32_t au, uint64_t n, uint32_t ts)
{
    if (log_file == NULL || !span_starts(span_of(s->name), span_of(log_name))) return;
    fprintf(log_file,
        "{\"stream\":\"%s\",\"track\":%u,\"au\":%u,\"n\":%llu,\"ts\":%u,\"mono_us\":%lld,\"wall_us\":%lld}\n",
        s->name, track, au, (unsigned long long)n, ts, (long long)clock_mono_us(),
        (long long)clock_wall_us());
}
