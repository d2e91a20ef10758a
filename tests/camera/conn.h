/* One client's RTSP connection: bytes in, replies and interleaved frames out, one session. */
#ifndef CAMERA_CONN_H
#define CAMERA_CONN_H

#include <netinet/in.h>
#include <sys/uio.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "tests/camera/server.h"
#include "tests/camera/stream.h"

#define CONN_IN_MAX      (256u << 10)
#define CONN_SESSION_MAX 24

struct conn;

/* One track of a session that was set up. */
struct play {
    struct due due; /* the next frame */
    struct conn *conn;
    unsigned track;
    const struct pack *pack;
    unsigned version; /* of the stream's knobs when pack was taken */
    bool set_up, udp;
    uint8_t channel, rtcp_channel;
    struct watch rtp, rtcp; /* UDP sockets, connected to the client's */
    uint16_t seq;
    uint32_t ssrc;
    int64_t ts0;    /* RTP time of tick 0 */
    usec_t base_us; /* when frame 0 was or would have been due */
    uint64_t n;     /* next frame, counted over loops */
    uint64_t sent;  /* frames since PLAY */
    usec_t next_sr_us;
    uint32_t packets, octets;
};

struct conn {
    struct list link;
    struct watch w;
    struct buf in, out;
    struct stream *stream; /* NULL until a request named one */
    bool closed, close_after_out, described, playing;
    char session[CONN_SESSION_MAX]; /* "" : none */
    char nonce[NONCE_MAX];
    uint32_t nc; /* highest nonce count seen */
    bool nonce_used;
    uint32_t next_cseq; /* of requests we send to the client (C9) */
    usec_t alive_us;
    struct play play[STREAM_TRACKS];
    struct sockaddr_storage peer;
};

struct list *conns(void); /* of struct conn.link */
void conn_accept(int fd);
void conn_close(struct conn *c); /* frees at the end of the turn; harmless when closed */
void conn_reset(struct conn *c); /* RST instead of FIN */

/* Queues a reply and tries to send. */
void conn_write(struct conn *c, struct span bytes);
/* Sends pieces as one unit if the queue is short enough. false: dropped, the queue is full. */
bool conn_send_media(struct conn *c, const struct iovec *v, int n, size_t bytes);

#endif
