/* The camera's TCP connection: one linear buffer of unread bytes, reads as large and as few as can be.
 *
 * Live: every byte is read when it comes. Paced: the kernel keeps them until CAMERA_LOWAT bytes wait, or
 * until the owner calls camera_conn_drain (at most every CAMERA_DRAIN_US: below the mark nothing is ever
 * delivered). Source of the figures: a wake-up costs about 15 us all told, and 2 Mbit/s of packets are 178 of
 * them a second. */
#ifndef WORKER_CAMERA_CONN_H
#define WORKER_CAMERA_CONN_H

#include "common/base/buf.h"
#include "common/net/loop.h"

#define CAMERA_LOWAT    (128 << 10)
#define CAMERA_DRAIN_US (250 * US_PER_MS)
#define CAMERA_BUF_MIN  (64u << 10)

struct camera_conn;
struct camera_conn_ops {
    /* Before and after the bytes of one turn: at the end, the memory of what was taken is used again. */
    void (*begin)(void *arg);
    void (*end)(void *arg, size_t bytes);
    size_t (*feed)(void *arg, struct span unread); /* returns how many bytes are done with */
    size_t (*need)(void *arg);          /* least number of unread bytes with which feeding makes sense */
    void (*closed)(void *arg, int err); /* 0: by the camera. Once; the owner frees */
};

/* Takes fd. */
struct camera_conn *camera_conn_new(struct loop *l, int fd, const struct camera_conn_ops *ops, void *arg);
void camera_conn_free(struct camera_conn *c); /* NULL is fine; not from within feed */
/* No more calls of the ops; allowed within feed. camera_conn_free is still due. */
void camera_conn_shut(struct camera_conn *c);
void camera_conn_send(struct camera_conn *c, struct span bytes);
void camera_conn_pace(struct camera_conn *c, bool paced);
bool camera_conn_paced(const struct camera_conn *c);
void camera_conn_drain(struct camera_conn *c);
/* Feeds what is unread once more: for whom time decides where a body ends (C18). */
void camera_conn_again(struct camera_conn *c);

#endif
