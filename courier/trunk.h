/* One connection with another node, from the handshake of TLS to its end: who the other is, frames in and
 * out, beats. The one who dialled asks, the other one answers. A side that says nothing for TRUNK_SILENT_US
 * is gone. Tests: tests/unit/courier/test_nodes.c. */
#ifndef COURIER_TRUNK_H
#define COURIER_TRUNK_H

#include "common/base/bucket.h"
#include "common/net/conn.h"
#include "common/net/tls_mutual.h"
#include "courier/wire.h"

#define TRUNK_BEAT_US      US_PER_S
#define TRUNK_SILENT_US    (5 * US_PER_S)
#define TRUNK_QUEUE_HIGH   (512u << 10) /* bytes that wait here: footage waits elsewhere then */
#define TRUNK_QUEUE_MAX    (4u << 20)   /* with more, questions of the other are refused: it does not read */
#define TRUNK_ASK_EVERY_US (2 * US_PER_MS) /* questions of one node, behind a burst: read later */
#define TRUNK_ASK_BURST    1000

/* Who we are, for HELLO. */
struct trunk_self {
    uint16_t node, cluster;
    uint64_t boot, run;
};
struct trunk;
struct trunk_ops {
    /* The other has said who it is: false and *ret_why, it is refused. */
    bool (*on_hello)(struct trunk *l, const char **ret_why);
    void (*on_frame)(struct trunk *l, const struct wire_frame *f);
    void (*on_room)(struct trunk *l);                 /* the queue is short again */
    void (*on_end)(struct trunk *l, const char *why); /* once; the owner calls trunk_free */
};
struct trunk {
    struct loop *loop;
    const struct trunk_self *self;
    const struct trunk_ops *ops;
    void *arg;
    bool dials, greeted, ended;
    uint16_t to;   /* dialled; 0: not known before its HELLO */
    uint16_t node; /* as it said */
    uint64_t boot, run;
    uint32_t key_id; /* tls_key_id; 0: it has shown a certificate, */
    char name[32];   /* of that name; "": of none that we know */
    char addr[64];
    struct tls_meeting *meeting;
    struct conn *conn;
    struct loop_timer tick, rest;
    usec_t born_us, heard_us, said_us;
    uint64_t in, out; /* bytes */
    struct bucket asks;
    struct buf buf;
    struct packer packer;
    const char *why;
};

/* Over a connected socket, which it takes. to: whom it has dialled; 0: it was accepted. */
struct trunk *trunk_new(struct loop *loop, int fd, struct tls_mutual *keys, const struct trunk_self *self,
    uint16_t to, const struct trunk_ops *ops);
void trunk_free(struct trunk *l); /* NULL too; not from on_frame or on_hello: link_end there */
/* on_end comes from the loop. */
void trunk_close(struct trunk *l, const char *why);

struct packer *trunk_begin(struct trunk *l, enum wire_type type, uint64_t id, uint32_t pairs);
void trunk_send(struct trunk *l);
bool trunk_full(const struct trunk *l);    /* bulk has to wait for on_room */
bool trunk_flooded(const struct trunk *l); /* TRUNK_QUEUE_MAX */

#endif
