/* A stream of the simulated camera: what it sends, how, what it counted. Streams of one group share their
 * sources and start with the same knobs. Known by name: "cam3" of group "cam"; "cam" alone is "cam0". */
#ifndef CAMERA_STREAM_H
#define CAMERA_STREAM_H

#include "tests/camera/knobs.h"
#include "tests/camera/packet.h"

#define STREAM_TRACKS   4
#define STREAM_NAME_MAX 64
#define NONCE_MAX       40

/* Of one stream, or summed up. One list for the struct, the sum and the JSON. */
/* clang-format off */
#define STREAM_COUNTERS(C) \
    C(connections) C(requests) C(options) C(describes) C(setups) C(plays) C(teardowns) C(keepalives) \
    C(refused_login) C(refused_full) C(sessions_opened) C(sessions_expired) C(sessions_cut) C(rtcp_rr) C(rtcp_bad) \
    C(frames_sent) C(frames_dropped) C(packets_sent) C(packets_lost) C(bytes_sent) C(sends) C(udp_errors)
/* clang-format on */

struct stream_counters {
#define C(name) uint64_t name;
    STREAM_COUNTERS(C)
#undef C
};

struct stream {
    char name[STREAM_NAME_MAX];
    unsigned index;          /* over all streams: spreads phases and GOPs */
    struct knobs k, k_start; /* as they are, and were at the start */
    const struct source *source[STREAM_TRACKS];
    unsigned n_tracks;
    usec_t epoch_us; /* its clock's zero: frame n of a track is due at epoch + n * frame time */
    struct stream_counters c;
    char nonce[NONCE_MAX]; /* the newest of its connections */
    uint32_t sessions, sessions_max;
    unsigned version;        /* counts up with every change of the knobs */
    usec_t playing_since_us; /* first PLAY that was answered */
    uint32_t late_max_us;
};

struct stream_group {
    const char *name;
    unsigned count;
    unsigned fps_milli;
    struct knobs k;
    const char *files[STREAM_TRACKS];
    unsigned n_files;
};

void streams_add(const struct stream_group *g);
size_t streams_n(void);
struct stream *stream_at(size_t i);
/* By its name, or by a URL path with or without tracks and query behind it; NULL. */
struct stream *stream_by_name(struct span name);
struct stream *stream_by_path(struct span path);
void streams_free(void);
void stream_reset(struct stream *s); /* counters and knobs as at the start */
void stream_session_opened(struct stream *s);
void stream_session_closed(struct stream *s);

/* The pack of a track by the knobs as they stand. */
const struct pack *stream_pack(const struct stream *s, unsigned track);
uint8_t stream_pt(const struct stream *s, unsigned track);

/* Time of frame n of a pack, counted over loops: from the stream's zero, decode order. */
usec_t pack_due_us(const struct pack *p, uint64_t n);
/* RTP ticks of frame n, presentation order. */
int64_t pack_ticks(const struct pack *p, uint64_t n);

void stream_json(struct buf *to, const struct stream *s);
void streams_sum_json(struct buf *to, usec_t now_us);

#endif
