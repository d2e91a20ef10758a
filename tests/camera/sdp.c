#include "common/base/rng.h"
#include "common/wire/base64.h"
#include "common/wire/hex.h"
#include "tests/camera/rtsp.h"

#define FMTP_MAX 16384

static void write_base64(struct buf *to, struct span s)
{
    char mem[FMTP_MAX];
    struct wr w = wr_of(mem, sizeof mem);

    base64_write(&w, s);
    (void)buf_put(to, wr_span(&w));
}

/* RFC 6184 8.1, RFC 7798 7.1: sprop-parameter-sets, sprop-vps, sprop-sps, sprop-pps. */
static void video_fmtp(struct buf *to, const struct stream *s, unsigned track)
{
    const struct source *src = s->source[track];
    const char *sep = "sprop-parameter-sets=";
    unsigned pt = stream_pt(s, track);

    if (src->codec == CODEC_H264) {
        buf_fmt(to, "a=fmtp:%u packetization-mode=1", pt);
        struct span sps = src->n_params > 0 ? src->params[0] : SPAN_NONE;
        if (sps.n >= 4) buf_fmt(to, ";profile-level-id=%02x%02x%02x", sps.p[1], sps.p[2], sps.p[3]);
        if (s->k.sets != SETS_INBAND && src->n_params > 0) {
            buf_text(to, ";");
            for (size_t i = 0; i < src->n_params; i++, sep = ",") {
                buf_text(to, sep);
                write_base64(to, src->params[i]);
            }
        }
        buf_text(to, "\r\n");
        return;
    }
    if (s->k.sets == SETS_INBAND) return;
    static const char *const names[] = {"sprop-vps=", "sprop-sps=", "sprop-pps="};
    buf_fmt(to, "a=fmtp:%u ", pt);
    for (unsigned type = 32; type <= 34; type++) {
        bool any = false;
        for (size_t i = 0; i < src->n_params; i++) {
            if (source_nal_type(CODEC_H265, src->params[i]) != type) continue;
            buf_text(to, any ? "," : names[type - 32]);
            write_base64(to, src->params[i]);
            any = true;
        }
        if (any && type != 34) buf_text(to, ";");
    }
    buf_text(to, "\r\n");
}

static void aac_fmtp(struct buf *to, const struct source *src, unsigned pt)
{
    char hex[16];
    struct wr w = wr_of(hex, sizeof hex);

    hex_write(&w, src->config);
    buf_fmt(to,
        "a=fmtp:%u "
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=%"
        ".*s\r\n",
        pt, SPAN_FMT(wr_span(&w)));
}

static void write_track(struct buf *to, const struct stream *s, unsigned track, struct span base)
{
    static const struct {
        const char *media, *name;
        bool channels;
    } kinds[] = {
        [CODEC_H264] = {"video", "H264", false},
        [CODEC_H265] = {"video", "H265", false},
        [CODEC_AAC] = {"audio", "mpeg4-generic", true},
        [CODEC_PCMA] = {"audio", "PCMA", false},
        [CODEC_PCMU] = {"audio", "PCMU", false},
        [CODEC_OPUS] = {"audio", "opus", true},
        [CODEC_ONVIF] = {"application", "vnd.onvif.metadata", false},
    };
    const struct source *src = s->source[track];
    unsigned pt = stream_pt(s, track);

    buf_fmt(to, "m=%s 0 RTP/AVP %u\r\na=rtpmap:%u %s/%u", kinds[src->codec].media, pt, pt,
        kinds[src->codec].name, src->clock_hz);
    if (kinds[src->codec].channels) buf_fmt(to, "/%u", src->channels);
    buf_text(to, "\r\n");
    if (source_is_video(src))
        video_fmtp(to, s, track);
    else if (src->codec == CODEC_AAC)
        aac_fmtp(to, src, pt);
    if (s->k.control == CONTROL_ABSOLUTE)
        buf_fmt(to, "a=control:%.*strackID=%u\r\n", SPAN_FMT(base), track);
    else if (s->k.control == CONTROL_QUERY)
        buf_fmt(to, "a=control:?trackID=%u\r\n", track);
    else if (s->k.control == CONTROL_NORMAL)
        buf_fmt(to, "a=control:trackID=%u\r\n", track);
}

void sdp_write(struct buf *to, const struct stream *s, struct span base)
{
    buf_fmt(to, "v=0\r\no=- %u 1 IN IP4 0.0.0.0\r\ns=%s\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n", s->index + 1,
        s->k.title[0] ? s->k.title : s->name);
    if (s->k.control != CONTROL_NONE) buf_text(to, "a=control:*\r\n");
    for (unsigned t = 0; t < s->n_tracks; t++) write_track(to, s, t, base);
}
