/* What session.c (attempts, what the RTSP machines say), session_udp.c (pairs of UDP sockets),
 * session_client.c (a camera that is asked) and session_push.c (one that pushes) share. */
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

/* Who speaks RTSP with the camera: the client, or the server of those who push. */
struct session;
struct speaker {
    void (*start)(struct session *s, usec_t now_us); /* phase RUN has begun */
    void (*stop)(struct session *s, usec_t now_us); /* the session under way; an event says when it is over */
    void (*over)(struct session *s, usec_t now_us); /* it is, and its sockets are closed: what comes then */
    void (*closed)(struct session *s);              /* the sockets were closed */
    void (*tick)(struct session *s, usec_t now_us); /* its deadline has come */
    usec_t (*deadline)(const struct session *s);    /* 0: none */
    void (*send_rtcp)(struct session *s, uint8_t track, struct span compound);
    void (*udp_bound)(struct session *s, uint8_t track, uint16_t port, int err, usec_t now_us);
    void (*udp_seen)(struct session *s, uint8_t track, usec_t now_us);
    bool (*tracks)(struct session *s, unsigned kinds); /* false: they are the same */
    struct rtsp_client_counts (*counts)(const struct session *s);
    void (*free)(struct session *s);
};
extern const struct speaker session_client, session_push;

struct push;
struct session {
    struct loop *loop;
    const struct settings *settings;
    struct ingest *ingest;
    struct session_ops ops;
    const struct speaker *speaker;
    struct rtsp_client *client; /* NULL: the camera pushes */
    struct push *push;          /* NULL: it is asked */
    struct clink connector;
    enum phase phase;
    struct backoff backoff;
    usec_t retry_us;
    usec_t over_us; /* when the last attempt was */
    bool between;   /* this one does not count (session_camera_free) */
    bool live;
    /* the connection */
    struct camera_conn *conn;
    char addr[96];
    struct sockaddr_storage peer;
    char host[256]; /* to be dialled at dial_us */
    uint16_t port;
    uint64_t pushed; /* the connector's number of the connection, 0: it was dialled */
    usec_t dial_us, dialed_us, dial_late_us;
    usec_t drain_us; /* next, while paced */
    usec_t pace_us;  /* between two of them, at most */
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
void session_end_batch(void *arg, size_t bytes);
void session_close_sockets(struct session *s);
void session_later(struct session *s); /* what has changed is looked at, at the end of this turn */
/* Of the RTSP machines, arg a struct session. */
void session_event(void *arg, const struct rtsp_event *e);
void session_packet(void *arg, uint8_t track, bool rtcp, struct span packet);
void session_send(void *arg, struct span bytes);

/* session_client.c, session_push.c. false: *ret_why says what is wrong with the URL. */
bool session_client_new(struct session *s, const char **ret_why);
void session_attempt(struct session *s);
bool session_push_new(struct session *s, const char **ret_why);
/* clink_ops: of cameras that push. */
void session_pushed(void *arg, uint64_t id, const char *addr, int fd);

void session_udp_close(struct session *s, struct udp_track *t);
void session_udp_drain(struct session *s, usec_t now_us);
void session_udp_watch(struct session *s); /* packets at once while live, else when drained */
bool session_udp_any(const struct session *s);
usec_t session_udp_next_us(struct session *s, usec_t now_us); /* when to drain next */
/* clink_ops */
void session_udp_bound(void *arg, uint8_t track, int err, uint16_t port, int rtp_fd, int rtcp_fd);
void session_udp_connected(void *arg, uint8_t track, int err);

#endif
