#include "httpd/sound.h"
#include "common/base/mem.h"
#include "common/media/aac.h"

#include <errno.h>
#include <unistd.h>

#define SILENT_ALAW  0xd5
#define SILENT_MULAW 0xff

/* That the encoder knows. */
static const uint32_t rates[] = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000};

static bool is_g711(const struct track *t)
{
    return t->codec == CODEC_PCMA || t->codec == CODEC_PCMU;
}

/* Its clock counts samples (RFC 3551 4.5.14). */
struct track sound_track(const struct track *g711)
{
    struct track t = {.codec = CODEC_NONE};
    uint32_t channels = MAX(g711->channels, 1u), hz = g711->clock_hz;
    struct wr w = wr_of(t.config, sizeof(t.config));
    bool known = false;

    for (size_t i = 0; i < ARRAY_N(rates) && !known; i++) known = rates[i] == hz;
    if (!known || !is_g711(g711) || channels > 2) return t;
    t.codec = CODEC_AAC;
    t.kind = TRACK_AUDIO;
    t.clock_hz = t.sample_rate = hz;
    t.channels = (uint16_t)channels;
    aac_config_write(&w, AAC_LC, hz, (uint8_t)channels);
    t.config_n = (uint16_t)w.n;
    return t;
}

uint32_t sound_bytes(const struct track *g711)
{
    return PICTURE_AAC_BYTES * MAX(g711->channels, 1u);
}

/* --- samples of a stretch --- */

struct gather {
    const struct track *track;
    uint8_t *pcm; /* from `from` on, `n` samples of all channels */
    int64_t from, n;
    unsigned channels;
};

static bool same_sound(const struct track *a, const struct track *b)
{
    return a->codec == b->codec && a->clock_hz == b->clock_hz && a->channels == b->channels;
}

/* The part of a block that lies in the stretch. */
static int read_block(struct gather *g, int fd, const struct mp4_sample *s)
{
    int64_t at = s->dts - g->from, n = s->size / g->channels, skip = at < 0 ? -at : 0;
    ssize_t want, got;

    if (at >= g->n || skip >= n) return 0;
    n = MIN(n - skip, g->n - (at + skip));
    want = (ssize_t)(n * g->channels);
    got = pread(fd, g->pcm + (size_t)(at + skip) * g->channels, (size_t)want,
        (off_t)(s->offset + (uint64_t)skip * g->channels));
    if (got < 0) return -errno;
    return got == want ? 0 : -EIO;
}

static int read_source(struct gather *g, const struct sound_source *from)
{
    const struct seg_table *t = from->t;
    int err = 0;

    if (from->track >= t->tracks.n || !same_sound(&t->tracks.t[from->track], g->track)) return 0;
    for (size_t i = 0; err == 0 && i < t->n; i++)
        if (t->s[i].track == from->track) err = read_block(g, from->fd, &t->s[i]);
    return err;
}

static int gather(const struct sound *s, struct gather *g)
{
    int err = 0;

    memset(g->pcm, g->track->codec == CODEC_PCMA ? SILENT_ALAW : SILENT_MULAW, (size_t)g->n * g->channels);
    for (size_t i = 0; err == 0 && i < s->n_sources; i++) err = read_source(g, &s->source[i]);
    return err;
}

/* --- a chunk --- */

static int ask_of(const struct sound *s, uint32_t first, uint32_t frames, struct picture_source *src)
{
    const struct track *track = &s->like;
    struct picture_ask *a = &src->ask;
    struct gather g = {.track = track, .channels = MAX(track->channels, 1u)};
    size_t n;

    a->kind = PICTURE_AAC;
    a->codec = track->codec;
    a->rate = track->clock_hz;
    a->channels = (uint16_t)g.channels;
    a->frames = (uint16_t)frames;
    n = picture_aac_in(a);
    g.from = s->first + ((int64_t)first - PICTURE_AAC_RUN_IN) * SOUND_SAMPLES;
    g.n = (int64_t)(n / g.channels);
    g.pcm = buf_room(&src->bytes, n);
    if (!g.pcm) return -ENOMEM;
    buf_added(&src->bytes, n);
    return gather(s, &g);
}

int sound_make(
    struct pictures *p, const struct sound *s, uint32_t frame, uint32_t *ret_first, struct picture **ret)
{
    uint32_t first = frame / SOUND_CHUNK * SOUND_CHUNK;
    char key[PICTURES_KEY_MAX];
    struct picture_source *src;
    int err;

    if (frame >= s->frames || sound_track(&s->like).codec == CODEC_NONE) return -EINVAL;
    if (snprintf(key, sizeof(key), "aac %s %u %u", s->key, first, s->frames) >= (int)sizeof(key))
        return -EINVAL;
    *ret_first = first;
    if (pictures_known(p, key, ret)) return PICTURES_OK;
    src = picture_source_new();
    err = ask_of(s, first, MIN(s->frames - first, (uint32_t)SOUND_CHUNK), src);
    if (err == 0) return pictures_make(p, key, src, ret);
    picture_source_free(src);
    return err;
}
