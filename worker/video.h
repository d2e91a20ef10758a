/* What H.264 and H.265 share: NAL units become access units. A codec's depacketiser takes its payload formats
 * apart and calls video_nal, video_items or video_fu; its table of functions says what a NAL unit is.
 *
 * Where a unit ends: at a change of timestamp, at its marker once markers have proved true, or where a slice
 * belongs to another picture. NAL units that come before the first slice belong to the picture behind them,
 * whatever their timestamp and marker (V2). Markers are on trial at first: a unit with a marker is held until
 * the next packet shows whether it went on (V3). The first slice of another picture behind a marker: markers
 * are believed from then on. A slice of the same picture: they are not, until depay_reset. Annex B inside RTP
 * (V6): NAL units that are no slices are always searched for start codes (they are short); slices only until
 * the first key frame is out, and for good once a start code was found in the stream. */
#ifndef WORKER_VIDEO_H
#define WORKER_VIDEO_H

#include "common/base/rd.h"
#include "common/media/params.h"
#include "worker/depay_impl.h"
#include "worker/gather.h"

enum video_class {
    VIDEO_BAD,  /* counted and dropped */
    VIDEO_DROP, /* filler, extensions: dropped */
    VIDEO_SLICE,
    VIDEO_PARAMS,  /* goes to the store, not into the frame */
    VIDEO_SEI,     /* before its picture */
    VIDEO_SUFFIX,  /* behind its picture */
    VIDEO_BOUNDARY /* access unit delimiter, end of sequence: dropped, says that a picture ended */
};

/* What the beginning of a slice says. */
struct video_slice {
    bool first;   /* of its picture, as far as its own header says */
    bool told;    /* `other` is reliable */
    bool other;   /* another picture than the slice before */
    bool missing; /* its parameter sets are not there */
    bool fresh;   /* its parameter sets are not what the description handed out says */
    bool key, idr, intra;
    bool has_poc;
    int32_t poc;
    int8_t reorder;
};

/* What an SEI says of recovery: at some later picture; at this one, more or less; at this one, exactly (V14).
 */
enum video_recovery { RECOVERY_NONE, RECOVERY_LATER, RECOVERY_HERE, RECOVERY_EXACT };

struct video;
struct video_codec {
    uint8_t head_n; /* bytes of a NAL unit's header */
    enum video_class (*classify)(const uint8_t *head);
    void (*slice)(struct video *v, struct span begin, struct video_slice *ret);
    int (*params_put)(struct params *s, struct span nal);
    bool (*config)(struct wr *w, const struct params *s, enum params_pick pick);
    /* Fills size and so on from the sets in use. */
    void (*describe)(const struct video *v, struct track *t);
    enum video_recovery (*recovery)(struct span nal);
    uint8_t kinds[3]; /* NAL unit types of parameter sets in the order they must stand, 0: none */
};

enum video_marker { MARKER_TRIAL, MARKER_TRUE, MARKER_FALSE };

/* The unit at hand. */
struct video_unit {
    bool slices;  /* has a picture */
    bool lost;    /* packets of it are missing */
    bool missing; /* parameter sets are missing */
    bool fresh;   /* needs a new description */
    bool key, idr, intra;
    enum video_recovery recovery;
    uint32_t slices_n; /* whole ones */
    bool held;         /* its marker came while markers are on trial */
    bool cut;          /* over a limit */
    bool boundary;     /* pieces from `behind` on belong to the next unit */
    bool backward;
    int8_t reorder;
    uint32_t timestamp;
    uint32_t behind; /* pieces up to the last slice */
};

struct video {
    struct depay base;
    const struct video_codec *codec;
    struct gather g;
    struct params params;
    struct video_unit u;
    enum video_marker marker;
    enum video_class fu; /* class of the fragmented NAL unit at hand */
    bool in_fu;
    uint32_t fu_at; /* its first piece */
    bool synced;    /* a key frame was handed out */
    bool broken;    /* pictures refer to what was lost */
    bool soft_keys; /* the stream has no key frames: recovery points and intra pictures stand in (V14) */
    bool annexb;    /* start codes were seen */
    enum video_recovery next_recovery; /* of the unit behind the one at hand */
    bool handed; /* `last` is the timestamp of the unit handed out last, by its marker */
    uint32_t last;
    int32_t poc_max;
    bool has_poc_max;
    usec_t mono_us, wall_us; /* of the packet at hand */
    usec_t waiting_us;       /* since when there are pictures and no key frame; 0: not waiting */
    /* Parameter sets that change all the time are put into the frames (V8). */
    bool inband;
    unsigned flips;
    usec_t flips_us;
    bool ready; /* track is complete */
    struct track track;
};

void video_init(struct video *v, const struct video_codec *codec);
/* A parameter set from the session description. */
void video_hint(struct video *v, struct span nal);
void video_nal(struct video *v, struct span nal);
/* NAL units behind their sizes of 16 bits; `between` bytes before each but the first. */
void video_items(struct video *v, struct rd items, size_t between);
/* A fragment: header of its NAL unit, the bits that say start and end, bytes. */
#define VIDEO_FU_START 0x80
#define VIDEO_FU_END   0x40
void video_fu(struct video *v, const uint8_t *head, uint8_t bits, struct span body);
void video_fu_begin(struct video *v, const uint8_t *head, struct span s);
void video_fu_end(struct video *v);
static inline void video_bad(struct video *v)
{
    v->base.c.bad++;
}

/* Rows of depay_ops. */
void video_done(struct depay *d);
bool video_detach(struct depay *d);
void video_flush(struct depay *d);
void video_reset(struct depay *d);
bool video_track(const struct depay *d, struct track *ret);
/* Around a codec's own reading of the payload. */
void video_packet_begin(struct video *v, const struct depay_packet *p);
void video_packet_end(struct video *v, const struct depay_packet *p);

#endif
