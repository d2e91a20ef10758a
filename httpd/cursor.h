/* A place in a stream's ring that moves on with its frames while somebody watches. Each frame that is wanted
 * is copied out once, into a chunk or into memory that all cursors of a hub use in turn. A ring that is bad
 * is left and opened again, with growing pauses; a frame for which there is no memory counts as lost. The
 * owner is follow.h or rtsp_live.h. Tests: tests/unit/httpd/test_follow.c. */
#ifndef HTTPD_CURSOR_H
#define HTTPD_CURSOR_H

#include "common/net/conn.h"
#include "httpd/stream.h"

struct cursor_ops {
    /* Of a frame without its bytes. RING_OK: they are wanted. RING_E_GEN: passed over. RING_E_AGAIN: it is
     * not known yet; asked again. */
    int (*want)(void *arg, const struct frame *f);
    /* Takes data. With `borrowed` it is NULL, and f->data holds the bytes until the call returns. */
    void (*frame)(void *arg, const struct frame *f, struct chunk *data);
    void (*broken)(void *arg); /* footage is missing from here on: only a key frame is of use */
    void (*turned)(void *arg); /* what was there for this turn was taken */
    bool borrowed;
    bool newest; /* begins at the newest key frame, not at the oldest fresh one */
};

struct cursor {
    struct list link; /* hub->cursors */
    struct stream *s;
    const struct cursor_ops *ops;
    void *arg;
    struct ring_reader *ring; /* NULL: it was bad */
    uint64_t next;
    bool caught_up; /* everything in the ring was taken, at least once */
    bool placed;    /* next is set */
    struct loop_io io;
    struct loop_timer poll;
    usec_t reopen_us, backoff_us; /* when a ring that was bad is tried again; 0: it is good */
    usec_t bad_us;                /* when it was bad last */
    size_t turn_bytes;
};

/* Begins at a fresh key frame (fresh.h), at once: calls the owner's functions. */
void cursor_start(struct cursor *c, struct stream *s, const struct cursor_ops *ops, void *arg);
void cursor_stop(struct cursor *c);
/* A hub that follows many streams looks at all of them at once, so often; their workers then tell nobody of
 * each frame (demand.pace_us). One that follows few is woken by each. */
#define CURSORS_PULL_US (40 * US_PER_MS)
void cursors_pull_together(struct hub *hub, bool together);
/* The stream has another ring. Its worker has copied what the old one held: frame numbers run on. */
void cursor_new_ring(struct cursor *c);

#endif
