#include "common/proto/sdp.h"
#include "common/wire/base64.h"
#include "common/wire/head.h"

#define VIDEO_HZ     90000
#define VIDEO_HZ_MIN 1000
#define AUDIO_HZ     8000
#define OPUS_HZ      48000
#define HZ_MAX       10000000
/* live555 stopped sending into other connections with this release (K5). */

static const struct {
    const char *name;
    enum sdp_kind kind;
} KINDS[] = {
    {"video", SDP_VIDEO},
    {"audio", SDP_AUDIO},
    {"application", SDP_DATA},
    {"metadata", SDP_DATA},
    {"text", SDP_DATA},
};

static const struct {
    const char *name;
    bool prefix; /* the name may go on */
    enum sdp_codec codec;
} CODECS[] = {
    {"H264", false, SDP_H264},
    {"AVC", false, SDP_H264},
    {"H265", false, SDP_H265},
    {"HEVC", false, SDP_H265},
    {"JPEG", false, SDP_MJPEG},
    {"MPEG4-GENERIC", false, SDP_MPEG4_GENERIC},
    {"MP4A-LATM", false, SDP_MP4A_LATM},
    {"PCMA", false, SDP_PCMA},
    {"PCMU", false, SDP_PCMU},
    {"OPUS", false, SDP_OPUS},
    {"G726", true, SDP_G726},
    {"AAL2-G726", true, SDP_G726},
    {"L16", false, SDP_L16},
    {"VND.ONVIF.METADATA", true, SDP_ONVIF_METADATA}, /* also +gzip, .gzip, .exi.ext (S19) */
    {"METADATA", false, SDP_ONVIF_METADATA},
};

/* RFC 3551 table 4 and 5, as far as cameras use it. */
static const struct {
    uint8_t pt;
    enum sdp_codec codec;
    uint32_t hz;
    uint8_t channels;
} STATIC[] = {
    {0, SDP_PCMU, 8000, 1},
    {2, SDP_G726, 8000, 1},
    {8, SDP_PCMA, 8000, 1},
    {10, SDP_L16, 44100, 2},
    {11, SDP_L16, 44100, 1},
    {26, SDP_MJPEG, 90000, 1},
};

static const char *const CODEC_NAMES[] = {
    [SDP_CODEC_OTHER] = "other",
    [SDP_H264] = "H264",
    [SDP_H265] = "H265",
    [SDP_MJPEG] = "JPEG",
    [SDP_MPEG4_GENERIC] = "MPEG4-GENERIC",
    [SDP_MP4A_LATM] = "MP4A-LATM",
    [SDP_PCMA] = "PCMA",
    [SDP_PCMU] = "PCMU",
    [SDP_OPUS] = "OPUS",
    [SDP_G726] = "G726",
    [SDP_L16] = "L16",
    [SDP_ONVIF_METADATA] = "VND.ONVIF.METADATA",
};

const char *sdp_codec_name(enum sdp_codec c)
{
    return (unsigned)c < ARRAY_N(CODEC_NAMES) ? CODEC_NAMES[c] : "";
}

/* ---- lines ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The next run of bytes that are not blanks. */
static struct span word(struct span *rest)
{
    struct span s = span_trim(*rest);
    size_t n = 0;

    while (n < s.n && !is_blank(s.p[n])) n++;
    *rest = span_from(s, n);
    return span_sub(s, 0, n);
}

/* The next "x=value", whatever ends the lines. */
static bool line_next(struct span *rest, uint8_t *ret_type, struct span *ret_value)
{
    while (rest->n > 0) {
        size_t n = 0;
        struct span line;

        while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r') n++;
        line = span_trim(span_sub(*rest, 0, n));
        *rest = span_from(*rest, n + 1);
        if (line.n < 2 || line.p[1] != '=') continue;
        *ret_type = line.p[0];
        *ret_value = span_trim(span_from(line, 2));
        return true;
    }
    return false;
}

/* Digits at the front, at most three; what stands behind them goes to *rest. */
static bool leading_pt(struct span *rest, uint8_t *ret_pt)
{
    struct span s = span_trim(*rest);
    size_t n = 0;
    uint64_t v;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    if (!span_u64(span_sub(s, 0, n), 127, &v)) return false;
    *ret_pt = (uint8_t)v;
    *rest = span_from(s, n);
    return true;
}

static struct sdp_format *format_of(struct sdp_media *m, uint8_t pt)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->f[i].pt == pt) return &m->f[i];
    return NULL;
}

static struct sdp_format *format_add(struct sdp_media *m, uint8_t pt)
{
    struct sdp_format *f = format_of(m, pt);

    if (f || m->n == SDP_FORMATS_MAX) return f;
    f = &m->f[m->n++];
    *f = (struct sdp_format){.pt = pt};
    return f;
}

/* ---- m= and the attributes ---- */

static enum sdp_kind kind_of(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(KINDS); i++)
        if (span_iis(name, KINDS[i].name)) return KINDS[i].kind;
    return SDP_OTHER;
}

/* "video 0 RTP/AVP 96 97": what is no payload type is left out (S10). */
static void media_line(struct span v, struct sdp_media *m)
{
    struct span port, fmt;
    uint64_t n;

    *m = (struct sdp_media){0};
    m->name = word(&v);
    m->kind = kind_of(m->name);
    port = word(&v);
    if (span_find(port, '/') >= 0) port = span_sub(port, 0, (size_t)span_find(port, '/'));
    if (span_u64(port, 65535, &n)) m->port = (uint16_t)n;
    m->proto = word(&v);
    m->secure = span_istarts(m->proto, "RTP/SAVP");
    while ((fmt = word(&v)).n > 0)
        if (span_u64(fmt, 127, &n)) format_add(m, (uint8_t)n);
}

/* "96 H264/90000", "8 PCMA/8000/1", "107 vnd.onvif.metadata/90000/500" (S5). A payload type that m= does not
 * name is taken too (S7). */
static void rtpmap(struct span v, struct sdp_media *m)
{
    struct sdp_format *f;
    struct span part;
    uint64_t n;
    uint8_t pt;

    if (!leading_pt(&v, &pt)) return;
    f = format_add(m, pt);
    if (f == NULL || f->name.p) return;
    v = span_trim(v);
    if (!span_split(&v, '/', &part)) return;
    f->name = span_trim(part);
    if (span_split(&v, '/', &part) && span_u64(span_trim(part), HZ_MAX, &n)) f->clock_hz = (uint32_t)n;
    if (span_split(&v, '/', &part) && span_u64(span_trim(part), 255, &n)) f->channels = (uint8_t)n;
}

static bool fmtp_set(struct sdp_media *m, uint8_t pt, struct span value)
{
    struct sdp_format *f = format_of(m, pt);

    if (f == NULL || f->fmtp.n > 0) return false;
    f->fmtp = value;
    return true;
}

/* Of this media, or of another one that has this payload type and no parameters yet (S6). */
static void fmtp(struct span v, struct sdp *s, struct sdp_media *m)
{
    uint8_t pt;

    if (!leading_pt(&v, &pt)) return;
    v = span_trim(v);
    if (v.n == 0 || (m && fmtp_set(m, pt, v))) return;
    if (m && format_of(m, pt)) return;
    for (size_t i = 0; i < s->n; i++)
        if (fmtp_set(&s->m[i], pt, v)) return;
}

static void direction(struct span name, enum sdp_direction *d)
{
    static const struct {
        const char *name;
        enum sdp_direction d;
    } rows[] = {
        {"sendrecv", SDP_SENDRECV},
        {"sendonly", SDP_SENDONLY},
        {"recvonly", SDP_RECVONLY},
        {"inactive", SDP_INACTIVE},
    };

    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (span_iis(name, rows[i].name)) *d = rows[i].d;
}

/* "name:value" */
static struct span attribute(struct span v, struct span *ret_value)
{
    ssize_t colon = span_find(v, ':');

    *ret_value = colon < 0 ? SPAN_NONE : span_trim(span_from(v, (size_t)colon + 1));
    return span_trim(colon < 0 ? v : span_sub(v, 0, (size_t)colon));
}

struct scan {
    struct sdp *s;
    struct sdp_media *m;          /* under way; NULL: the session part, or a media that is not kept */
    bool dropped;                 /* of a media that is not kept */
    enum sdp_direction direction; /* of the session */
};

static void attribute_line(struct span v, struct scan *c)
{
    struct span value, name = attribute(v, &value);

    direction(name, c->m ? &c->m->direction : &c->direction);
    if (span_iis(name, "control") && value.p) {
        struct span *to = c->m ? &c->m->control : &c->s->control;

        if (to->p == NULL) *to = value;
    }
    if (c->m && span_iis(name, "rtpmap")) rtpmap(value, c->m);
}

static void begin_media(struct span v, struct scan *c)
{
    c->dropped = c->s->n == SDP_MEDIA_MAX;
    c->m = c->dropped ? NULL : &c->s->m[c->s->n++];
    if (c->dropped) return;
    media_line(v, c->m);
    c->m->direction = c->direction;
}

static void scan_line(uint8_t type, struct span v, struct scan *c)
{
    if (type == 'm') begin_media(v, c);
    if (c->dropped) return;
    if (type == 'a') attribute_line(v, c);
}

/* ---- defaults ---- */

static enum sdp_codec codec_of(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(CODECS); i++)
        if (CODECS[i].prefix ? span_istarts(name, CODECS[i].name) : span_iis(name, CODECS[i].name))
            return CODECS[i].codec;
    return SDP_CODEC_OTHER;
}

/* rtpmap wins over the static table (S7). */
static void static_format(struct sdp_format *f)
{
    for (size_t i = 0; i < ARRAY_N(STATIC); i++) {
        if (STATIC[i].pt != f->pt) continue;
        if (f->name.n == 0) f->codec = STATIC[i].codec;
        if (f->name.n == 0 && f->channels == 0) f->channels = STATIC[i].channels;
        if (f->clock_hz == 0) f->clock_hz = STATIC[i].hz;
    }
}

static void finish_format(enum sdp_kind kind, struct sdp_format *f)
{
    f->codec = codec_of(f->name);
    /* "a=rtpmap:107 /90000/500" (S19) */
    if (kind == SDP_DATA && f->name.p && f->name.n == 0) f->codec = SDP_ONVIF_METADATA;
    static_format(f);
    if (kind != SDP_AUDIO && f->clock_hz < VIDEO_HZ_MIN) f->clock_hz = VIDEO_HZ;
    if (f->clock_hz == 0) f->clock_hz = AUDIO_HZ;
    if (f->codec == SDP_OPUS) f->clock_hz = OPUS_HZ; /* RFC 7587 4.1, S17 */
    if (f->channels == 0) f->channels = 1;
}

/* S16: where every media says sendonly it means that it is sent to us; video is always sent to us
 * (CV-RTSPHandler says sendonly of its video and nothing of its audio). */
static void back_channels(struct sdp *s)
{
    size_t sendonly = 0;

    for (size_t i = 0; i < s->n; i++) sendonly += s->m[i].direction == SDP_SENDONLY;
    for (size_t i = 0; i < s->n; i++) {
        struct sdp_media *m = &s->m[i];

        m->back = m->direction == SDP_SENDONLY && m->kind != SDP_VIDEO && sendonly < s->n;
    }
}

/* Second pass: a=fmtp may stand before its rtpmap, and in another media's section (S6). */
static void scan_fmtp(struct span text, struct sdp *s)
{
    struct span v, value;
    size_t media = 0;
    uint8_t type;

    while (line_next(&text, &type, &v)) {
        media += type == 'm';
        if (type != 'a' || !span_iis(attribute(v, &value), "fmtp")) continue;
        fmtp(value, s, media > 0 && media <= s->n ? &s->m[media - 1] : NULL);
    }
}

bool sdp_parse(struct span text, struct sdp *ret)
{
    struct scan c = {.s = ret};
    struct span rest = span_sub(text, 0, SDP_MAX), v;
    uint8_t type;

    ret->control = SPAN_NONE;
    ret->n = 0;
    while (line_next(&rest, &type, &v)) scan_line(type, v, &c);
    scan_fmtp(span_sub(text, 0, SDP_MAX), ret);
    for (size_t i = 0; i < ret->n; i++)
        for (size_t k = 0; k < ret->m[i].n; k++) finish_format(ret->m[i].kind, &ret->m[i].f[k]);
    back_channels(ret);
    return ret->n > 0;
}

/* ---- format parameters ---- */

bool sdp_fmtp_next(struct span *rest, struct span *ret_key, struct span *ret_value)
{
    struct span member;

    while (head_list_next(rest, ';', &member)) {
        head_param(member, ret_key, ret_value);
        if (ret_key->n > 0) return true;
    }
    return false;
}

struct span sdp_fmtp(struct span fmtp_text, const char *key)
{
    struct span name, value;

    while (sdp_fmtp_next(&fmtp_text, &name, &value))
        if (span_iis(name, key)) return value.p ? value : SPAN_LIT("");
    return SPAN_NONE;
}

uint32_t sdp_fmtp_u32(struct span fmtp_text, const char *key, uint32_t otherwise)
{
    uint64_t v;

    return span_u64(sdp_fmtp(fmtp_text, key), UINT32_MAX, &v) ? (uint32_t)v : otherwise;
}

/* Without start codes in front and behind, and zeros behind (S13). */
static struct span bare_nal(struct span s)
{
    size_t zeros = 0;

    while (zeros < s.n && s.p[zeros] == 0) zeros++;
    if (zeros >= 2 && zeros < s.n && s.p[zeros] == 1) s = span_from(s, zeros + 1);
    while (s.n > 0 && s.p[s.n - 1] == 0) s.n--;
    if (s.n >= 3 && s.p[s.n - 1] == 1 && s.p[s.n - 2] == 0 && s.p[s.n - 3] == 0) s.n -= 3;
    while (s.n > 0 && s.p[s.n - 1] == 0) s.n--;
    return s;
}

bool sdp_sprop_next(struct span *rest, uint8_t *dst, size_t cap, struct span *ret_nal)
{
    struct span piece;

    while (head_list_next(rest, ',', &piece)) {
        struct wr w = wr_of(dst, cap);

        if (!base64_read(piece, &w)) continue;
        *ret_nal = bare_nal(wr_span(&w));
        if (ret_nal->n > 0) return true;
    }
    return false;
}
