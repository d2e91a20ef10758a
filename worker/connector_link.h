/* The worker's side of the connector (messages 22 to 29): asks for the camera's sockets, and is given those
 * of cameras that push. A connector that is not there yet, or comes anew, gets what is asked for when it
 * comes. */
#ifndef WORKER_CLINK_H
#define WORKER_CLINK_H

#include "common/ipc/channel.h"
#include "worker/rtsp_client.h"

#define CLINK_TIMEOUT_US (5 * US_PER_S)

struct clink_ops {
    /* err: 0 or negative. text: for people. addr: of the peer, "192.168.1.5:554". The handler takes fd. */
    void (*dialed)(void *arg, int err, const char *text, const char *addr, int fd);
    void (*udp_bound)(void *arg, uint8_t track, int err, uint16_t port, int rtp_fd, int rtcp_fd);
    void (*udp_connected)(void *arg, uint8_t track, int err);
    /* Somebody wants to push; NULL: the camera is dialled. The handler takes fd. */
    void (*pushed)(void *arg, uint64_t id, const char *addr, int fd);
};

/* A track's pair. What is unanswered is asked again of a new connector. */
struct clink_pair {
    uint32_t id;        /* 0: none */
    enum message asked; /* 0: nothing is unanswered */
    uint16_t port[2];
    uint64_t pushed; /* towards whom: number of a connection, 0: the one dialled last */
};

struct clink {
    struct loop *loop;
    struct channel *connector; /* NULL: none */
    const struct clink_ops *ops;
    void *arg;
    uint32_t last_id;
    uint32_t dial_id; /* under way, 0: none */
    char host[256];
    uint16_t port;
    struct clink_pair pair[RTSP_CLIENT_TRACKS_MAX];
};

void clink_init(struct clink *d, struct loop *l, const struct clink_ops *ops, void *arg);
void clink_done(struct clink *d);
void clink_connector(struct clink *d, int fd); /* takes fd */
void clink_dial(struct clink *d, const char *host, uint16_t port);
void clink_cancel(struct clink *d); /* an answer under way is dropped */
bool clink_waits_for_connector(const struct clink *d);
void clink_udp_bind(struct clink *d, uint8_t track, uint64_t pushed);
void clink_udp_connect(struct clink *d, uint8_t track, uint16_t rtp_port, uint16_t rtcp_port);
void clink_udp_close(struct clink *d, uint8_t track);

#endif
