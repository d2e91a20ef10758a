/* The server's side of one RTSP connection, and of the one session that may live on it, as a state machine
 * without a socket and without a clock. Sources: RFC 2326; cameras.md A10 (O1 to O6).
 *
 *     INIT ── SETUP ──> READY ── PLAY ──> PLAYING
 *       ^<── TEARDOWN ──┘ ^<──── PAUSE ─────┘
 *
 * The owner keeps the connection and its unread bytes, calls feed() with them, sets a timer for deadline(),
 * and does what the operations say. Operations that may take time (open, play) are answered by
 * rtsp_server_opened and _played, at once or later; until then nothing more is read. A session belongs to its
 * connection: its number is of no use on another (454). Whatever comes counts as a sign of life, methods that
 * are not known, too (O5). Tests: tests/unit/rtsp/test_server.c, tests/fuzz/fuzz_rtsp_server.c. */
#ifndef RTSP_SERVER_H
#define RTSP_SERVER_H

#include "common/proto/rtsp.h"
#include "httpd/rtsp/describe.h"
#include "httpd/rtsp/target.h"

#define RTSP_SERVER_TIMEOUT_S 60
#define RTSP_SERVER_DEAD_US   (65 * US_PER_S) /* without a sign of life: the connection is closed */
#define RTSP_SERVER_HEAD_US   (15 * US_PER_S) /* from a request's first byte to its last */
#define RTSP_SERVER_BODY_MAX  4096            /* of parameters; they are not read */
#define RTSP_SERVER_READ_MAX  (4 + 65535)     /* an interleaved frame; larger than head and body */

enum rtsp_state { RTSP_STATE_INIT, RTSP_STATE_READY, RTSP_STATE_PLAYING };

/* How a track goes out. */
struct rtsp_lane {
    bool set, udp;
    uint8_t channel[2];      /* TCP: of RTP and RTCP */
    uint16_t client_port[2]; /* UDP */
    uint16_t server_port[2];
};

/* Somebody wants to see it; spans are valid until it is answered. */
struct rtsp_open {
    struct rtsp_target target;
    struct span uri; /* as on the request line */
    const char *method;
    struct span authorization; /* p == NULL: none */
    struct span user_agent;
};
struct rtsp_play {
    bool has_range;
    struct rtsp_range range;
    bool has_scale;
    int32_t scale_milli; /* thousandths; 1000 where none is asked for */
    bool no_rate;        /* Rate-Control: no: as fast as the client takes it */
    bool replay;         /* with the ONVIF extension */
    bool intra;          /* ONVIF Frames: intra: key frames only */
    uint8_t cseq;
};
/* How a PLAY begins. */
struct rtsp_played {
    struct {
        bool known;
        uint16_t seq;
        uint32_t ts;
    } track[TRACK_MAX];
    bool clock; /* archive: from_us to to_us is said as clock time; else npt=now- */
    usec_t from_us, to_us;
    bool has_scale; /* say it */
    int32_t scale_milli;
};

struct rtsp_server_ops {
    void (*put)(void *arg, struct span bytes);          /* whole messages */
    void (*want)(void *arg, const struct rtsp_open *o); /* answer rtsp_server_opened */
    /* A lane over UDP is wanted: sets its server ports. 0 or a status. NULL: there is no UDP here. */
    unsigned (*udp)(void *arg, unsigned track, struct rtsp_lane *lane);
    void (*play)(void *arg, const struct rtsp_play *p); /* answer rtsp_server_played */
    void (*pause)(void *arg);
    void (*teardown)(void *arg);                                   /* ends playing, gives all lanes back */
    void (*rtcp)(void *arg, unsigned track, struct span compound); /* interleaved */
    void (*close)(void *arg);                                      /* once all is sent */
};

struct rtsp_server {
    const struct rtsp_server_ops *ops;
    void *arg;
    const char *base; /* of the listener */
    uint64_t id;      /* random */
    enum rtsp_state state;
    bool closing;
    struct head_find find;
    usec_t now_us;
    usec_t heard_us;   /* last sign of life */
    usec_t partial_us; /* since when a part of a request is there; 0: none */
    /* the request that waits for its answer */
    enum rtsp_method busy; /* RTSP_UNKNOWN: none */
    struct span kept;      /* its head, allocated */
    /* what is open */
    char *target; /* its URL; NULL: nothing */
    bool replay;
    uint8_t kinds[TRACK_MAX]; /* enum track_kind; 0: no such track */
    uint32_t ssrc[TRACK_MAX];
    struct rtsp_lane lane[TRACK_MAX];
};

struct rtsp_server_conf {
    const char *base; /* of the listener; lives as long as the session */
    uint64_t id;      /* random */
    usec_t now_us;
};
void rtsp_server_init(
    struct rtsp_server *s, const struct rtsp_server_conf *conf, const struct rtsp_server_ops *ops, void *arg);
void rtsp_server_done(struct rtsp_server *s);

/* All unread bytes; returns how many are done with. */
size_t rtsp_server_feed(struct rtsp_server *s, struct span in, usec_t now_us);
/* Does it wait for opened() or played()? Nothing need be fed until then. */
bool rtsp_server_busy(const struct rtsp_server *s);
/* When to close a connection from which nothing comes; 0: never (media over TCP says by itself when it is
 * not taken). */
usec_t rtsp_server_deadline(const struct rtsp_server *s);
/* A sign of life over UDP. */
void rtsp_server_heard(struct rtsp_server *s, usec_t now_us);

/* 200: d says what it is (its spelling of controls is set here). Else a status; fields: more header lines
 * with CRLF, NULL: none. */
void rtsp_server_opened(struct rtsp_server *s, unsigned status, const char *fields, const struct describe *d);
/* p says where it begins; NULL: not at all, by the status. What is sent from now on is behind the answer. */
void rtsp_server_played(
    struct rtsp_server *s, unsigned status, const char *fields, const struct rtsp_played *p);
/* "-1.5" as thousandths. false: no such number. */
bool rtsp_scale(struct span text, int32_t *ret_milli);
/* What is played has come to its end: READY. */
void rtsp_server_ended(struct rtsp_server *s);

#endif
