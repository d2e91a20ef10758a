/* A pipe inside the process: a conn at one end, which may live on any loop and move, and at the other an
 * owner on a loop of its own, who gives it bytes and passes its bytes on. Flow is bounded both ways: of the
 * conn's bytes at most `ahead` are on the way, until the owner says that they are passed on; the owner bounds
 * what it gives by what is said to be taken. Streams of HTTP/2 are such pipes (httpd/h2_conn.c).
 *
 * Bytes are not copied where the conn lives on the owner's loop, nor where nobody else holds the chunk. Calls
 * below are the owner's, in its loop; so are those of pipe_ops. Tests: tests/unit/net/test_pipe.c. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include "common/net/conn.h"

struct pipe;
struct pipe_ops {
    /* Bytes of the conn. Takes the chunk's reference; pipe_passed says when they are passed on. */
    void (*out)(void *arg, struct chunk *c, size_t from, size_t n);
    /* So many of the bytes that were given have been read. */
    void (*taken)(void *arg, size_t n);
    /* The conn has ended: its last byte has been handed out before (whole), or it was closed before that. */
    void (*end)(void *arg, bool whole);
};
/* peer and tls: what the conn says of itself. */
struct pipe *pipe_new(
    struct loop *owner, size_t ahead, const struct conn *carrier, const struct pipe_ops *ops, void *arg);
/* The conn's end: once. */
struct conn_over conn_over_pipe(struct pipe *p);

bool pipe_give(struct pipe *p, struct span bytes); /* copied; false: memory is out */
void pipe_passed(struct pipe *p, size_t n);
/* The owner's last call, and no op is called any more: a conn that has not ended is closed with ECONNRESET.
 */
void pipe_close(struct pipe *p);

#endif
