/* A byte stream connection on a loop: reads into a bounded buffer, writes from a queue of shared chunks.
 * TCP or Unix as it is, or TLS (tls.h): one face. Used by httpd's servers; the worker reads its camera
 * itself.
 *
 * on_data gets all unread bytes and returns how many it took (what it leaves is offered again with more).
 * on_sent is called when the queue falls below the low mark after having been above it, and when it is empty.
 * on_close is called once, not from within a call into conn; afterwards the conn is freed. err 0: the peer
 * closed. Tests: tests/unit/net/test_conn.c. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/span.h"
#include "common/net/chunk.h"
#include "common/net/loop.h"

struct conn;
struct conn_ops {
    size_t (*on_data)(struct conn *c, struct span data);
    void (*on_sent)(struct conn *c);
    void (*on_close)(struct conn *c, int err);
};
struct conn_limits {
    size_t read_max;   /* unread bytes kept; reading stops above */
    size_t queue_high; /* conn_congested() above this */
    usec_t idle_us;    /* nothing read and nothing to write for so long: closed. 0: never */
    usec_t stall_us;   /* bytes queued and none accepted by the peer for so long: closed */
};

/* What carries the bytes; conn_new_on takes it. */
struct conn_transport;
struct conn_over {
    const struct conn_transport *t;
    int fd; /* -1: none, another part of this process carries it (pipe.h) */
    void *with;
    bool tls;
    const struct sockaddr_storage *peer; /* NULL: the descriptor's */
};
struct tls;
struct conn_over conn_over_fd(int fd);
struct conn_over conn_over_tls(struct tls *t); /* after its handshake (tls.h) */
void conn_over_close(struct conn_over *over);  /* of one that is not taken */

struct conn *conn_new_on(struct loop *l, struct conn_over over, const struct conn_ops *ops,
    const struct conn_limits *limits, void *arg);
/* On a socket as it is. */
struct conn *conn_new(
    struct loop *l, int fd, const struct conn_ops *ops, const struct conn_limits *limits, void *arg);
bool conn_is_tls(const struct conn *c);
void *conn_arg(struct conn *c);
struct loop *conn_loop(struct conn *c);
const struct sockaddr_storage *conn_peer(const struct conn *c);
/* Did a proxy say who the peer is? What goes past this connection does not reach him. */
bool conn_is_relayed(const struct conn *c);
/* Our end of it. false: it has no address. */
bool conn_local(const struct conn *c, struct sockaddr_storage *ret);

/* In on_data: the connection is another's from here on. What on_data does not take is offered to him. */
void conn_hand_over(struct conn *c, const struct conn_ops *ops, const struct conn_limits *limits, void *arg);

/* Queue. The chunk is referenced, the span copied. Nothing is reported here: errors come by on_close. */
void conn_send(struct conn *c, struct span bytes);
void conn_send_chunk(struct conn *c, struct chunk *chunk, size_t from, size_t n);
void conn_flush(struct conn *c); /* tries to write now, not at the end of the turn */
size_t conn_queued(const struct conn *c);
bool conn_congested(const struct conn *c);
uint64_t conn_bytes_out(const struct conn *c);
/* Low latency: what waits, waits here, where conn_queued sees it, and not in the kernel's buffers. */
void conn_prompt(struct conn *c);

/* Stop and go on with on_data: a request at a time, while an answer is being made. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* While paused: is the peer's end noticed? What it sends before is kept, up to read_max. An end closes the
 * connection, once the queue is sent. */
void conn_mind_end(struct conn *c, bool mind);
/* Lends the connection for writing by another thread, while the queue is empty: until conn_lend_end it
 * neither reads nor writes by itself, nor is it freed. conn_wait_writable: calls on_sent once when the peer
 * takes bytes again, or when the conn was closed meanwhile: then the next write fails. */
void conn_lend(struct conn *c);
void conn_lend_end(struct conn *c);
void conn_wait_writable(struct conn *c);
/* In the thread that it is lent to, without waiting for the peer: bytes taken, or -errno (-EAGAIN: no more
 * for now; what was refused is to be offered again, the same bytes first). `more`: other bytes follow at
 * once. Of a file at `at`, by the cheapest road there is (sendfile); 0: the file ends there. */
ssize_t conn_lent_send(struct conn *c, struct span bytes, bool more);
ssize_t conn_lent_file(struct conn *c, int fd, uint64_t at, size_t n);

void conn_close_after_send(struct conn *c); /* flushes, half-closes, waits shortly for the peer */
void conn_close(struct conn *c, int err);
/* Moves to another loop at the end of this turn; fn(conn) runs there. The caller must not touch it
 * afterwards. Queue must be empty. One that is closing stays: on_close comes instead. */
void conn_migrate(struct conn *c, struct loop *to, void (*fn)(struct conn *c));

#endif
