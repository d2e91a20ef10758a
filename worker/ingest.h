/* From packets to frames in the ring: for each track RTP, order, depacketiser, then the stream's timeline,
 * then ring_put. Lives as long as the worker; a session gives it its tracks (ingest_tracks) and its packets.
 * RTCP of both directions too. No I/O but the ring. Tests: tests/unit/worker/test_ingest.c,
 * tests/e2e/test_worker.py. */
#ifndef WORKER_INGEST_H
#define WORKER_INGEST_H

#include "common/ring/ring.h"
#include "worker/measure.h"
#include "worker/rtsp_client.h"
#include "worker/watch.h"

#define INGEST_REPORT_US (5 * US_PER_S) /* receiver reports (K2) */
#define INGEST_WAIT_US                                                                                       \
    (10 * US_PER_S) /* other tracks wait so long for the video track to be described (K13) */

struct ingest;
struct ingest_ops {
    void (*rtcp)(void *arg, uint8_t track, struct span compound); /* to be sent to the camera */
    void (*invalid)(void *arg, uint32_t packets); /* so many bad packets in a row: once a session */
    /* A metadata document came; valid during the call. NULL: nobody reads them. */
    void (*document)(void *arg, unsigned track, const struct piece *pieces, size_t n, usec_t wall_us);
    void *arg;
};

struct ingest *ingest_new(const struct ingest_ops *ops);
void ingest_invalid_after(struct ingest *in, uint32_t packets); /* 0: never */
/* Kinds of track (1 << TRACK_VIDEO...) that go into the ring; others are only read. */
void ingest_keep(struct ingest *in, unsigned kinds);
void ingest_free(struct ingest *in);
/* Where frames go from now on; the caller keeps it. */
void ingest_ring(struct ingest *in, struct ring_writer *w);

/* A session begins: its tracks, in the order the session numbers them. */
void ingest_tracks(struct ingest *in, const struct rtsp_track *tracks, size_t n, usec_t mono_us);
void ingest_hints(struct ingest *in, const struct rtsp_track *tracks, size_t n);
void ingest_end(struct ingest *in); /* hands on what waits, forgets the session's tracks */

/* The time that counts for all packets until the next call. */
void ingest_now(struct ingest *in, usec_t mono_us, usec_t wall_us);
void ingest_packet(struct ingest *in, uint8_t track, bool rtcp, struct span packet);
/* Something broken that others saw: counted in the ring's status, logged once a minute a kind. n may be 0. */
void ingest_fault(struct ingest *in, enum ring_fault f, unsigned track, uint64_t n);
void ingest_detach(struct ingest *in); /* the memory of the packets will be used again */
/* What is due: packets that waited too long, reports. Then counters go to the ring's status. */
void ingest_tick(struct ingest *in);
usec_t ingest_due(const struct ingest *in); /* packets that wait, 0: none; reports may come later */

struct ingest_view {
    uint64_t next_seq;     /* frames put since the start, to see whether any came */
    usec_t key_us;         /* monotonic, of this session's last frame that a player may start at; 0: none */
    usec_t first_frame_us; /* of this session; 0: none */
    usec_t unit_us;        /* of the track that decides whether the stream lives; 0: nothing yet */
    bool silent;           /* that track has been silent for too long (K11, K13) */
    bool starving; /* it is alive, but there was no key frame yet, for 10 s or twice the longest GOP (K14) */
    uint64_t dropped_large;
};
struct ingest_view ingest_view(const struct ingest *in);
usec_t ingest_silent_at(
    const struct ingest *in); /* when the watched track will have been silent too long; 0: never */
/* Camera's clock minus ours, as this session's reports say. false: they say nothing. */
bool ingest_camera_clock(const struct ingest *in, usec_t *ret_us);
const struct measure *ingest_measure(const struct ingest *in);

#endif
