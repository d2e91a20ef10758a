/* A stream as its home hub knows it: what the master said of it (VIEW), its ring, demand page and eventfds
 * (VIEW_RING), and the follower that exists only while somebody watches.
 * All of it belongs to the hub's thread. Tests: tests/unit/httpd/test_live.c. */
#ifndef HTTPD_STREAM_H
#define HTTPD_STREAM_H

#include "common/base/log.h"
#include "common/media/ts.h"
#include "common/ring/ring.h"
#include "httpd/access.h"
#include "httpd/hub.h"

#define STREAM_NAME_MAX    256
#define STREAM_ARCHIVE_MAX 512
#define STREAM_REASON_MAX  160
#define STREAM_HOST_MAX    256
#define STREAM_NODES_MAX   16
#define STREAM_CAMERA_MAX  128

struct camera_entry;
struct follow;
struct rtsp_live;
struct chunk;

/* What the master says; a message between threads. Its whitelist is the stream's in the end. */
struct view {
    char uid[RING_UID_MAX + 1];
    char name[STREAM_NAME_MAX];
    char camera[STREAM_CAMERA_MAX];   /* camera-uid; "": none, or too long */
    bool sub;                         /* stream-profile: not its main stream */
    char archive[STREAM_ARCHIVE_MAX]; /* dvr-archive: names or paths of storages, with weights */
    char state[32];                   /* decided by the master: "disabled", "down"; "" otherwise */
    char reason[STREAM_REASON_MAX];
    char elsewhere[STREAM_HOST_MAX];  /* host of the node that viewers are sent to; "": none */
    uint16_t nodes[STREAM_NODES_MAX]; /* of the cluster, that may have footage of it; ... */
    unsigned n_nodes;                 /* ... 0: any */
    struct access_rule rule;
    bool on_demand, record;
    unsigned limit; /* viewers; 0: no limit */
};
struct view_ring {
    char uid[RING_UID_MAX + 1];
    uint32_t gen;
    int ring_fd, demand_fd, frame_event_fd, demand_event_fd;
};

/* Who follows the ring live. */
enum demand_road { DEMAND_FOLLOW, DEMAND_RTSP, DEMAND_ROADS };

struct stream {
    struct hub *hub;
    struct view v;
    bool has_ring;
    struct view_ring ring;
    const struct ring_status *status; /* mapped, NULL without a ring */
    struct demand *demand;
    uint32_t follows[DEMAND_ROADS],
        paces_us[DEMAND_ROADS]; /* how many, and how long frames may wait for them */
    bool followed;
    struct follow *follow;       /* NULL: nobody watches */
    struct camera_entry *camera; /* NULL: of no camera */
    struct rtsp_live *rtsp;      /* NULL: nobody has watched over RTSP yet */
    struct list anyone;          /* struct access_hold of what everybody may */
    unsigned viewers;            /* that count against the limit */
    struct list waiting;         /* requests: for a ring, a picture, a segment */
    struct list parts;           /* the same, for the next part or segment of low-latency HLS */
    /* These outlive a follower: numbers of HLS never go back. */
    uint64_t next_msn, discont_seq;
    struct ts_run ts;          /* nor do counters of MPEG-TS jump */
    struct log_rate ring_rate; /* of what is said of its ring */
    /* One picture for everybody who asks for a preview. */
    struct chunk *preview;
    uint64_t preview_seq;
    usec_t preview_wall_us;
};

struct stream *stream_get(struct hub *hub, struct span uid); /* NULL: not known */
/* Run in the home hub; both own their argument (hub_post). */
void stream_view(struct hub *hub, void *view);
void stream_ring(struct hub *hub, void *view_ring); /* takes the descriptors */
void stream_gone(struct hub *hub, void *uid);
void streams_done(struct hub *hub);

struct stream_now {
    enum stream_state state;
    char reason[RING_REASON_MAX];
    usec_t since_us;
};
/* The master's word where it has decided, else what the worker says in the ring. */
void stream_now(const struct stream *s, struct stream_now *ret);
/* Does waiting for a picture make sense? In the other states it was said why there is none. */
bool stream_may_come(const struct stream *s);

/* Tells the worker how many follow on this road: then it signals every frame, and connects on demand.
 * pace_us: frames may wait so long for each other, as far as those of the other roads can wait too; 0: each
 * at once. */
void stream_demand(struct stream *s, enum demand_road road, uint32_t n, uint32_t pace_us);
/* Each frame told of wakes a worker and this hub: a hub that follows many streams lets their frames wait for
 * each other, a little for each stream above STREAM_PACE_FROM, and then looks at all of them together
 * (cursor.h). */
#define STREAM_PACE_FROM    16
#define STREAM_PACE_EACH_US (2 * US_PER_MS)
#define STREAM_PACE_MOST_US (200 * US_PER_MS)
/* Every second: tells the workers of another pace. */
void streams_pace(struct hub *hub);

#endif
