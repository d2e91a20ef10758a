#include "common/media/track.h"
#include "common/base/bits.h"

static const struct codec_row {
    const char *name;
    enum track_kind kind;
} codecs[] = {
    [CODEC_NONE] = {"none", TRACK_DATA},
    [CODEC_H264] = {"H264", TRACK_VIDEO},
    [CODEC_H265] = {"H265", TRACK_VIDEO},
    [CODEC_AAC] = {"AAC", TRACK_AUDIO},
    [CODEC_PCMA] = {"PCMA", TRACK_AUDIO},
    [CODEC_PCMU] = {"PCMU", TRACK_AUDIO},
    [CODEC_OPUS] = {"OPUS", TRACK_AUDIO},
    [CODEC_ONVIF] = {"ONVIF", TRACK_DATA},
};

const char *codec_name(enum codec c)
{
    return codecs[(unsigned)c < ARRAY_N(codecs) ? c : CODEC_NONE].name;
}

enum track_kind codec_kind(enum codec c)
{
    return codecs[(unsigned)c < ARRAY_N(codecs) ? c : CODEC_NONE].kind;
}

static void track_write(struct wr *w, const struct track *t)
{
    wr_u8(w, (uint8_t)t->codec);
    wr_u8(w, (uint8_t)t->kind);
    wr_u32(w, t->clock_hz);
    wr_u32(w, t->sample_rate);
    wr_u16(w, t->channels);
    wr_u16(w, t->width);
    wr_u16(w, t->height);
    wr_u16(w, t->sar_w);
    wr_u16(w, t->sar_h);
    wr_u16(w, t->config_n);
    wr_bytes(w, span(t->config, MIN(t->config_n, sizeof t->config)));
}

static bool track_read(struct rd *r, struct track *t)
{
    uint8_t codec = rd_u8(r), kind = rd_u8(r);
    struct span config;

    *t = (struct track){0};
    t->clock_hz = rd_u32(r);
    t->sample_rate = rd_u32(r);
    t->channels = rd_u16(r);
    t->width = rd_u16(r);
    t->height = rd_u16(r);
    t->sar_w = rd_u16(r);
    t->sar_h = rd_u16(r);
    t->config_n = rd_u16(r);
    config = rd_bytes(r, t->config_n);
    if (!rd_ok(r) || config.n > sizeof t->config || t->clock_hz == 0) return false;
    if (codec == CODEC_NONE || codec >= ARRAY_N(codecs) || kind != codecs[codec].kind) return false;
    t->codec = (enum codec)codec;
    t->kind = (enum track_kind)kind;
    if (config.n > 0) memcpy(t->config, config.p, config.n);
    return true;
}

void track_set_write(struct wr *w, const struct track_set *s)
{
    uint8_t n = (uint8_t)MIN(s->n, TRACK_MAX);

    wr_u32(w, s->gen);
    wr_u8(w, n);
    for (unsigned i = 0; i < n; i++) track_write(w, &s->t[i]);
}

bool track_set_read(struct rd *r, struct track_set *ret)
{
    *ret = (struct track_set){.gen = rd_u32(r)};
    ret->n = rd_u8(r);
    if (!rd_ok(r) || ret->n > TRACK_MAX) return false;
    for (unsigned i = 0; i < ret->n; i++)
        if (!track_read(r, &ret->t[i])) return false;
    return true;
}

static bool track_same(const struct track *a, const struct track *b)
{
    return a->codec == b->codec && a->kind == b->kind && a->clock_hz == b->clock_hz &&
        a->sample_rate == b->sample_rate && a->channels == b->channels && a->width == b->width &&
        a->height == b->height && a->sar_w == b->sar_w && a->sar_h == b->sar_h &&
        span_eq(span(a->config, a->config_n), span(b->config, b->config_n));
}

bool track_set_same(const struct track_set *a, const struct track_set *b)
{
    if (a->n != b->n) return false;
    for (unsigned i = 0; i < a->n && i < TRACK_MAX; i++)
        if (!track_same(&a->t[i], &b->t[i])) return false;
    return true;
}

int track_find(const struct track_set *s, enum track_kind kind)
{
    for (unsigned i = 0; i < s->n && i < TRACK_MAX; i++)
        if (s->t[i].kind == kind) return (int)i;
    return -1;
}

static uint32_t reversed(uint32_t v)
{
    uint32_t to = 0;

    for (unsigned i = 0; i < 32; i++) to |= (v >> i & 1) << (31 - i);
    return to;
}

/* RFC 6381 3.3: the three bytes behind configurationVersion. */
static void name_avc(struct wr *w, struct span config)
{
    struct rd r = rd_of(config);

    rd_skip(&r, 1);
    wr_fmt(w, "avc1.%06x", rd_u24(&r));
    if (!rd_ok(&r)) w->bad = true;
}

/* ISO 14496-15 annex E.3: profile, compatibility flags reversed, tier and level, constraint bytes without the
 * zero bytes at their end. */
static void name_hevc(struct wr *w, struct span config)
{
    static const char *const spaces[] = {"", "A", "B", "C"};
    struct rd r = rd_of(config);
    uint8_t profile, level;
    uint32_t compat;
    struct span limits;

    rd_skip(&r, 1);
    profile = rd_u8(&r);
    compat = rd_u32(&r);
    limits = rd_bytes(&r, 6);
    level = rd_u8(&r);
    wr_fmt(w, "hvc1.%s%u.%X.%c%u", spaces[profile >> 6], profile & 31u, reversed(compat),
        profile & 0x20 ? 'H' : 'L', level);
    while (limits.n > 0 && limits.p[limits.n - 1] == 0) limits.n--;
    for (size_t i = 0; i < limits.n; i++) wr_fmt(w, ".%X", limits.p[i]);
    if (!rd_ok(&r)) w->bad = true;
}

/* RFC 6381 3.3 with ISO 14496-3 1.6.2.1: the audio object type. */
static void name_aac(struct wr *w, struct span config)
{
    struct bits b = bits_of(config);
    uint32_t type = bits_u(&b, 5);

    if (type == 31) type = 32 + bits_u(&b, 6);
    wr_fmt(w, "mp4a.40.%u", bits_ok(&b) ? type : 2);
}

static void name_opus(struct wr *w, struct span config)
{
    (void)config;
    wr_text(w, "opus");
}

const char *codec_rfc6381(const struct track *t, char *dst, size_t cap)
{
    static void (*const names[])(struct wr *, struct span) = {
        [CODEC_H264] = name_avc, [CODEC_H265] = name_hevc, [CODEC_AAC] = name_aac, [CODEC_OPUS] = name_opus};
    struct wr w = wr_of(dst, cap);

    if ((unsigned)t->codec < ARRAY_N(names) && names[t->codec])
        names[t->codec](&w, span(t->config, MIN(t->config_n, sizeof t->config)));
    wr_cstr(&w);
    if (!wr_ok(&w)) dst[0] = 0;
    return dst;
}
