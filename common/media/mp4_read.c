#include "common/media/mp4_read.h"

#define SAMPLE_IS_NOT_SYNC 0x00010000u

struct known_entry {
    uint32_t type;
    enum codec codec;
    uint32_t config; /* box of its decoder configuration, 0: none */
};
static const struct known_entry known[] = {
    {MP4_TYPE('a', 'v', 'c', '1'), CODEC_H264, MP4_TYPE('a', 'v', 'c', 'C')},
    {MP4_TYPE('a', 'v', 'c', '3'), CODEC_H264, MP4_TYPE('a', 'v', 'c', 'C')},
    {MP4_TYPE('h', 'v', 'c', '1'), CODEC_H265, MP4_TYPE('h', 'v', 'c', 'C')},
    {MP4_TYPE('h', 'e', 'v', '1'), CODEC_H265, MP4_TYPE('h', 'v', 'c', 'C')},
    {MP4_TYPE('m', 'p', '4', 'a'), CODEC_AAC, MP4_TYPE('e', 's', 'd', 's')},
    {MP4_TYPE('O', 'p', 'u', 's'), CODEC_OPUS, MP4_TYPE('d', 'O', 'p', 's')},
    {MP4_TYPE('a', 'l', 'a', 'w'), CODEC_PCMA, 0},
    {MP4_TYPE('u', 'l', 'a', 'w'), CODEC_PCMU, 0},
    {MP4_TYPE('m', 'e', 't', 'x'), CODEC_ONVIF, 0},
};

/* Version and flags of a full box. */
static uint8_t full(struct rd *r, uint32_t *ret_flags)
{
    uint8_t version = rd_u8(r);
    uint32_t flags = rd_u24(r);

    if (ret_flags) *ret_flags = flags;
    return version;
}

static bool set_config(struct track *t, struct span s)
{
    if (s.n > sizeof(t->config)) return false;
    if (s.n > 0) memcpy(t->config, s.p, s.n);
    t->config_n = (uint16_t)s.n;
    return true;
}

/* 14496-1 8.3.3: tag, and a size of one to four bytes. */
static struct span descriptor(struct rd *r, uint8_t tag)
{
    uint32_t n = 0;
    uint8_t b = 0x80;

    if (rd_u8(r) != tag) rd_fail(r);
    for (int i = 0; i < 4 && b & 0x80; i++) {
        b = rd_u8(r);
        n = n << 7 | (b & 0x7f);
    }
    return rd_bytes(r, n);
}

static bool read_esds(struct span body, struct track *t)
{
    struct rd r = rd_of(body), es, decoder;
    struct span specific;
    uint8_t flags;

    full(&r, NULL);
    es = rd_of(descriptor(&r, 3));
    rd_skip(&es, 2);
    flags = rd_u8(&es);
    if (flags & 0x80) rd_skip(&es, 2);
    if (flags & 0x40) rd_skip(&es, rd_u8(&es));
    if (flags & 0x20) rd_skip(&es, 2);
    decoder = rd_of(descriptor(&es, 4));
    if (rd_u8(&decoder) != 0x40) return false; /* MPEG-1 layer 3 and others come as mp4a too */
    rd_skip(&decoder, 12);
    specific = descriptor(&decoder, 5);
    return rd_ok(&r) && rd_ok(&es) && rd_ok(&decoder) && set_config(t, specific);
}

static bool read_video(struct rd *r, struct track *t, const struct known_entry *k)
{
    struct span boxes, config, pasp;

    rd_skip(r, 16);
    t->width = rd_u16(r);
    t->height = rd_u16(r);
    rd_skip(r, 50);
    boxes = rd_rest(r);
    config = mp4_find(boxes, k->config);
    pasp = mp4_find(boxes, MP4_TYPE('p', 'a', 's', 'p'));
    t->sar_w = t->sar_h = 1;
    if (pasp.n >= 8) {
        struct rd p = rd_of(pasp);
        uint32_t w = rd_u32(&p), h = rd_u32(&p);

        if (w > 0 && h > 0 && w <= UINT16_MAX && h <= UINT16_MAX) {
            t->sar_w = (uint16_t)w;
            t->sar_h = (uint16_t)h;
        }
    }
    return rd_ok(r) && config.n > 0 && set_config(t, config);
}

static bool read_audio(struct rd *r, struct track *t, const struct known_entry *k)
{
    uint16_t version;
    struct span config;

    version = rd_u16(r);
    rd_skip(r, 6);
    t->channels = rd_u16(r);
    rd_skip(r, 6);
    t->sample_rate = rd_u32(r) >> 16;
    /* QuickTime's longer forms */
    if (version == 1) rd_skip(r, 16);
    if (version > 1) return false;
    if (!rd_ok(r)) return false;
    if (k->config == 0) return true;
    config = mp4_find(rd_rest(r), k->config);
    if (k->codec == CODEC_AAC) return read_esds(config, t);
    return config.n > 0 && set_config(t, config);
}

static bool read_data(struct rd *r, struct track *t)
{
    struct span rest = rd_rest(r), encoding, application = SPAN_LIT("application/");

    if (!span_split(&rest, 0, &encoding)) return false;
    if (encoding.n == 0) return set_config(t, SPAN_LIT(MP4_ONVIF_PLAIN));
    if (!span_starts(encoding, application)) return false;
    return set_config(t, span_from(encoding, application.n));
}

/* The first sample entry. false: a codec we do not know, or damaged. */
static bool read_stsd(struct span body, struct track *t)
{
    struct rd r = rd_of(body), e;
    struct span boxes, entry;
    uint32_t type;

    full(&r, NULL);
    rd_skip(&r, 4);
    boxes = rd_rest(&r);
    if (!rd_ok(&r) || !mp4_next(&boxes, &type, &entry)) return false;
    for (size_t i = 0; i < ARRAY_N(known); i++) {
        if (known[i].type != type) continue;
        t->codec = known[i].codec;
        t->kind = codec_kind(t->codec);
        e = rd_of(entry);
        rd_skip(&e, 8);
        if (t->kind == TRACK_VIDEO) return read_video(&e, t, &known[i]);
        if (t->kind == TRACK_AUDIO) return read_audio(&e, t, &known[i]);
        return read_data(&e, t);
    }
    return false;
}

static bool read_mdhd(struct span body, struct track *t)
{
    struct rd r = rd_of(body);

    rd_skip(&r, full(&r, NULL) == 1 ? 16 : 8);
    t->clock_hz = rd_u32(&r);
    return rd_ok(&r) && t->clock_hz > 0;
}

static bool read_tkhd(struct span body, uint32_t *ret_id)
{
    struct rd r = rd_of(body);

    rd_skip(&r, full(&r, NULL) == 1 ? 16 : 8);
    *ret_id = rd_u32(&r);
    return rd_ok(&r) && *ret_id != 0;
}

static void read_trak(struct span body, struct mp4_movie *m)
{
    struct span mdia = mp4_find(body, MP4_TYPE('m', 'd', 'i', 'a'));
    struct span minf = mp4_find(mdia, MP4_TYPE('m', 'i', 'n', 'f'));
    struct span stbl = mp4_find(minf, MP4_TYPE('s', 't', 'b', 'l'));
    struct track *t;
    uint32_t id;

    if (m->tracks.n == TRACK_MAX) return;
    t = &m->tracks.t[m->tracks.n];
    *t = (struct track){0};
    if (!read_tkhd(mp4_find(body, MP4_TYPE('t', 'k', 'h', 'd')), &id)) return;
    if (!read_mdhd(mp4_find(mdia, MP4_TYPE('m', 'd', 'h', 'd')), t)) return;
    if (!read_stsd(mp4_find(stbl, MP4_TYPE('s', 't', 's', 'd')), t)) return;
    if (t->kind == TRACK_AUDIO && t->sample_rate == 0) t->sample_rate = t->clock_hz;
    m->id[m->tracks.n++] = id;
}

static int track_of(const struct mp4_movie *m, uint32_t id)
{
    for (int i = 0; i < m->tracks.n; i++)
        if (m->id[i] == id) return i;
    return -1;
}

static void read_trex(struct span body, struct mp4_movie *m)
{
    struct rd r = rd_of(body);
    struct mp4_defaults d;
    int track;

    full(&r, NULL);
    track = track_of(m, rd_u32(&r));
    rd_skip(&r, 4);
    d.dur = rd_u32(&r);
    d.size = rd_u32(&r);
    d.flags = rd_u32(&r);
    if (rd_ok(&r) && track >= 0) m->trex[track] = d;
}

int mp4_read_moov(struct span body, struct mp4_movie *ret)
{
    struct span rest = body, b;
    uint32_t type;

    memset(ret, 0, sizeof(*ret));
    while (mp4_next(&rest, &type, &b))
        if (type == MP4_TYPE('t', 'r', 'a', 'k')) read_trak(b, ret);
    if (rest.n > 0) return MP4_E_BAD;
    rest = mp4_find(body, MP4_TYPE('m', 'v', 'e', 'x'));
    while (mp4_next(&rest, &type, &b))
        if (type == MP4_TYPE('t', 'r', 'e', 'x')) read_trex(b, ret);
    return MP4_OK;
}

/* State of one moof while it is read. */
struct moof {
    const struct mp4_movie *m;
    const struct mp4_sink *sink;
    uint64_t at, bytes;
    uint64_t data_end; /* behind the last sample read: where a traf without any base begins */
    size_t samples;
};
/* State of one traf. */
struct traf {
    struct mp4_defaults def;
    uint64_t base, next; /* file offsets: of the traf, and behind its last sample */
    int64_t dts;
    int track; /* -1: not one of ours */
};

enum {
    TFHD_BASE = 0x1,
    TFHD_INDEX = 0x2,
    TFHD_DUR = 0x8,
    TFHD_SIZE = 0x10,
    TFHD_FLAGS = 0x20,
    TFHD_BASE_IS_MOOF = 0x20000
};
enum {
    TRUN_OFFSET = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DUR = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_CTS = 0x800
};

static int read_tfhd(struct span body, const struct moof *f, struct traf *t)
{
    struct rd r = rd_of(body);
    uint32_t flags;

    full(&r, &flags);
    t->track = track_of(f->m, rd_u32(&r));
    t->def = t->track >= 0 ? f->m->trex[t->track] : (struct mp4_defaults){0};
    t->base = flags & TFHD_BASE ? rd_u64(&r) : flags & TFHD_BASE_IS_MOOF ? f->at : f->data_end;
    if (flags & TFHD_INDEX) rd_skip(&r, 4);
    if (flags & TFHD_DUR) t->def.dur = rd_u32(&r);
    if (flags & TFHD_SIZE) t->def.size = rd_u32(&r);
    if (flags & TFHD_FLAGS) t->def.flags = rd_u32(&r);
    t->next = t->base;
    return rd_ok(&r) && t->base <= f->bytes ? MP4_OK : MP4_E_BAD;
}

static int read_tfdt(struct span body, struct traf *t)
{
    struct rd r = rd_of(body);
    uint64_t v = full(&r, NULL) == 1 ? rd_u64(&r) : rd_u32(&r);

    if (!rd_ok(&r) || v > INT64_MAX / 4) return MP4_E_BAD;
    t->dts = (int64_t)v;
    return MP4_OK;
}

static int put_sample(struct moof *f, struct traf *t, const struct mp4_sample *s)
{
    if (s->size > f->bytes - t->next) return MP4_E_BAD;
    t->next += s->size;
    t->dts += s->dur;
    f->data_end = t->next;
    if (t->track < 0) return MP4_OK;
    return f->sink->on_sample(f->sink->arg, s) ? MP4_OK : MP4_E_MANY;
}

static int read_trun(struct span body, struct moof *f, struct traf *t)
{
    struct rd r = rd_of(body);
    uint32_t flags, first_flags = 0, n;

    full(&r, &flags);
    n = rd_u32(&r);
    if (flags & TRUN_OFFSET) {
        int64_t at = (int64_t)t->base + (int32_t)rd_u32(&r);

        if (at < 0 || (uint64_t)at > f->bytes) return MP4_E_BAD;
        t->next = (uint64_t)at;
    }
    if (flags & TRUN_FIRST_FLAGS) first_flags = rd_u32(&r);
    if (!rd_ok(&r)) return MP4_E_BAD;
    if (n > MP4_SAMPLES_MAX - f->samples) return MP4_E_MANY;
    f->samples += n;
    for (uint32_t i = 0; i < n; i++) {
        struct mp4_sample s = {.offset = t->next, .dts = t->dts, .track = (uint8_t)MAX(t->track, 0)};
        uint32_t sample_flags = t->def.flags;
        int err;

        s.dur = flags & TRUN_DUR ? rd_u32(&r) : t->def.dur;
        s.size = flags & TRUN_SIZE ? rd_u32(&r) : t->def.size;
        if (i == 0 && flags & TRUN_FIRST_FLAGS) sample_flags = first_flags;
        if (flags & TRUN_FLAGS) sample_flags = rd_u32(&r);
        if (flags & TRUN_CTS) s.cts = (int32_t)rd_u32(&r);
        if (!rd_ok(&r)) return MP4_E_BAD;
        s.flags = sample_flags & SAMPLE_IS_NOT_SYNC ? 0 : FRAME_KEY;
        err = put_sample(f, t, &s);
        if (err) return err;
    }
    return MP4_OK;
}

static int read_traf(struct span body, struct moof *f)
{
    struct traf t = {.track = -1};
    struct span rest = body, b;
    uint32_t type;
    int err = read_tfhd(mp4_find(body, MP4_TYPE('t', 'f', 'h', 'd')), f, &t);

    if (!err && (b = mp4_find(body, MP4_TYPE('t', 'f', 'd', 't'))).n > 0) err = read_tfdt(b, &t);
    while (!err && mp4_next(&rest, &type, &b))
        if (type == MP4_TYPE('t', 'r', 'u', 'n')) err = read_trun(b, f, &t);
    return err ? err : rest.n > 0 ? MP4_E_BAD : MP4_OK;
}

int mp4_read_moof(struct span body, uint64_t moof_at, uint64_t bytes, const struct mp4_movie *m,
    const struct mp4_sink *sink, uint32_t *ret_seq)
{
    struct moof f = {.m = m, .sink = sink, .at = moof_at, .bytes = bytes, .data_end = moof_at};
    struct span rest = body, b;
    struct rd mfhd = rd_of(mp4_find(body, MP4_TYPE('m', 'f', 'h', 'd')));
    uint32_t type;
    int err = moof_at > bytes ? MP4_E_BAD : MP4_OK;

    full(&mfhd, NULL);
    *ret_seq = rd_u32(&mfhd);
    while (!err && mp4_next(&rest, &type, &b))
        if (type == MP4_TYPE('t', 'r', 'a', 'f')) err = read_traf(b, &f);
    return err ? err : rest.n > 0 || !rd_ok(&mfhd) ? MP4_E_BAD : MP4_OK;
}
