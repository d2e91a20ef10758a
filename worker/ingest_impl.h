/* What ingest.c (packets to frames) and ingest_session.c (which tracks) share. */
#ifndef WORKER_INGEST_IMPL_H
#define WORKER_INGEST_IMPL_H

#include "common/base/log.h"
#include "common/media/timeline.h"
#include "worker/depay.h"
#include "worker/ingest.h"
#include "worker/rtp_order.h"

/* Kinds of complaint: the faults of ring.h, and what no peer does wrong. */
enum complaint { LOST_PACKETS = FAULTS, TIME_REPAIRS, LARGE_FRAMES, COMPLAINTS };

/* Another codec that the session description allows on this track (S12). */
struct alternative {
    uint8_t pt;
    struct depay_media media;
    char *fmtp, *name; /* what media points to */
};

struct ingest_track {
    struct ingest *in;
    uint8_t index; /* the session's number, and the timeline's */
    enum track_kind kind;
    bool wanted, udp;
    struct rtp_order *order;
    struct depay *depay; /* NULL: the codec is none of ours */
    int pt;              /* that depay was made for */
    uint32_t clock_hz;
    struct alternative alt[SDP_FORMATS_MAX];
    size_t n_alt;
    int8_t ring_track; /* -1: not described in the ring */
    bool new_run;
    bool hole; /* a frame did not fit the ring: what follows refers to it */
    struct watch watch;
    uint64_t sr_ntp;
    usec_t sr_us;
    struct rtp_order_counters said; /* what the status has of our counters */
    struct depay_counters units_said;
};

struct ingest {
    struct ingest_ops ops;
    struct ring_writer *ring;
    unsigned keep; /* kinds of track that go there */
    struct timeline *timeline;
    struct measure measure;
    struct ingest_track track[RTSP_CLIENT_TRACKS_MAX];
    size_t n;
    enum track_kind timeline_kind[TRACK_MAX];
    uint32_t timeline_hz[TRACK_MAX];
    bool anchored; /* the timeline has had a session */
    bool describe; /* tracks have to be described anew before the next frame */
    usec_t mono_us, wall_us;
    struct span packet; /* that came just now; what lies elsewhere was held, and goes when it was handed on */
    usec_t session_us;
    usec_t report_us; /* next reports */
    uint32_t ssrc;    /* ours */
    uint32_t invalid_after, bad_row;
    bool told_invalid;
    struct ingest_view view;
    uint64_t repairs_said;
    struct log_rate rate[COMPLAINTS];
};

/* A depacketiser for what the packets of that type hold; t->depay is NULL where it is none of ours. */
void ingest_make_depay(struct ingest_track *t, const struct depay_media *m, int pt);
const struct alternative *ingest_alternative(const struct ingest_track *t, int pt);
/* Does the track decide whether the stream lives? Video, audio where there is none; data never (A9). */
bool ingest_decides(const struct ingest *in, const struct ingest_track *t);
void ingest_on_packet(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run);
void ingest_tell_counters(struct ingest *in, struct ingest_track *t);

#endif
