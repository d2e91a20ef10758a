#include "worker/rtsp_choose.h"
#include "common/wire/url.h"

static const struct {
    enum sdp_codec sdp;
    enum codec codec;
} CODECS[] = {
    {SDP_H264, CODEC_H264},
    {SDP_H265, CODEC_H265},
    {SDP_MPEG4_GENERIC, CODEC_AAC},
    {SDP_PCMA, CODEC_PCMA},
    {SDP_PCMU, CODEC_PCMU},
    {SDP_OPUS, CODEC_OPUS},
    {SDP_ONVIF_METADATA, CODEC_ONVIF},
};

enum codec rtsp_codec_of(enum sdp_codec c)
{
    for (size_t i = 0; i < ARRAY_N(CODECS); i++)
        if (CODECS[i].sdp == c) return CODECS[i].codec;
    return CODEC_NONE;
}

static bool receivable(const struct sdp_media *m)
{
    return !m->back && !m->secure && m->direction != SDP_INACTIVE && span_istarts(m->proto, "RTP/") &&
        m->n > 0;
}

/* The first of its formats that we record (S12); NULL: none. */
static const struct sdp_format *usable_format(const struct sdp_media *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (rtsp_codec_of(m->f[i].codec) != CODEC_NONE) return &m->f[i];
    return NULL;
}

static struct rtsp_track track_of(const struct sdp_media *m, const struct sdp_format *f, bool wanted)
{
    enum codec codec = rtsp_codec_of(f->codec);

    return (struct rtsp_track){
        .kind = codec == CODEC_NONE ? 0 : codec_kind(codec),
        .codec = codec,
        .wanted = wanted,
        .pt = f->pt,
        .clock_hz = f->clock_hz,
        .channels = f->channels,
        .fmtp = f->fmtp,
        .media = m,
    };
}

static bool chosen(const struct sdp_media *m, const struct rtsp_track *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].media == m) return true;
    return false;
}

size_t rtsp_choose(const struct sdp *s, unsigned kinds, bool all, struct rtsp_track t[RTSP_CLIENT_TRACKS_MAX],
    size_t *ret_wanted)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n && n < TRACK_MAX; i++) {
        const struct sdp_format *f = receivable(&s->m[i]) ? usable_format(&s->m[i]) : NULL;
        unsigned bit = f ? 1u << codec_kind(rtsp_codec_of(f->codec)) : 0;

        if ((kinds & bit) == 0) continue;
        t[n++] = track_of(&s->m[i], f, true);
        kinds &= ~bit;
    }
    *ret_wanted = n;
    for (size_t i = 0; all && n > 0 && i < s->n && n < RTSP_CLIENT_TRACKS_MAX; i++)
        if (receivable(&s->m[i]) && !chosen(&s->m[i], t, n))
            t[n++] = track_of(&s->m[i], &s->m[i].f[0], false);
    return n;
}

bool rtsp_choose_left_some(const struct sdp *s, unsigned kinds)
{
    struct rtsp_track t[RTSP_CLIENT_TRACKS_MAX];
    size_t wanted;

    return rtsp_choose(s, kinds, true, t, &wanted) > wanted;
}

void rtsp_choose_explain(const struct sdp *s, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap - 1);

    for (size_t i = 0; i < s->n && wr_left(&w) > 48; i++) {
        const struct sdp_media *m = &s->m[i];
        struct span name = m->n > 0 && m->f[0].name.n > 0 ? m->f[0].name : SPAN_LIT("without a codec");

        wr_fmt(&w, "%s%.*s %.*s", i ? ", " : "", (int)MIN(m->name.n, (size_t)16), (const char *)m->name.p,
            (int)MIN(name.n, (size_t)24), (const char *)name.p);
    }
    dst[w.n] = 0;
}

bool rtsp_base_url(struct span request_url, struct span content_base, struct wr *w)
{
    struct url u;

    if (content_base.n == 0 || url_parse(request_url, &u) != 0) return false;
    wr_bytes(w, span_sub(request_url, 0, request_url.n - u.tail.n));
    return url_tail_of(content_base, w) && wr_ok(w);
}

/* Does the URL of RTP-Info mean this track? It is absolute, a path, or the bare control. */
static bool names_track(struct span info, struct span url)
{
    char mem[URL_MAX + 1];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span tail;

    if (!url_tail_of(info, &w)) return false;
    tail = wr_span(&w);
    while (tail.n > 0 && tail.p[0] == '/') tail = span_from(tail, 1);
    if (tail.n == 0 || !span_ends(url, tail)) return false;
    return url.n > tail.n && (url.p[url.n - tail.n - 1] == '/' || tail.p[0] == '?');
}

void rtsp_take_rtp_info(struct span value, char *const *urls, struct rtsp_track *t, size_t n)
{
    struct rtsp_rtp_info r;

    while (rtsp_rtp_info_next(&value, &r))
        for (size_t i = 0; i < n; i++) {
            if (urls[i] == NULL || !names_track(r.url, span_of(urls[i]))) continue;
            t[i].has_seq = r.has_seq && r.seq > 1; /* 0 and 1 are what cameras write that do not know (P16) */
            t[i].seq = r.seq;
            t[i].has_rtptime = r.has_rtptime && r.rtptime != 0;
            t[i].rtptime = r.rtptime;
            break;
        }
}
