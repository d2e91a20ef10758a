/* Depacketisers: RTP payloads of one track become access units (video), coded blocks (audio), documents
 * (metadata). One table of functions a codec, chosen by depay_new. No I/O, no clock: time of arrival is a
 * parameter. Sources: RFC 6184 (H.264), RFC 7798 (H.265), RFC 3640 (AAC), RFC 3551 (G.711), RFC 7587 (Opus),
 * ONVIF Streaming Specification 5.1.2 (metadata).
 *
 *   depay_new -> depay_feed for each packet, in order -> out.unit, out.changed while feeding
 *             -> depay_detach before the memory of the packets is used again
 *
 * Copy rule: pieces of an access unit point into the packets where these lie. depay_detach copies what
 * belongs to an unfinished unit into the depacketiser's own memory, DEPAY_UNIT_MAX at most, allocated when
 * needed. Video: a unit is handed out when its marker comes, once the stream has shown that its markers are
 * true (V1, V3); until then, and for streams whose markers lie, when the next picture begins. Units before
 * the first key frame with its parameter sets are dropped silently (V18). Quirks (V1 to V18, A1, A2, A6, A7,
 * A9 of the camera list) are named in the .c files and in tests/unit/worker/test_*_depay.c; fuzz_h264_depay,
 * fuzz_h265_depay, fuzz_aac_depay. */
#ifndef WORKER_DEPAY_H
#define WORKER_DEPAY_H

#include "common/media/frame.h"
#include "common/media/track.h"

#define DEPAY_UNIT_MAX     (8u << 20) /* bytes of one access unit; what is longer is dropped and counted */
#define DEPAY_DOCUMENT_MAX (1u << 20) /* bytes of one metadata document (A9) */

/* Conditions (positive). */
enum {
    DEPAY_OK = 0,
    DEPAY_E_CODEC = 1 /* none of ours */,
    DEPAY_E_MODE = 2 /* interleaved mode: refused (V7) */
};

struct depay_packet {
    struct span payload; /* without header, extensions and padding */
    uint32_t timestamp;
    bool marker;
    bool lost;               /* packets between the last one fed and this one are missing */
    usec_t mono_us, wall_us; /* when it was read */
};

struct depay_unit {
    uint32_t timestamp;      /* RTP, of the packet that its first picture or block came in */
    uint32_t offset;         /* ticks behind it: second and later blocks of one packet (T12) */
    uint32_t dur;            /* ticks, audio; 0: not known */
    uint16_t flags;          /* FRAME_KEY, FRAME_NOT_IDR, FRAME_DAMAGED */
    int8_t reorder;          /* pictures decoded before and shown after another, by its SPS; -1: not stated */
    bool backward;           /* shown before a picture that was decoded earlier, by its picture order count */
    usec_t mono_us, wall_us; /* of its last packet */
    const struct piece *pieces; /* valid during the call */
    size_t pieces_n;
    size_t bytes; /* of the frame they make, NAL lengths counted */
};

struct depay_out {
    void (*unit)(void *arg, const struct depay_unit *u);
    /* The description (depay_track) became complete, or changed so that players must know; before the first
     * unit that needs it. */
    void (*changed)(void *arg);
    void *arg;
};

/* What the session description says. fmtp: text behind "a=fmtp:96 ", may be empty; only a hint for parameter
 * sets (S13). name: encoding name of rtpmap. The spans need to live during depay_new only. */
struct depay_media {
    enum codec codec;
    uint32_t clock_hz; /* 0: the codec's usual */
    uint16_t channels; /* 0: not stated */
    struct span name;
    struct span fmtp;
};

struct depay_counters {
    uint64_t units, damaged; /* handed out; of these damaged */
    uint64_t dropped; /* units not handed out: before the first key frame, without a picture, too large */
    uint64_t bad;     /* payloads or NAL units that make no sense */
    uint64_t annexb;  /* start codes found inside RTP (V6) */
    uint64_t markers_false; /* markers inside a picture (V2, V3) */
    uint64_t changes;       /* of the description */
};

struct depay;

/* DEPAY_OK, DEPAY_E_CODEC, DEPAY_E_MODE. `out` is copied. */
int depay_new(const struct depay_media *m, const struct depay_out *out, struct depay **ret);
void depay_free(struct depay *d); /* NULL is fine; drops an unfinished unit */
void depay_feed(struct depay *d, const struct depay_packet *p);
void depay_detach(struct depay *d);
/* Nothing more belongs to the unit at hand (silence, end of the session): hands it out if it has a picture.
 */
void depay_flush(struct depay *d);
/* A new run begins (SSRC change, reconnect): forgets the unfinished unit and what was learnt about markers;
 * keeps parameter sets; video waits for a key frame. */
void depay_reset(struct depay *d);
/* false: not complete yet (no parameter sets). *ret is filled as far as known. */
bool depay_track(const struct depay *d, struct track *ret);
const struct depay_counters *depay_counters(const struct depay *d);

#endif
