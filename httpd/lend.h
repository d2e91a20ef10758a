/* An answer that a storage's pool writes: its threads have the connection (conn_lend), turn by turn, and the
 * hub does not touch it; when the client takes no more it comes back and is waited for, so that a slow client
 * holds no thread. Before the first byte a disk that hangs costs the client ARCHIVE_LATE_US and an error,
 * not the connection. Used by archive_play.c and archive_send.c. Tests: tests/unit/httpd/test_archive.c,
 * tests/unit/httpd/test_archive_mp4.c. */
#ifndef HTTPD_LEND_H
#define HTTPD_LEND_H

#include <stdatomic.h>

#include "httpd/http.h"
#include "common/net/pool.h"

#define LEND_TURN (4u << 20) /* bytes, then the next job of this storage */

struct lent;
struct lent_ops {
    /* In the pool, at the begin of each turn. 0 or -errno. */
    int (*open)(struct lent *l);
    /* In the pool: bytes written to l->conn (conn_lent_send, conn_lent_file), without waiting for the client,
     * or -errno. 0: nothing more in this turn, since l->pool is another now. */
    ssize_t (*write)(struct lent *l);
    /* In the hub: open failed with l->err, and nothing has been sent. l is its owner's again, who answers. */
    void (*refused)(struct http *h, struct lent *l);
    void (*free)(struct lent *l);
};
struct lent {
    struct job job;
    struct http *h; /* NULL: the connection has gone, or was answered */
    const struct lent_ops *ops;
    struct pool *pool; /* of the next turn */
    struct conn *conn;
    int err;              /* of the turn: 0 or -errno */
    uint64_t total, done; /* bytes to send, and sent */
    uint64_t sent;        /* by the last turn */
    bool blocked, unopened;
    _Atomic bool claimed; /* the connection is the pool's to write to, or the hub has taken it back */
};
/* l->ops, pool, job.loop, total are set, the rest is zero. The request is done with when all is sent. */
void lend_start(struct http *h, struct lent *l);
/* 503: too many wait for this storage; or it does not answer. */
void lend_refuse_busy(struct http *h);
void lend_refuse_late(struct http *h);

#endif
