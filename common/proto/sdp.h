/* Session descriptions of cameras, read liberally: a scanner over lines, not a grammar (cameras.md S1 to
 * S19). Source: RFC 8866, RFC 3640 (AAC), RFC 6184 (H.264), RFC 7798 (H.265), RFC 7587 (Opus), ONVIF
 * Streaming Specification. Everything is spans into the text. What it says of codecs is a hint: the stream
 * itself wins (S13). Tests: tests/unit/proto/test_sdp.c, tests/fuzz/fuzz_sdp.c. */
#ifndef PROTO_SDP_H
#define PROTO_SDP_H

#include "common/base/span.h"
#include "common/base/wr.h"

#define SDP_MAX         (256u << 10)
#define SDP_MEDIA_MAX   16
#define SDP_FORMATS_MAX 8 /* payload types of one m= line that are kept */

enum sdp_kind { SDP_OTHER = 0, SDP_VIDEO, SDP_AUDIO, SDP_DATA /* application, metadata, text */ };
enum sdp_direction { SDP_SENDRECV = 0, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };
enum sdp_codec {
    SDP_CODEC_OTHER = 0,
    SDP_H264,
    SDP_H265,
    SDP_MJPEG,
    SDP_MPEG4_GENERIC, /* AAC, RFC 3640 */
    SDP_MP4A_LATM,
    SDP_PCMA,
    SDP_PCMU,
    SDP_OPUS,
    SDP_G726,
    SDP_L16,
    SDP_ONVIF_METADATA
};

struct sdp_format {
    uint8_t pt;
    enum sdp_codec codec;
    struct span name;  /* encoding name as written, "" without rtpmap */
    uint32_t clock_hz; /* never 0: a default where it is missing or nonsense (S5) */
    uint8_t channels;  /* audio: at least 1 */
    struct span fmtp;  /* behind the payload type; may be empty */
};

struct sdp_media {
    enum sdp_kind kind;
    struct span name;  /* "video" as written */
    struct span proto; /* "RTP/AVP" */
    bool secure;       /* RTP/SAVP and kin */
    uint16_t port;
    struct span control; /* a=control; p == NULL: none (P3) */
    enum sdp_direction direction;
    bool back; /* a back channel: not to be received (S16) */
    size_t n;  /* formats, at least 1 in a usable media */
    struct sdp_format f[SDP_FORMATS_MAX];
};

struct sdp {
    struct span control; /* of the session; p == NULL: none */
    size_t n;            /* at most SDP_MEDIA_MAX: the rest is left out */
    struct sdp_media m[SDP_MEDIA_MAX];
};

/* true: at least one m= line was read. Never fails for anything else. The struct is about 12 KB: not for
 * stacks that stay. */
bool sdp_parse(struct span text, struct sdp *ret);

/* The next key=value of an fmtp; value.p == NULL: no '='. Empty items are left out. Start with *rest = fmtp.
 */
bool sdp_fmtp_next(struct span *rest, struct span *ret_key, struct span *ret_value);
/* Value of a key, case-blind; p == NULL: not there (S6). */
struct span sdp_fmtp(struct span fmtp, const char *key);
uint32_t sdp_fmtp_u32(struct span fmtp, const char *key, uint32_t otherwise);

/* One parameter set out of sprop-parameter-sets, sprop-vps, -sps, -pps: decoded, start codes and trailing
 * zeros taken off (S13). Start with *rest = the fmtp's value. false: the end; a piece that is not base64 is
 * left out. The bytes lie in dst, at most cap. */
bool sdp_sprop_next(struct span *rest, uint8_t *dst, size_t cap, struct span *ret_nal);

const char *sdp_codec_name(enum sdp_codec c); /* "H264" */

#endif
