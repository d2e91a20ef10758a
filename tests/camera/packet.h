/* A source cut into RTP packets once, shared by all streams that replay it. A frame's packets lie one behind
 * the other, each with room for the interleaved header (RFC 2326 10.12) and an RTP header with version,
 * marker and payload type set: a session copies the frame, patches channel, sequence, time and SSRC, and
 * sends it. H.264 RFC 6184, H.265 RFC 7798, AAC RFC 3640 (AAC-hbr), G.711 RFC 3551, Opus RFC 7587. */
#ifndef CAMERA_PACKET_H
#define CAMERA_PACKET_H

#include "tests/camera/source.h"

#define INTERLEAVED_HDR  4
#define RTP_HDR          12
#define PACKET_HDR       (INTERLEAVED_HDR + RTP_HDR)
#define PACKET_MTU_MIN   64
#define PACKET_MTU_MAX   65000
#define PACKET_PER_FRAME 16384
#define PACKET_AAC_MAX   15 /* access units in one packet */

/* Ways of packing, the odd ones named by the row of cameras.md they imitate. */
enum pack_style {
    PACK_NORMAL,        /* parameter sets and SEI joined (STAP-A, AP) */
    PACK_SINGLE,        /* never joined */
    PACK_ANNEXB,        /* V6: an access unit's NAL units joined by start codes into one */
    PACK_FU_NO_END,     /* V5: End bit never set */
    PACK_FU_TYPE,       /* V5: the type changes between fragments */
    PACK_FU_RESERVED,   /* V5: reserved bit set */
    PACK_FU_WHOLE,      /* V5: a fragment with both Start and End for what fits a packet */
    PACK_STAP_ZERO,     /* V7: zero-length item behind the last of a STAP-A */
    PACK_MARKER_PARAMS, /* V2: marker on each parameter set and SEI */
    PACK_JUNK,          /* T14, V16: packets of 0 to 3 payload bytes among the good ones */
    PACK_ADTS           /* A1: ADTS header left inside the AAC access unit */
};
enum pack_params { PARAMS_AS_IS, PARAMS_STRIPPED, PARAMS_EVERY_KEY };

struct pack_opts {
    unsigned mtu; /* most bytes of RTP payload */
    enum pack_style style;
    enum pack_params params;
    unsigned aggregate; /* AAC access units in a packet */
    uint8_t pt;
};

struct pack_packet {
    uint32_t len; /* with both headers */
    bool param;   /* carries parameter sets or SEI only */
};
struct pack_frame {
    size_t at; /* in mem */
    uint32_t len;
    uint32_t first, n; /* packets[first .. first+n) */
    int64_t pts;
    bool key;
    uint32_t au; /* number of its (first) access unit in the source */
};
struct pack {
    const struct source *source;
    struct pack_opts opts;
    uint8_t *mem;
    struct pack_packet *packets;
    struct pack_frame *frames;
    size_t n_frames, n_packets, bytes;
    size_t frame_max; /* longest frame */
    struct pack *next;
};

/* The same options give the same pack; kept until pack_free_all. */
const struct pack *pack_get(const struct source *s, const struct pack_opts *o);
void pack_free_all(void);

uint8_t pack_payload_type(enum codec codec);

#endif
