/* A file to be replayed, loaded once and shared by all streams that replay it: access units with their times.
 *
 *   .h264 .264 .avc .jsv  H.264 Annex B (ITU-T H.264 annex B)     .h265 .265 .hevc  H.265 Annex B
 *   .aac .adts            AAC in ADTS (ISO 13818-7)               .alaw .ulaw       raw G.711, 20 ms a packet
 *   .opus .ogg            Opus in Ogg (RFC 3533, RFC 7845)        .xml              one ONVIF document a
 * second
 *
 * Annex B carries no times: frames are 1/fps apart in the order of the file, unless FILE.pts stands beside it
 * (one presentation time of 1/90000 s a line, in decode order, "end N" last: the length of the loop). Test
 * tool: bad files end the program with a message. Tests: tests/e2e/test_camera.py. */
#ifndef CAMERA_SOURCE_H
#define CAMERA_SOURCE_H

#include "common/base/span.h"
#include "common/media/track.h"

#define SOURCE_FILE_MAX  (1u << 30)
#define SOURCE_AUS_MAX   1000000
#define SOURCE_NALS_MAX  8192 /* of one access unit */
#define SOURCE_PARAM_MAX 8    /* parameter sets kept for the SDP */

/* One access unit: NAL units without start codes, or one block of audio. */
struct source_au {
    uint32_t first, n; /* pieces[first .. first+n) */
    int64_t pts;       /* ticks of clock_hz from the start of the loop, may be out of order */
    bool key;
};

struct source {
    char *path;
    uint8_t *bytes; /* the file */
    enum codec codec;
    uint32_t clock_hz;
    uint32_t sample_rate;
    uint16_t channels;
    struct span config; /* AAC: AudioSpecificConfig */
    uint8_t config_mem[2];
    struct span *pieces;
    size_t n_pieces;
    struct source_au *aus;
    size_t n_aus;
    int64_t loop_ticks; /* length of the whole */
    struct span
        params[SOURCE_PARAM_MAX]; /* VPS, SPS, PPS as they stand first in the file, each content once */
    size_t n_params;
};

/* Loads, or returns what was loaded before under this path. Never NULL: ends the program on errors. */
const struct source *source_load(const char *path, unsigned fps_milli);
void source_free_all(void);

/* NAL unit type, whichever of the two codecs. */
unsigned source_nal_type(enum codec codec, struct span nal);
bool source_is_param(enum codec codec, struct span nal);
bool source_is_vcl(enum codec codec, struct span nal);
static inline bool source_is_video(const struct source *s)
{
    return s->codec == CODEC_H264 || s->codec == CODEC_H265;
}

/* Shared by the readers of the formats. */
void source_add_piece(struct source *s, struct span piece);
void source_end_au(struct source *s, bool key, int64_t pts);
void source_read_annexb(struct source *s, struct span file);
void source_read_adts(struct source *s, struct span file);
void source_read_g711(struct source *s, struct span file);
void source_read_ogg(struct source *s, struct span file);
void source_read_xml(struct source *s, struct span file);
_Noreturn void source_bad(const struct source *s, const char *why);

#endif
