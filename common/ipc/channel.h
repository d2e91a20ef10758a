/* A channel: messages over a Unix stream socket, on a loop. Checks each message against its row: known, long
 * enough ago allowed in this direction, not too long, no more descriptors than the row says. A peer that
 * breaks this, or that does not read (queue above CHANNEL_QUEUE_MAX), is closed: on_close comes once, from
 * the loop. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "common/ipc/messages.h"
#include "common/ipc/pack.h"
#include "common/net/loop.h"

#define CHANNEL_QUEUE_MAX (4u << 20)

struct channel;
struct incoming {
    enum message type;
    const struct packed *body; /* a map, lives until the handler returns */
    int fds[IPC_FDS_MAX];      /* the handler takes one by setting it to -1; the rest is closed behind it */
    int n_fds;
};
struct channel_ops {
    /* Not called again after channel_free. A negative return closes the channel. */
    int (*on_message)(struct channel *ch, struct incoming *in);
    void (*on_close)(struct channel *ch, int err); /* the owner frees it */
};
/* me: our role, peer: whose messages are accepted. Takes fd. */
struct channel *channel_new(
    struct loop *l, int fd, enum role me, enum role peer, const struct channel_ops *ops, void *arg);
void channel_free(struct channel *ch); /* unsent messages get one last try; NULL is harmless */
void *channel_arg(const struct channel *ch);
int channel_fd(const struct channel *ch);
/* pid and uid of the peer (SO_PEERCRED). */
bool channel_peer(const struct channel *ch, int *ret_pid, unsigned *ret_uid);

/* channel_begin, pack the pairs of the map, channel_end: struct packer *p = channel_begin(ch, MSG_BEAT, 1);
 * ... */
struct packer *channel_begin(struct channel *ch, enum message type, uint32_t pairs);
/* fds are duplicated by the kernel, they stay the caller's. */
void channel_end(struct channel *ch, const int *fds, int n_fds);
size_t channel_queued(const struct channel *ch);           /* bytes that the peer has not taken */
bool channel_packing(const struct channel *ch);            /* between begin and end */
void channel_send0(struct channel *ch, enum message type); /* an empty map */

/* Without a loop, for msctl: blocking, message is the msgpack array [number, map] without its length; what is
 * read is that array, unpacked, in `into`. 0, -errno, -EPROTO. */
int channel_write_blocking(int fd, struct span message);
int channel_read_blocking(
    int fd, struct buf *into, enum message *ret_type, struct unpack **ret, usec_t timeout_us);

#endif
