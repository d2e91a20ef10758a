/* Inside the RTSP client: its state, and what its files share. rtsp_client.c: life, the byte stream, UDP
 * ports; rtsp_client_state.c: states, their timers, ends; rtsp_client_dial.c: connections, redirects;
 * rtsp_ask.c: requests and signing; rtsp_answer.c: what each answer leads to. */
#ifndef WORKER_RTSP_CLIENT_IMPL_H
#define WORKER_RTSP_CLIENT_IMPL_H

#include "common/base/secret.h"
#include "common/proto/auth.h"
#include "common/proto/interleaved.h"
#include "common/wire/url.h"
#include "worker/rtsp_client.h"

#define CLIENT_DIAL_US        (15 * US_PER_S)   /* a guard only: the connector has a limit of its own */
#define CLIENT_AGAIN_US       (200 * US_PER_MS) /* before another connection: the camera frees its slot */
#define CLIENT_OPTIONS_US     (5 * US_PER_S)    /* then without an answer (C14) */
#define CLIENT_REQUEST_US     (10 * US_PER_S)
#define CLIENT_UDP_US         (5 * US_PER_S) /* for the connector's answers */
#define CLIENT_FIRST_UDP_US   (5 * US_PER_S) /* from PLAY to the first packet (P13) */
#define CLIENT_FIRST_TCP_US   (10 * US_PER_S)
#define CLIENT_GONE_US        (10 * US_PER_S) /* UDP without its connection (K7) */
#define CLIENT_BODY_US        (1 * US_PER_S)  /* a body that does not go on is over (C18) */
#define CLIENT_ALIVE_MIN_S    5               /* between keep-alives (K2) */
#define CLIENT_ALIVE_MAX_S    30
#define CLIENT_STALE_US       (65 * US_PER_S) /* an old live555 forgets its session (K5) */
#define CLIENT_REDIRECTS_MAX  5
#define CLIENT_REDIALS_MAX    6 /* in one session, for other reasons than redirects */
#define CLIENT_SDP_MAX        (256u << 10)
#define CLIENT_MESSAGE_MAX    8192
#define CLIENT_SPARE_CHANNEL  32 /* first of the pairs asked for after a collision (P8) */
#define CLIENT_CANDIDATES_MAX 3  /* URLs for PLAY (P4) */

enum client_state {
    CLIENT_IDLE = 0,
    CLIENT_DIALING,
    CLIENT_OPTIONS,
    CLIENT_DESCRIBE,
    CLIENT_BIND,
    CLIENT_SETUP,
    CLIENT_UDP_CONNECT,
    CLIENT_PLAY,
    CLIENT_PLAYING,
    CLIENT_TEARDOWN,
    CLIENT_OVER,
    CLIENT_STATES
};

/* What comes after TEARDOWN. */
enum client_then { THEN_CLOSED = 0, THEN_DIAL };

/* What was learnt of this camera; lives as long as the client. */
struct client_known {
    bool udp;            /* TCP was refused or silent */
    bool no_options;     /* it hangs up on OPTIONS */
    bool relative;       /* wants a path on the request line (C10) */
    bool all_tracks;     /* insists on all of them (P14) */
    bool no_range;       /* refuses Range on PLAY (P15) */
    bool login_worked;   /* U8 */
    uint8_t play_url;    /* candidate that PLAY accepted (P4) */
    uint8_t alive;       /* row of the keep-alive ladder (K1) */
    uint8_t short_lives; /* sessions that ended near their timeout */
};

struct client_request {
    bool open; /* an answer is awaited */
    bool was_signed;
    bool was_401;
    enum rtsp_method method;
    uint32_t cseq;
    uint8_t again; /* signed once more after a new nonce (U6) */
    usec_t sent_us;
};

struct rtsp_client {
    const struct rtsp_client_ops *ops;
    void *arg;
    /* configuration */
    char *url_text;
    struct secret user, password;
    char *agent;
    enum rtsp_transport_choice choice;
    unsigned tracks_wanted;
    uint64_t seed;
    struct client_known known;

    /* this session */
    enum client_state state;
    enum client_then then;
    usec_t now_us;  /* of the last call into the client */
    unsigned dials; /* connections of this client so far: feed() stops when it changes */
    usec_t state_by, alive_at, media_by, body_by, gone_by; /* 0: not running */
    char *request_url;                                     /* without credentials */
    char *host;
    uint16_t port;
    struct secret redirect_user, redirect_password;
    bool udp; /* transport under way */
    bool tried_tcp, tried_udp;
    bool redialled_401;
    bool left_some; /* medias that were not set up (P13, P14) */
    uint8_t redirects, redials;

    /* this connection */
    bool connected;
    bool play_sent, media_seen;
    uint32_t cseq;
    struct client_request ask;   /* of the handshake */
    struct client_request alive; /* the last keep-alive */
    struct interleaved il;
    size_t need;
    struct auth_client auth;
    unsigned methods;
    uint32_t foreign; /* frames before anything was set up (K5) */
    char session[RTSP_SESSION_MAX + 1];
    uint32_t timeout_s;
    usec_t playing_since, udp_last;

    /* from DESCRIBE to TRACKS */
    char *sdp_text;
    size_t sdp_n;
    struct sdp *sdp;
    char *base_url;
    char *play_url[CLIENT_CANDIDATES_MAX];
    uint8_t n_play, at_play;
    char *track_url[RTSP_CLIENT_TRACKS_MAX];
    struct rtsp_track track[RTSP_CLIENT_TRACKS_MAX];
    size_t n, n_wanted, at; /* set up so far: [0, at) */
    uint16_t client_port;
    uint8_t collisions;
    int8_t slot_track[INTERLEAVED_CHANNELS_MAX]; /* -1: none */
    uint8_t slot_rtcp[INTERLEAVED_CHANNELS_MAX];
    bool over;                        /* FAILED or CLOSED was said, or nothing began yet */
    struct rtsp_client_counts before; /* of earlier connections, and what no connection counts */
};

/* rtsp_client.c */
void client_event(struct rtsp_client *c, struct rtsp_event *e);
void client_set(char **at, struct span text); /* replaces an owned string */
void client_forget_description(struct rtsp_client *c);
void client_no_ports(struct rtsp_client *c, const char *why); /* TCP instead, or the end (P12) */

/* rtsp_client_state.c */
void client_move(struct rtsp_client *c, enum client_state to, const char *why);
void client_timer(struct rtsp_client *c, usec_t now_us, usec_t after_us); /* of the state */
void client_stop_timers(struct rtsp_client *c);
void client_fail(struct rtsp_client *c, enum rtsp_fail fail, unsigned status, const char *text);
void client_fail_later(struct rtsp_client *c, enum rtsp_fail fail, const char *text, usec_t retry_us);
void client_end(struct rtsp_client *c, struct rtsp_event *e); /* e is the session's last event */
void client_judge_keep_alive(struct rtsp_client *c);          /* before a session that played goes (K1) */

/* rtsp_client_dial.c */
void client_dial(struct rtsp_client *c, bool redirect, usec_t after_us, const char *why);
void client_forget_connection(struct rtsp_client *c);
/* TEARDOWN where there is a session, then what `then` says. */
void client_teardown(struct rtsp_client *c, enum client_then then, const char *why);
void client_torn_down(struct rtsp_client *c);
/* Closes this connection, after TEARDOWN where there is a session, and dials again; fails when there were too
 * many. */
void client_redial(struct rtsp_client *c, const char *why);
/* Follows a Location (C15). */
void client_redirect(struct rtsp_client *c, struct span location);
/* User and password of a URL, decoded; false: too long. */
bool client_take_login(const struct url *u, struct secret *user, struct secret *password);
void client_take_target(struct rtsp_client *c, const struct url *u); /* whom dial() dials */

/* rtsp_ask.c */
/* Who we are to the host under way: false, nobody. *ret_basic: a password may go to it in clear (C15). */
bool client_login(const struct rtsp_client *c, struct auth_login *ret, bool *ret_basic);
void client_ask(struct rtsp_client *c, enum rtsp_method m, usec_t now_us);
void client_ask_again(struct rtsp_client *c, usec_t now_us); /* the open request, signed anew */
void client_keep_alive(struct rtsp_client *c, usec_t now_us);
void client_say_teardown(struct rtsp_client *c); /* without waiting for an answer */
void client_reply(struct rtsp_client *c, const struct head *request, unsigned status);
struct span client_play_url(const struct rtsp_client *c);
usec_t client_alive_us(const struct rtsp_client *c);
void client_alive_next_method(struct rtsp_client *c);

/* rtsp_answer.c */
void client_answer(struct rtsp_client *c, const struct head *h, struct span body, usec_t now_us);
void client_next_track(struct rtsp_client *c, usec_t now_us); /* SETUP of the next one, or PLAY */
void client_playing(struct rtsp_client *c, const struct head *h, usec_t now_us);
/* Another transport after a refusal or silence (P12, P13). false: there is none. */
bool client_other_transport(struct rtsp_client *c);
void client_announced(struct rtsp_client *c, struct span body);

#endif
