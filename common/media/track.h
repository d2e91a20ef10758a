/* What a stream's tracks are: the one description that worker, ring, segments and httpd share.
 * Media time of a track counts in its clock_hz (the RTP clock: 90000 for video, the sample rate for most
 * audio). All tracks of a stream share one origin: media time 0 is 1970-01-01 UTC as the stream's clock saw
 * it when its timeline was anchored, so dts / clock_hz of two tracks compare, and roughly tell the wall
 * clock; after the anchor media time runs on its own and is not pulled by the wall clock. */
#ifndef MEDIA_TRACK_H
#define MEDIA_TRACK_H

#include "common/base/rd.h"
#include "common/base/wr.h"

enum codec {
    CODEC_NONE = 0,
    CODEC_H264 = 1, /* length-prefixed (u32) NAL units, without AUD, filler and parameter sets */
    CODEC_H265 = 2, /* the same */
    CODEC_AAC = 3,  /* one raw access unit a frame, no ADTS */
    CODEC_PCMA = 4,
    CODEC_PCMU = 5,
    CODEC_OPUS = 6, /* one packet a frame */
    CODEC_ONVIF = 7 /* one metadata document a frame */
};
enum track_kind { TRACK_VIDEO = 1, TRACK_AUDIO = 2, TRACK_DATA = 3 };

#define TRACK_MAX        4    /* of a stream */
#define TRACK_CONFIG_MAX 2048 /* bytes of decoder configuration */

struct track {
    enum codec codec;
    enum track_kind kind;
    uint32_t clock_hz;
    uint32_t sample_rate;   /* audio */
    uint16_t channels;      /* audio */
    uint16_t width, height; /* video, after cropping; 0 until known */
    uint16_t sar_w, sar_h;  /* sample aspect ratio, 1:1 where not stated */
    /* H.264 AVCDecoderConfigurationRecord, H.265 HEVCDecoderConfigurationRecord (ISO 14496-15), AAC
     * AudioSpecificConfig (14496-3), Opus the body of dOps; ONVIF the MIME type's subtype as text. */
    uint16_t config_n;
    uint8_t config[TRACK_CONFIG_MAX];
};

/* The index of a track in `t` is the number frames name it by. gen counts up with every change that a player
 * must know of (codec, size, parameter sets that matter). */
struct track_set {
    uint32_t gen;
    uint8_t n;
    struct track t[TRACK_MAX];
};

/* Largest serialised form. */
#define TRACK_SET_WIRE_MAX (16 + TRACK_MAX * (32 + TRACK_CONFIG_MAX))

void track_set_write(struct wr *w, const struct track_set *s);
/* false: damaged; every field of *ret is then unspecified. Checks codec, kind, clock_hz > 0, lengths. */
bool track_set_read(struct rd *r, struct track_set *ret);
/* Same content, gen apart? */
bool track_set_same(const struct track_set *a, const struct track_set *b);
/* First track of a kind, or -1. */
int track_find(const struct track_set *s, enum track_kind kind);

const char *codec_name(enum codec c); /* "H264", as the API says it */
enum track_kind codec_kind(enum codec c);
/* RFC 6381 string for playlists and MediaSource ("avc1.64001f", "hvc1.1.6.L93.B0", "mp4a.40.2", "opus");
 * empty for what MP4 players cannot play (G.711, metadata). Needs `cap` of at least 48. Returns dst. */
const char *codec_rfc6381(const struct track *t, char *dst, size_t cap);

#endif
