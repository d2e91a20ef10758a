/* What session.c (attempts, the client's events) and session_udp.c (pairs of UDP sockets) share. */
#ifndef WORKER_SESSION_IMPL_H
#define WORKER_SESSION_IMPL_H

#include "worker/backoff.h"
#include "worker/camera_conn.h"
#include "worker/camera_udp.h"
#include "worker/session.h"

enum phase { OFF = 0, RUN, WAIT, STOP };

struct udp_track {
    struct camera_udp u;
    struct loop_io io[2];
    struct session *s;
    uint8_t index;
    bool open;
    bool asked;       /* to be connected */
    uint8_t refusals; /* of that */
    usec_t again_us;  /* not before that */
    uint16_t port[2]; /* announced */
    uint64_t strangers_said, drops_said;
};

struct session {
    struct loop *loop;
    const struct settings *settings;
    struct ingest *ingest;
    struct session_ops ops;
    struct rtsp_client *client;
    struct clink connector;
    enum phase phase;
    struct backoff backoff;
    usec_t retry_us;
    bool live;
    /* the connection */
    struct camera_conn *conn;
    char addr[96];
    struct sockaddr_storage peer;
    char host[256]; /* to be dialled at dial_us */
    uint16_t port;
    usec_t dial_us, dial_late_us;
    usec_t drain_us; /* next, while paced */
    struct udp_track udp[RTSP_CLIENT_TRACKS_MAX];
    struct camera_udp_batch batch;
    uint64_t udp_bytes; /* since udp_since_us */
    usec_t udp_since_us;
    uint32_t udp_ssrc;
    /* the session under way */
    usec_t playing_us; /* since when, 0: not yet */
    bool told_no_key;
    struct loop_task later;
    bool redial, over, restarting;
    enum stream_state over_state;   /* with restarting */
    struct rtsp_client_counts said; /* what the status has of the client's counts */
    enum rtsp_fail fail;
    usec_t fail_retry_us;
    char why[RING_REASON_MAX];
};

void session_begin_batch(void *arg); /* of a struct session: packets from now on have come now */

void session_udp_close(struct session *s, struct udp_track *t);
void session_udp_drain(struct session *s, usec_t now_us);
void session_udp_watch(struct session *s); /* packets at once while live, else when drained */
bool session_udp_any(const struct session *s);
usec_t session_udp_next_us(struct session *s, usec_t now_us); /* when to drain next */
/* clink_ops */
void session_udp_bound(void *arg, uint8_t track, int err, uint16_t port, int rtp_fd, int rtcp_fd);
void session_udp_connected(void *arg, uint8_t track, int err);

#endif
