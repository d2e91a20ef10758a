/* What stands in the head of every movie we write, fragmented or not. */
#include "common/media/mp4_head.h"
#include "common/base/err.h"
#include "common/media/mp4.h"

struct sample_entry {
    enum codec codec;
    const char *entry;  /* box of the sample description */
    const char *config; /* box of its decoder configuration, NULL: none of its own */
    bool needs_config;
    bool playable; /* by browsers */
};
static const struct sample_entry entries[] = {
    {CODEC_H264, "avc1", "avcC", true, true},
    {CODEC_H265, "hvc1", "hvcC", true, true},
    {CODEC_AAC, "mp4a", "esds", true, true},
    {CODEC_OPUS, "Opus", "dOps", true, true},
    {CODEC_PCMA, "alaw", NULL, false, false},
    {CODEC_PCMU, "ulaw", NULL, false, false},
    {CODEC_ONVIF, "metx", NULL, false, false},
};

static const struct sample_entry *entry_of(enum codec c)
{
    for (size_t i = 0; i < ARRAY_N(entries); i++)
        if (entries[i].codec == c) return &entries[i];
    return NULL;
}

unsigned mp4_mask(const struct track_set *s, unsigned which)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < s->n && i < TRACK_MAX; i++) {
        const struct sample_entry *e = entry_of(s->t[i].codec);

        if (!e || (e->needs_config && s->t[i].config_n == 0)) continue;
        if (which != MP4_ALL && !e->playable) continue;
        mask |= 1u << i;
    }
    return mask;
}

void mp4_ftyp(struct wr *w)
{
    size_t at = mp4_box(w, "ftyp");

    wr_text(w, "iso5");
    wr_u32(w, 512);
    wr_text(w, "iso5iso6mp41");
    mp4_box_end(w, at);
}

static void matrix(struct wr *w)
{
    static const uint32_t unity[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};

    for (size_t i = 0; i < ARRAY_N(unity); i++) wr_u32(w, unity[i]);
}

/* Version 1 where 32 bits do not hold a duration. */
static uint8_t version_of(uint64_t duration)
{
    return duration > UINT32_MAX;
}

static void times(struct wr *w, uint8_t version)
{
    mp4_zeros(w, version ? 16 : 8); /* created, changed */
}

static void length(struct wr *w, uint8_t version, uint64_t duration)
{
    if (version)
        wr_u64(w, duration);
    else
        wr_u32(w, (uint32_t)duration);
}

void mp4_mvhd(struct wr *w, struct mp4_length of, uint32_t next_track)
{
    uint8_t version = version_of(of.v);
    size_t at = mp4_full_box(w, "mvhd", version, 0);

    times(w, version);
    wr_u32(w, of.hz);
    length(w, version, of.v);
    wr_u32(w, 0x10000); /* rate 1 */
    wr_u16(w, 0x100);   /* volume 1 */
    mp4_zeros(w, 10);
    matrix(w);
    mp4_zeros(w, 24);
    wr_u32(w, next_track);
    mp4_box_end(w, at);
}

static bool square(const struct track *t)
{
    return t->sar_w == 0 || t->sar_h == 0 || t->sar_w == t->sar_h;
}

/* Width of the picture as shown, 16.16 (14496-12 8.3.2). */
static uint32_t shown_width(const struct track *t)
{
    uint64_t w = (uint64_t)t->width << 16;

    if (!square(t)) w = w * t->sar_w / t->sar_h;
    return (uint32_t)MIN(w, UINT32_MAX);
}

void mp4_tkhd(struct wr *w, const struct track *t, uint32_t id, uint64_t duration)
{
    uint8_t version = version_of(duration);
    size_t at = mp4_full_box(w, "tkhd", version, 3); /* enabled, in movie */

    times(w, version);
    wr_u32(w, id);
    mp4_zeros(w, 4);
    length(w, version, duration);
    mp4_zeros(w, 8);
    wr_u16(w, 0);
    wr_u16(w, 0);
    wr_u16(w, t->kind == TRACK_AUDIO ? 0x100 : 0);
    mp4_zeros(w, 2);
    matrix(w);
    wr_u32(w, t->kind == TRACK_VIDEO ? shown_width(t) : 0);
    wr_u32(w, t->kind == TRACK_VIDEO ? (uint32_t)t->height << 16 : 0);
    mp4_box_end(w, at);
}

static void mdhd(struct wr *w, struct mp4_length of)
{
    uint8_t version = version_of(of.v);
    size_t at = mp4_full_box(w, "mdhd", version, 0);

    times(w, version);
    wr_u32(w, of.hz);
    length(w, version, of.v);
    wr_u16(w, 0x55c4); /* "und" */
    wr_u16(w, 0);
    mp4_box_end(w, at);
}

struct kind_boxes {
    const char *handler, *name;
    const char *header; /* media information header */
    uint32_t flags;
    size_t zeros;
};
static const struct kind_boxes kinds[] = {
    [TRACK_VIDEO] = {"vide", "video", "vmhd", 1, 8},
    [TRACK_AUDIO] = {"soun", "audio", "smhd", 0, 4},
    [TRACK_DATA] = {"meta", "metadata", "nmhd", 0, 0},
};

static void hdlr(struct wr *w, const struct kind_boxes *k)
{
    size_t at = mp4_full_box(w, "hdlr", 0, 0);

    mp4_zeros(w, 4);
    wr_text(w, k->handler);
    mp4_zeros(w, 12);
    wr_text(w, k->name);
    wr_u8(w, 0);
    mp4_box_end(w, at);
}

static void dinf(struct wr *w)
{
    size_t at = mp4_box(w, "dinf"), dref = mp4_full_box(w, "dref", 0, 0), url;

    wr_u32(w, 1);
    url = mp4_full_box(w, "url ", 0, 1); /* in this file */
    mp4_box_end(w, url);
    mp4_box_end(w, dref);
    mp4_box_end(w, at);
}

static void config_box(struct wr *w, const char *type, const struct track *t)
{
    size_t at = mp4_box(w, type);

    wr_bytes(w, span(t->config, t->config_n));
    mp4_box_end(w, at);
}

static void video_entry(struct wr *w, const struct track *t, const struct sample_entry *e)
{
    size_t pasp;

    mp4_zeros(w, 16);
    wr_u16(w, t->width);
    wr_u16(w, t->height);
    wr_u32(w, 0x480000); /* 72 dpi */
    wr_u32(w, 0x480000);
    mp4_zeros(w, 4);
    wr_u16(w, 1); /* frame count */
    mp4_zeros(w, 32);
    wr_u16(w, 24); /* depth */
    wr_u16(w, 0xffff);
    config_box(w, e->config, t);
    pasp = mp4_box(w, "pasp");
    wr_u32(w, square(t) ? 1 : t->sar_w);
    wr_u32(w, square(t) ? 1 : t->sar_h);
    mp4_box_end(w, pasp);
}

/* 14496-1 8.3.3: the size of a descriptor, always in four bytes. */
static void descriptor(struct wr *w, uint8_t tag, size_t n)
{
    wr_u8(w, tag);
    for (int shift = 21; shift > 0; shift -= 7) wr_u8(w, (uint8_t)(0x80 | (n >> shift & 0x7f)));
    wr_u8(w, (uint8_t)(n & 0x7f));
}

/* 14496-14 3.1.2, 14496-1 7.2.6.5. */
static void esds(struct wr *w, const struct track *t)
{
    size_t at = mp4_full_box(w, "esds", 0, 0), specific = 5u + t->config_n, decoder = 5 + 13 + specific;

    descriptor(w, 3, 3 + decoder + 5 + 1);
    wr_u16(w, 0); /* ES_ID */
    wr_u8(w, 0);
    descriptor(w, 4, 13 + specific);
    wr_u8(w, 0x40);   /* MPEG-4 audio */
    wr_u8(w, 0x15);   /* audio stream */
    mp4_zeros(w, 11); /* buffer size and bit rates: not stated */
    descriptor(w, 5, t->config_n);
    wr_bytes(w, span(t->config, t->config_n));
    descriptor(w, 6, 1);
    wr_u8(w, 2);
    mp4_box_end(w, at);
}

static void audio_entry(struct wr *w, const struct track *t, const struct sample_entry *e)
{
    uint32_t rate = t->codec == CODEC_OPUS ? 48000 : t->sample_rate;

    mp4_zeros(w, 8);
    wr_u16(w, t->channels ? t->channels : 1);
    wr_u16(w, 16);
    mp4_zeros(w, 4);
    wr_u32(w, rate > UINT16_MAX ? 0 : rate << 16);
    if (t->codec == CODEC_AAC)
        esds(w, t);
    else if (e->config)
        config_box(w, e->config, t);
}

/* 14496-12 12.3.3: content_encoding, namespace, schema_location. Uncompressed XML has no content encoding. */
static void data_entry(struct wr *w, const struct track *t)
{
    struct span subtype = span(t->config, t->config_n);

    if (t->config_n > 0 && !span_is(subtype, MP4_ONVIF_PLAIN)) {
        wr_text(w, "application/");
        wr_bytes(w, subtype);
    }
    wr_u8(w, 0);
    wr_text(w, "http://www.onvif.org/ver10/schema");
    wr_u8(w, 0);
    wr_u8(w, 0);
}

void mp4_sample_entry(struct wr *w, const struct track *t)
{
    const struct sample_entry *e = entry_of(t->codec);
    size_t entry;

    must(e); /* mp4_mask lets no other through */
    entry = mp4_box(w, e->entry);
    mp4_zeros(w, 6);
    wr_u16(w, 1); /* data reference */
    if (t->kind == TRACK_VIDEO)
        video_entry(w, t, e);
    else if (t->kind == TRACK_AUDIO)
        audio_entry(w, t, e);
    else
        data_entry(w, t);
    mp4_box_end(w, entry);
}

struct mp4_media mp4_media_begin(struct wr *w, enum track_kind kind, struct mp4_length of)
{
    const struct kind_boxes *k = &kinds[kind];
    struct mp4_media at;
    size_t header;

    at.mdia = mp4_box(w, "mdia");
    mdhd(w, of);
    hdlr(w, k);
    at.minf = mp4_box(w, "minf");
    header = mp4_full_box(w, k->header, 0, k->flags);
    mp4_zeros(w, k->zeros);
    mp4_box_end(w, header);
    dinf(w);
    at.stbl = mp4_box(w, "stbl");
    return at;
}

void mp4_media_end(struct wr *w, const struct mp4_media *at)
{
    mp4_box_end(w, at->stbl);
    mp4_box_end(w, at->minf);
    mp4_box_end(w, at->mdia);
}
