/* The frame ring of one stream as the master keeps it: memory, demand page and the two eventfds, over all
 * lives of its worker. A larger ring is handed to the worker first; readers follow when the worker says that
 * it moved. */
#ifndef MASTER_STREAM_RING_H
#define MASTER_STREAM_RING_H

#include "common/ipc/channel.h"
#include "common/ring/ring.h"

#define STREAM_RING_FIRST_BYTES  (1u << 20)
#define STREAM_RING_FIRST_FRAMES 512

struct ring_one {
    int fd; /* -1: none */
    uint32_t gen;
    struct ring_geom geom;
    const struct ring_status *status;
};
struct stream_ring {
    struct ring_one now, next; /* next: made, and not yet moved into */
    int demand, new_frame, new_demand;
    uint32_t last_gen;
};

void stream_ring_init(struct stream_ring *r);
void stream_ring_done(struct stream_ring *r);
/* Makes the first ring when there is none. 0 or -errno. */
int stream_ring_open(struct stream_ring *r, const char *uid, uint64_t settings_hash);
/* RING_WANT: only ever larger, within max_bytes. 1: there is a next one to hand out; 0: nothing to do;
 * -errno. */
int stream_ring_grow(struct stream_ring *r, const char *uid, uint64_t settings_hash, uint64_t bytes,
    uint64_t frames, uint32_t max_bytes);
/* RING_MOVED: true when readers have to follow. */
bool stream_ring_moved(struct stream_ring *r, uint32_t gen);
/* The worker that had `next` is gone, and did not move. */
void stream_ring_forget_next(struct stream_ring *r);

/* httpd is gone: whoever it said follows or wants this stream does not any more. */
void stream_ring_no_viewers(struct stream_ring *r);
/* Viewers that follow it live, as httpd says. */
uint32_t stream_ring_viewers(const struct stream_ring *r);

/* RING to the worker (which: now or next), VIEW_RING to httpd. */
void stream_ring_send(const struct stream_ring *r, const struct ring_one *which, struct channel *worker);
void stream_ring_show(const struct stream_ring *r, const char *uid, struct channel *httpd);

#endif
