/* The RTSP client: everything between "here is a camera's URL" and "here are its packets", as a state machine
 * without a socket and without a clock. Sources: RFC 2326; cameras.md A1 to A5 (rows are named in the code
 * and the tests).
 *
 *     start ─> DIAL ─ connected ─> OPTIONS ─> DESCRIBE ─> (UDP_BIND ─ udp_bound ─> SETUP ─> UDP_CONNECT) per
 * track ─> TRACKS ─> PLAY ─> PLAYING ... stop ─> TEARDOWN ─> CLOSED
 *
 * The owner keeps the connection and one buffer of unread bytes, calls feed() with it, sets one timer for
 * deadline(), and does what the events say. A session ends with exactly one FAILED or CLOSED; then the owner
 * closes its sockets, waits as long as it likes and calls start() again on the same client, which remembers
 * what worked with this camera (transport, keep-alive method, PLAY's URL and Range, credentials that were
 * right once).
 *
 * From within a callback only rtsp_client_stop, _udp_bound, _udp_connected, _send_rtcp and the questions may
 * be called. Tests: tests/unit/worker/test_rtsp_client.c, tests/fuzz/fuzz_rtsp_client.c. */
#ifndef WORKER_RTSP_CLIENT_H
#define WORKER_RTSP_CLIENT_H

#include "common/media/track.h"
#include "common/proto/rtsp.h"
#include "common/proto/sdp.h"

struct interleaved;

#define RTSP_CLIENT_TRACKS_MAX 8 /* set up; at most TRACK_MAX of them wanted */

enum rtsp_transport_choice {
    RTSP_TRANSPORT_AUTO = 0 /* TCP, then UDP */,
    RTSP_TRANSPORT_TCP,
    RTSP_TRANSPORT_UDP
};

struct rtsp_client_conf {
    struct span
        url; /* rtsp://user:password@host:port/path; tcp:// and udp:// choose the transport too. Copied */
    struct span user_agent; /* copied; empty: no field */
    enum rtsp_transport_choice transport;
    unsigned tracks; /* 1 << TRACK_VIDEO and so on */
    uint64_t seed;   /* random: client nonces */
};

/* Why a session ended. */
enum rtsp_fail {
    RTSP_FAIL_UNREACHABLE = 1, /* no connection: refused, no route, no such name, policy */
    RTSP_FAIL_AUTH,            /* 401 and the credentials never worked (U6): wait long */
    RTSP_FAIL_CAPACITY,    /* 403, 453, 503, or 401 after credentials that worked (U8, K9): camera full, wait
                              long */
    RTSP_FAIL_NOTFOUND,    /* 404, 410, 454 on DESCRIBE */
    RTSP_FAIL_UNSUPPORTED, /* nothing in it that we can record, or no transport in common */
    RTSP_FAIL_PROTOCOL,    /* what came is not RTSP, or not usable */
    RTSP_FAIL_TIMEOUT,     /* no answer, or no media after PLAY */
    RTSP_FAIL_ENDED        /* it had played: connection closed, TEARDOWN or BYE by the camera */
};

struct rtsp_track {
    enum track_kind kind;
    enum codec codec;
    bool wanted; /* false: set up because the camera insists on all (P14); no packets are given. Wanted ones
                    come first */
    bool udp;
    uint8_t channel[2]; /* TCP: of RTP and RTCP */
    uint16_t
        port[2]; /* UDP: the camera's; 0: it did not say, send nothing before its first packet came (T18) */
    uint8_t pt;  /* of `codec`; another may come on the wire (S8, S12) */
    uint32_t clock_hz;
    uint8_t channels;
    struct span fmtp;                    /* valid during the event only */
    const struct sdp_media *media;       /* all its formats; valid during TRACKS and ANNOUNCED only */
    bool has_ssrc, has_seq, has_rtptime; /* hints (P16, P17); of RTP-Info from PLAYING on */
    uint32_t ssrc, rtptime;
    uint16_t seq;
};

enum rtsp_event_kind {
    /* close the connection and all UDP pairs, if any; after after_us dial host:port; then connected() or
     * closed(). Again in one session for redirects and changes of transport */
    RTSP_EV_DIAL = 1,
    RTSP_EV_UDP_BIND,    /* track: a pair of ports is wanted; answer udp_bound() */
    RTSP_EV_UDP_CONNECT, /* track: rtp_port, rtcp_port (0: unknown); answer udp_connected() */
    RTSP_EV_UDP_CLOSE,   /* track: its pair is not needed any more */
    RTSP_EV_TRACKS,      /* tracks, n_tracks, sdp: make depacketisers; packets may come from now on (P11) */
    RTSP_EV_PLAYING,     /* PLAY was accepted; tracks with the hints of RTP-Info */
    RTSP_EV_ANNOUNCED,   /* the camera sent a new SDP (C9): parameters of the same tracks changed */
    RTSP_EV_FAILED,      /* fail, status, text, retry_us; the session is over */
    RTSP_EV_CLOSED       /* after stop(): TEARDOWN answered or given up; the session is over */
};

struct rtsp_event {
    enum rtsp_event_kind kind;
    const char *host; /* DIAL; no brackets */
    uint16_t port;
    bool redirect;
    usec_t after_us;
    uint8_t track; /* UDP_* */
    uint16_t rtp_port, rtcp_port;
    const struct rtsp_track *tracks; /* TRACKS, PLAYING, ANNOUNCED */
    size_t n_tracks;
    const struct sdp *sdp; /* TRACKS, ANNOUNCED */
    struct span sdp_text;
    enum rtsp_fail fail;
    unsigned status;  /* RTSP status that decided it, 0: none */
    const char *text; /* for the log and the stream's reason; no credentials in it */
    usec_t retry_us;  /* FAILED: not before that, 0: as the owner's back-off says (K5, U8) */
};

struct rtsp_client_ops {
    void (*send)(void *arg, struct span bytes); /* whole messages, in order; the owner queues */
    void (*event)(void *arg, const struct rtsp_event *e);
    void (*packet)(
        void *arg, uint8_t track, bool rtcp, struct span packet); /* interleaved; valid during the call */
    /* A request of the handshake was answered, took_us after it was sent. May be NULL. */
    void (*answered)(void *arg, enum rtsp_method m, unsigned status, usec_t took_us);
};

struct rtsp_client;
/* NULL: the URL cannot be used (*ret_error says why). */
struct rtsp_client *rtsp_client_new(const struct rtsp_client_conf *conf, const struct rtsp_client_ops *ops,
    void *arg, const char **ret_error);
/* Other kinds of track are wanted, from the next session on. false: they are the same. */
bool rtsp_client_tracks(struct rtsp_client *c, unsigned kinds);
void rtsp_client_free(struct rtsp_client *c); /* NULL too; sends nothing */

void rtsp_client_start(struct rtsp_client *c, usec_t now_us);
void rtsp_client_connected(struct rtsp_client *c, usec_t now_us);
/* The dial failed, or the connection ended (err 0: by the camera's FIN). text: for the reason, may be NULL.
 */
void rtsp_client_closed(struct rtsp_client *c, int err, const char *text, usec_t now_us);
/* All unread bytes; returns how many of them are done with. INTERLEAVED_BUFFER_MAX must fit the owner's
 * buffer. */
size_t rtsp_client_feed(struct rtsp_client *c, struct span in, usec_t now_us);
/* Least number of unread bytes with which another feed makes sense (SO_RCVLOWAT); at least 1. */
size_t rtsp_client_need(const struct rtsp_client *c);
/* Then feed() what is still unread, once more. */
void rtsp_client_tick(struct rtsp_client *c, usec_t now_us);
usec_t rtsp_client_deadline(const struct rtsp_client *c); /* when to tick; 0: no need */

void rtsp_client_udp_bound(struct rtsp_client *c, uint8_t track, uint16_t port, int err, usec_t now_us);
void rtsp_client_udp_connected(struct rtsp_client *c, uint8_t track, int err, usec_t now_us);
/* A packet came on a UDP socket: media flows (P13), and the session lives without its connection (K7). */
void rtsp_client_udp_seen(struct rtsp_client *c, uint8_t track, usec_t now_us);

/* Receiver reports of interleaved tracks (K2); those of UDP go out on the track's own socket. Not before its
 * first packet (K4): the owner's duty. */
void rtsp_client_send_rtcp(struct rtsp_client *c, uint8_t track, struct span compound);

/* TEARDOWN, then CLOSED within RTSP_CLIENT_TEARDOWN_US (P20); at once when there is none to tear down.
 * Nothing happens when the session is over already. */
#define RTSP_CLIENT_TEARDOWN_US (1 * US_PER_S)
void rtsp_client_stop(struct rtsp_client *c, usec_t now_us);

bool rtsp_client_playing(const struct rtsp_client *c);
/* What came broken since the client was made. */
struct rtsp_client_counts {
    uint64_t skipped, searches; /* bytes out of frame; how often frames were looked for */
    uint64_t unknown;           /* frames on channels nobody set up */
    uint64_t bad_heads, bad_descriptions;
};
/* And what was found on this connection. */
void rtsp_client_counts_add(struct rtsp_client_counts *n, const struct interleaved *il);
struct rtsp_client_counts rtsp_client_counts(const struct rtsp_client *c);

#endif
