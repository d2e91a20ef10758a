/* What the files of conn share: the connection itself, and the table of what carries its bytes. conn.c is its
 * life, conn_read.c and conn_write.c the two directions, conn_plain.c and conn_tls.c what carries the
 * bytes. */
#ifndef NET_CONN_IMPL_H
#define NET_CONN_IMPL_H

#include "common/base/buf.h"
#include "common/net/conn.h"

struct conn_transport {
    /* At most `cap` bytes that came. Their number, 0 at the peer's end, or -errno (-EAGAIN: none now). */
    ssize_t (*read)(struct conn *c, uint8_t *p, size_t cap);
    /* Are there bytes that the socket does not show any more? NULL: never. */
    bool (*pending)(const struct conn *c);
    /* Takes bytes from the front of the queue, which is not empty; whoever called drops them. Their number,
     * or -errno (-EAGAIN: none now). */
    ssize_t (*write)(struct conn *c);
    /* For another thread, while the connection is lent to it: conn_lent_send, conn_lent_file. */
    ssize_t (*lent_send)(struct conn *c, struct span bytes, bool more);
    ssize_t (*lent_file)(struct conn *c, int fd, uint64_t at, size_t n);
    void (*lent_end)(struct conn *c); /* in the loop again; NULL: nothing is to be done then */
    /* Of one without a descriptor, all or none: it is on its loop; it waits for these events, as the loop
     * would tell them (conn_ready), 0: for none; it leaves for another loop, where it starts again. */
    void (*start)(struct conn *c);
    void (*watch)(struct conn *c, unsigned events);
    void (*leave)(struct conn *c);
    /* Nothing is written any more. false: the peer's end need not be waited for. */
    bool (*half_close)(struct conn *c);
    void (*cut)(struct conn *c); /* another thread has the connection: its next write fails */
    void (*close)(int fd, void *with);
};
extern const struct conn_transport conn_plain, conn_tls;

struct piece {
    struct chunk *chunk;
    size_t from, n;
};

enum conn_state {
    CONN_OPEN,
    CONN_DRAINING /* sends what is queued, then ends */,
    CONN_LINGERING,
    CONN_CLOSED
};

struct conn {
    struct loop *loop;
    const struct conn_transport *t;
    void *with; /* the transport's */
    const struct conn_ops *ops;
    struct conn_limits limits;
    void *arg;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task task; /* end of the turn: write, offer, close */
    usec_t armed_us;       /* when the timer fires; 0: not armed */
    usec_t active_us;      /* last read, or last byte that the peer took */
    usec_t stuck_us;       /* since when the peer has taken nothing of what waits; 0: nothing waits */
    int fd, err;
    enum conn_state state;
    bool tls, paused, mind_end, offer, lent, want_write, was_high, write_wait, progress, eof;
    struct buf in;
    struct piece *queue; /* a ring of cap_queue pieces */
    size_t first, n_queue, cap_queue;
    size_t queued;
    uint64_t bytes_out;
    uint64_t lent_out; /* by whom it is lent to, in this turn */
    struct sockaddr_storage peer;
    struct loop *to; /* moves there at the end of the turn */
    void (*arrived)(struct conn *c);
};

/* conn.c */
void conn_later(struct conn *c);  /* looked at again at the end of this turn */
void conn_watch(struct conn *c);  /* the socket is watched for what is wanted now */
void conn_active(struct conn *c); /* bytes have passed */
void conn_stuck(struct conn *c, bool is);
void conn_ready(struct conn *c, unsigned events);
void conn_linger(struct conn *c); /* all is sent: waits for the peer's end */

/* conn_read.c */
bool conn_wants_read(const struct conn *c);
void conn_read(struct conn *c);
void conn_offer(struct conn *c); /* what is kept, to on_data */

/* conn_write.c */
struct piece *conn_piece(const struct conn *c, size_t i);
void conn_write(struct conn *c); /* the queue, and what follows from its being shorter */
void conn_after_write(struct conn *c);
void conn_drop_queue(struct conn *c);

#endif
